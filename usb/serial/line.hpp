// What a serial device is told and asked beyond Boost.Asio: any speed, not only those with a name in <termios.h>, whose
// definitions cannot stand beside the ones used here; what is to be thrown away; the adapter's own count of errors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "crypto/base/result.hpp"

namespace serial {

inline constexpr std::uint32_t kSlowest = 9600;
inline constexpr std::uint32_t kFastest = 4'000'000;

struct LineSettings {
  std::uint32_t baud = 115200;   // of no matter on USB without a UART behind it, and on pseudo terminals
  bool rts_cts = false;          // the adapter stops sending while the other end's has no room
};
base::Result<void> expect_usable(const LineSettings& settings);   // Errc::usage

// Sets the speed of an open device. Errc::unsupported when its driver makes more than 2.5 % more or less of it.
base::Result<void> set_speed(int descriptor, std::uint32_t baud);
// For this program alone; bytes of an earlier user are thrown away.
base::Result<void> claim(int descriptor);
void release(int descriptor);
// Characters without a stop bit, which is what another speed looks like; nothing where the driver does not count.
std::optional<std::uint64_t> framing_errors(int descriptor);

// The device that a name or a pattern ("/dev/ttyUSB*") stands for now: the first there is. Errc::not_found.
base::Result<std::filesystem::path> device_now(const std::filesystem::path& name_or_pattern);

}  // namespace serial
