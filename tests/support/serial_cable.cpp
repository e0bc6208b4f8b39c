#include "tests/support/serial_cable.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <random>
#include <utility>

#include "crypto/base/result.hpp"

namespace tests {
namespace {

using Clock = std::chrono::steady_clock;
const char* const kEnds[] = {"host", "appliance"};
constexpr std::size_t kAtOnce = 64U << 10;

}  // namespace

class SerialCable::Direction {
 public:
  Direction(const CableFaults& faults, int from, int to, unsigned seed)
      : faults_(faults), from_(from), to_(to), random_(seed), paid_until_(Clock::now()) {}

  bool wants_to_read() const { return waiting_ < 4 * kAtOnce; }
  bool wants_to_write(Clock::time_point now) const { return !queue_.empty() && queue_.front().at <= now; }
  void put(base::ByteView bytes) { queue_.push_back({Clock::now(), base::to_bytes(bytes)}); }

  std::size_t read(Clock::time_point now) {
    std::size_t room = kAtOnce;
    if (faults_.bytes_per_second > 0) {   // what the line carried since the last time; an idle line saves nothing up
      paid_until_ = std::max(paid_until_, now - std::chrono::milliseconds(10));
      room = static_cast<std::size_t>(std::chrono::duration<double>(now - paid_until_).count() * static_cast<double>(faults_.bytes_per_second));
    }
    if (room == 0) return 0;
    base::Bytes bytes(room);
    const ssize_t got = ::read(from_, bytes.data(), bytes.size());
    if (got <= 0) return 0;
    bytes.resize(static_cast<std::size_t>(got));
    if (faults_.bytes_per_second > 0)
      paid_until_ += std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * static_cast<double>(got) / static_cast<double>(faults_.bytes_per_second)));
    spoil(bytes);
    waiting_ += bytes.size();
    queue_.push_back({now + faults_.latency, std::move(bytes)});
    return static_cast<std::size_t>(got);
  }

  void write(Clock::time_point now) {
    while (wants_to_write(now)) {
      base::Bytes& bytes = queue_.front().bytes;
      const ssize_t put = bytes.empty() ? 0 : ::write(to_, bytes.data(), bytes.size());
      if (put < 0) return;   // nobody reads at the other end just now
      waiting_ -= std::min(waiting_, static_cast<std::size_t>(put));
      bytes.erase(bytes.begin(), bytes.begin() + put);
      if (!bytes.empty()) return;
      queue_.pop_front();
    }
  }

 private:
  struct Piece {
    Clock::time_point at;
    base::Bytes bytes;
  };

  void spoil(base::Bytes& bytes) {
    if (faults_.damage_every == UINT64_MAX) return;
    std::geometric_distribution<std::uint64_t> gap(1.0 / static_cast<double>(faults_.damage_every));
    if (!until_damage_) until_damage_ = gap(random_);
    std::size_t at = 0;
    while (*until_damage_ < bytes.size() - at) {
      at += static_cast<std::size_t>(*until_damage_);
      if (random_() % 2 == 0) {
        bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
      } else {
        bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ (1U + random_() % 255));
        ++at;
      }
      until_damage_ = gap(random_);
    }
    *until_damage_ -= bytes.size() - at;
  }

  const CableFaults& faults_;
  int from_;
  int to_;
  std::mt19937 random_;
  std::optional<std::uint64_t> until_damage_;
  Clock::time_point paid_until_;
  std::deque<Piece> queue_;
  std::size_t waiting_ = 0;   // bytes in it
};

SerialCable::SerialCable(CableFaults faults) : faults_(faults) {
  for (const char* end : kEnds) std::filesystem::create_directories(dir_ / end);
  open_ends();
  start();
}

SerialCable::~SerialCable() {
  stop();
  close_ends();
}

std::filesystem::path SerialCable::end_name(std::size_t end) const { return dir_ / kEnds[end] / fmt::format("ttyUSB{}", mended_); }

SerialCable::Settings SerialCable::settings(std::size_t end) const {
  // The kernel's struct termios2, which has speeds as numbers: its header and <termios.h>, needed here, exclude each other.
  struct KernelTermios2 {
    tcflag_t iflag, oflag, cflag, lflag;
    cc_t line;
    cc_t cc[19];
    speed_t ispeed, ospeed;
  } now{};
  base::require(::ioctl(slaves_[end], _IOR('T', 0x2A, KernelTermios2), &now) == 0, "a pseudo terminal has settings");
  return {now.ospeed, (now.cflag & (CSIZE | PARENB | CSTOPB)) == CS8,
          (now.lflag & (ICANON | ECHO | ISIG)) == 0 && (now.iflag & (IXON | IXOFF | ICRNL | INLCR | ISTRIP)) == 0 && (now.oflag & OPOST) == 0,
          (now.cflag & CRTSCTS) != 0};
}

void SerialCable::open_ends() {
  for (std::size_t end = 0; end < 2; ++end) {
    std::array<char, 128> name{};
    base::require(openpty(&masters_[end], &slaves_[end], name.data(), nullptr, nullptr) == 0, "a pseudo terminal can be had");
    termios raw{};
    tcgetattr(slaves_[end], &raw);
    cfmakeraw(&raw);
    tcsetattr(slaves_[end], TCSANOW, &raw);
    for (const int descriptor : {masters_[end], slaves_[end]}) fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    fcntl(masters_[end], F_SETFL, O_NONBLOCK);
    std::filesystem::create_symlink(name.data(), end_name(end));
  }
}

void SerialCable::close_ends() {
  for (std::size_t end = 0; end < 2; ++end) {
    std::error_code gone;
    std::filesystem::remove(end_name(end), gone);
    for (int* descriptor : {&masters_[end], &slaves_[end]})
      if (*descriptor >= 0) ::close(std::exchange(*descriptor, -1));
  }
}

void SerialCable::start() {
  stop_ = false;
  thread_ = std::thread([this] { carry(); });
}

void SerialCable::stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void SerialCable::cut() {
  stop();
  close_ends();
  is_cut_ = true;
}

void SerialCable::mend(std::uint64_t cut_after_more) {
  cut();   // when the cable cut itself, its names are still there
  ++mended_;
  faults_.cut_after = cut_after_more == UINT64_MAX ? UINT64_MAX : carried_ + cut_after_more;
  is_cut_ = false;
  open_ends();
  start();
}

void SerialCable::put_noise(base::ByteView bytes) {
  const std::lock_guard lock(noise_mutex_);
  base::append(noise_, bytes);
}

void SerialCable::carry() {
  Direction there(faults_, masters_[0], masters_[1], faults_.seed * 2 + mended_);
  Direction back(faults_, masters_[1], masters_[0], faults_.seed * 2 + 1 + mended_);
  const bool timed = faults_.bytes_per_second > 0 || faults_.latency.count() > 0;
  auto next_release = Clock::now();
  while (!stop_) {
    if (Clock::now() >= next_release) {   // a program that was killed leaves its claim on a device that never closes here
      for (const int slave : slaves_) ::ioctl(slave, TIOCNXCL);
      next_release = Clock::now() + std::chrono::milliseconds(50);
    }
    if (timed) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    } else {
      const auto now = Clock::now();
      const auto events = [&](const Direction& in, const Direction& out) {
        return static_cast<short>((in.wants_to_read() ? POLLIN : 0) | (out.wants_to_write(now) ? POLLOUT : 0));
      };
      pollfd ends[2] = {{masters_[0], events(there, back), 0}, {masters_[1], events(back, there), 0}};
      (void)::poll(ends, 2, 20);
    }
    {
      const std::lock_guard lock(noise_mutex_);
      if (!noise_.empty()) {
        there.put(noise_);
        back.put(noise_);
        noise_.clear();
      }
    }
    const auto now = Clock::now();
    if (there.wants_to_read()) carried_ += there.read(now);
    if (back.wants_to_read()) carried_back_ += back.read(now);
    there.write(now);
    back.write(now);
    if (carried_ < faults_.cut_after) continue;
    // The masters go: reading and writing the devices fails from now on, as with an adapter that was pulled.
    for (int& master : masters_) ::close(std::exchange(master, -1));
    is_cut_ = true;
    return;
  }
}

}  // namespace tests
