#include "appliance/terminal.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

namespace {

// Until it goes. A signal that would end the program waits meanwhile, so that nobody is left at a terminal that does not
// echo: pending() becomes readable, and the signal acts when the echo is back.
class EchoOff {
 public:
  EchoOff() {
    sigset_t ending;
    sigemptyset(&ending);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) sigaddset(&ending, signal);
    (void)sigprocmask(SIG_BLOCK, &ending, &mask_before_);
    pending_ = signalfd(-1, &ending, SFD_CLOEXEC);
    worked_ = tcgetattr(STDIN_FILENO, &before_) == 0;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    worked_ = worked_ && tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet) == 0;
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;
  ~EchoOff() {
    if (worked_) (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
    if (pending_ >= 0) (void)close(pending_);
    (void)sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
  }
  bool worked() const { return worked_; }
  int pending() const { return pending_; }

 private:
  termios before_{};
  sigset_t mask_before_{};
  int pending_ = -1;
  bool worked_ = false;
};

}  // namespace

void Terminal::show(std::string_view line) {
  fmt::print("{}\n", line);
  (void)std::fflush(stdout);
}

Result<std::size_t> Terminal::read_line(std::span<std::uint8_t> into, int pending_signal) {
  std::size_t size = 0;
  for (;;) {
    pollfd ready[2] = {{STDIN_FILENO, POLLIN, 0}, {pending_signal, POLLIN, 0}};   // a negative one is not looked at
    if (poll(ready, 2, -1) < 0 && errno != EINTR) return fail(Errc::io, fmt::format("keyboard: {}", std::strerror(errno)));
    if ((ready[1].revents & POLLIN) != 0) return fail(Errc::unavailable, "interrupted");
    if (ready[0].revents == 0) continue;
    std::uint8_t octet = 0;
    const ssize_t count = read(STDIN_FILENO, &octet, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(Errc::io, fmt::format("keyboard: {}", std::strerror(errno)));
    if (count == 0) return fail(Errc::unavailable, "the input has ended");
    if (octet == '\n' || octet == '\r') break;
    if (size < into.size()) into[size] = octet;
    ++size;
  }
  if (size > into.size()) return fail(Errc::usage, fmt::format("too long: at most {} characters", into.size()));
  return size;
}

Result<std::string> Terminal::ask(std::string_view prompt) {
  for (;;) {
    fmt::print("{}", prompt);
    (void)std::fflush(stdout);
    std::array<std::uint8_t, base::limits::kNoteBytes> typed{};
    const Result<std::size_t> size = read_line(typed, -1);
    if (size) return std::string(base::trim(base::as_text(std::span(typed).first(*size))));
    if (size.error().code() != Errc::usage) return tl::unexpected<base::Error>(size.error());
    show(size.error().text());
  }
}

Result<base::SecretBytes> Terminal::ask_secret(std::string_view prompt) {
  const EchoOff quiet;
  if (!quiet.worked()) return fail(Errc::usage, "a PIN is typed at a terminal, not piped in");
  fmt::print("{}", prompt);
  (void)std::fflush(stdout);
  base::SecretBytes typed(base::limits::kPinBytes);
  Result<std::size_t> size = read_line(typed.writable(), quiet.pending());
  show("");
  if (!size) return tl::unexpected<base::Error>(size.error());
  typed.shorten(*size);
  return typed;
}

}  // namespace appliance
