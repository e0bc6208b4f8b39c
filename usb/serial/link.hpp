// A Session on a real serial device (Boost.Asio): the device is opened, bytes are moved, time passes. Its functions block
// and belong to one thread; another one of its own moves the bytes meanwhile. Errors: Errc::not_found (no such device), Errc::io (it vanished), Errc::unavailable (the peer is silent, ended
// the link or began another; trying again may help), Errc::usage and Errc::unsupported (a speed that cannot be had).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "usb/serial/line.hpp"
#include "usb/serial/session.hpp"

namespace serial {

// Where whole messages go and come: a Link, or a test's.
class Channel {
 public:
  virtual ~Channel() = default;
  // Waits while the other end takes nothing more; Errc::unavailable when that lasts too long.
  virtual base::Result<void> send(base::Bytes message) = 0;
  // The next message; nothing when none came within `wait`.
  virtual base::Result<std::optional<base::Bytes>> receive(Duration wait) = 0;
  // Bytes of messages sent that the other end has not acknowledged yet.
  virtual std::uint64_t unacknowledged() const { return 0; }
};

class Link final : public Channel {
 public:
  using Stop = std::function<bool()>;
  // Opens the device (raw, 8N1, for us alone). `number`: random, host only. `stop` is asked at least every 200 ms while
  // anything here waits; once it is true everything is Errc::unavailable. A pattern stands for the first device there is.
  static base::Result<std::unique_ptr<Link>> open(const std::filesystem::path& device, Role role, std::uint32_t number,
                                                  const LineSettings& settings = {}, Stop stop = {});
  ~Link() override;
  // Waits until the peer is there; false when it is not within `wait`.
  base::Result<bool> connect(Duration wait);
  base::Result<void> send(base::Bytes message) override;
  void set_patience(Duration stuck);   // with an end that takes nothing more; 20 minutes unless told
  base::Result<std::optional<base::Bytes>> receive(Duration wait) override;
  std::uint64_t unacknowledged() const override;
  // Waits, no longer than that, until everything sent has been acknowledged, then tells the peer that the link is over.
  base::Result<void> finish(Duration wait);
  LineQuality quality() const;
  bool is_connected() const;
  const std::string& name() const;   // of the device, as errors show it
  // For people, when bytes come and nothing of them can be read; empty otherwise.
  std::string unreadable() const;

 private:
  struct Device;
  explicit Link(std::unique_ptr<Device> device);
  std::unique_ptr<Device> device_;
};

}  // namespace serial
