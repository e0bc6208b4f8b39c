#include "usb/serial/line.hpp"

#include <asm/ioctls.h>
#include <asm/termbits.h>   // struct termios2; <termios.h> has other definitions of the same names
#include <fmt/format.h>
#include <glob.h>
#include <linux/serial.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#include "crypto/base/text.hpp"

namespace serial {

using base::Errc;
using base::fail;
using base::Result;

Result<void> expect_usable(const LineSettings& settings) {
  if (settings.baud >= kSlowest && settings.baud <= kFastest) return {};
  return fail(Errc::usage, fmt::format("{} baud: {} to {} are possible", settings.baud, kSlowest, kFastest));
}

Result<void> set_speed(int descriptor, std::uint32_t baud) {
  termios2 line{};
  if (::ioctl(descriptor, TCGETS2, &line) != 0) return fail(Errc::io, fmt::format("no serial line: {}", std::strerror(errno)));
  line.c_cflag &= ~static_cast<tcflag_t>(CBAUD | CBAUD << IBSHIFT);
  line.c_cflag |= BOTHER | BOTHER << IBSHIFT;
  line.c_ispeed = baud;
  line.c_ospeed = baud;
  if (::ioctl(descriptor, TCSETS2, &line) != 0)
    // EIO and ENODEV are a device that was pulled just now, and comes back; only EINVAL is about the speed.
    return fail(errno == EINVAL ? Errc::unsupported : Errc::io, fmt::format("{} baud: {}", baud, std::strerror(errno)));
  // A driver takes any number and says here what it made of it.
  if (::ioctl(descriptor, TCGETS2, &line) != 0) return fail(Errc::io, fmt::format("no serial line: {}", std::strerror(errno)));
  const std::uint64_t got = line.c_ospeed;
  if (got * 1000 < std::uint64_t{baud} * 975 || got * 1000 > std::uint64_t{baud} * 1025)
    return fail(Errc::unsupported, fmt::format("{} baud: this device makes {} of it", baud, got));
  return {};
}

Result<void> claim(int descriptor) {
  // Another program on the same device would take bytes away from us. Root may still open it.
  if (::ioctl(descriptor, TIOCEXCL) != 0) return fail(Errc::io, "cannot be had for us alone");
  (void)::ioctl(descriptor, TCFLSH, TCIOFLUSH);   // what stays is dropped as noise
  return {};
}

void release(int descriptor) { (void)::ioctl(descriptor, TIOCNXCL); }

std::optional<std::uint64_t> framing_errors(int descriptor) {
  serial_icounter_struct counted{};
  if (::ioctl(descriptor, TIOCGICOUNT, &counted) != 0 || counted.frame < 0) return std::nullopt;
  return static_cast<std::uint64_t>(counted.frame);
}

Result<std::filesystem::path> device_now(const std::filesystem::path& name_or_pattern) {
  if (name_or_pattern.string().find_first_of("*?[") == std::string::npos) return name_or_pattern;
  glob_t found{};
  const int status = ::glob(name_or_pattern.c_str(), GLOB_ERR, nullptr, &found);
  std::filesystem::path first = status == 0 && found.gl_pathc > 0 ? found.gl_pathv[0] : "";
  ::globfree(&found);
  if (first.empty()) return fail(Errc::not_found, fmt::format("{}: no such device", base::printable(name_or_pattern.string())));
  return first;
}

}  // namespace serial
