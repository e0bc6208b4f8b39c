#include "tests/support/serial_cable.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "crypto/base/result.hpp"

namespace tests {

SerialCable::SerialCable(CableFaults faults) : faults_(faults) {
  for (int end = 0; end < 2; ++end) {
    std::array<char, 128> name{};
    base::require(openpty(&masters_[end], &slaves_[end], name.data(), nullptr, nullptr) == 0, "a pseudo terminal can be had");
    termios raw{};
    tcgetattr(slaves_[end], &raw);
    cfmakeraw(&raw);
    tcsetattr(slaves_[end], TCSANOW, &raw);
    fcntl(masters_[end], F_SETFL, O_NONBLOCK);
    names_[end] = name.data();
  }
  thread_ = std::thread([this] { carry(); });
}

SerialCable::~SerialCable() {
  stop_ = true;
  thread_.join();
  for (const int descriptor : {masters_[0], masters_[1], slaves_[0], slaves_[1]})
    if (descriptor >= 0) ::close(descriptor);
}

void SerialCable::carry() {
  std::array<std::uint8_t, 8192> bytes{};
  std::uint64_t since_damage = 0;
  while (!stop_) {
    pollfd ends[2] = {{masters_[0], POLLIN, 0}, {masters_[1], POLLIN, 0}};
    if (::poll(ends, 2, 50) <= 0) continue;
    for (std::size_t end = 0; end < 2; ++end) {
      if ((ends[end].revents & POLLIN) == 0) continue;
      const ssize_t got = ::read(masters_[end], bytes.data(), bytes.size());
      if (got <= 0) continue;
      for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
        if (++since_damage < faults_.damage_every) continue;
        since_damage = 0;
        bytes[i] = static_cast<std::uint8_t>(bytes[i] ^ 0x20U);
      }
      ssize_t done = 0;
      while (done < got && !stop_) {
        const ssize_t put = ::write(masters_[1 - end], bytes.data() + done, static_cast<std::size_t>(got - done));
        if (put > 0) {
          done += put;
          continue;
        }
        pollfd room{masters_[1 - end], POLLOUT, 0};   // nobody reads at the other end just now
        (void)::poll(&room, 1, 50);
      }
      if (end == 0) carried_ += static_cast<std::uint64_t>(got);
      if (carried_ < faults_.cut_after) continue;
      // The masters go: reading and writing the devices fails from now on, as with an adapter that was pulled.
      for (int& master : masters_) {
        ::close(master);
        master = -1;
      }
      return;
    }
  }
}

}  // namespace tests
