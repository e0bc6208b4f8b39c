#include "host-tool/terminal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "crypto/base/text.hpp"
#include "usb/files/file_source.hpp"

namespace host_tool {
namespace {

using base::Errc;
using base::fail;
using base::Result;
using base::SecretBytes;

class Tty {  // the controlling terminal with echo off, until it goes
 public:
  Tty() : descriptor_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {
    if (descriptor_ < 0 || tcgetattr(descriptor_, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ECHONL | ICANON | ISIG;
    is_silent_ = tcsetattr(descriptor_, TCSAFLUSH, &silent) == 0;
  }
  Tty(const Tty&) = delete;
  Tty& operator=(const Tty&) = delete;
  ~Tty() {
    if (is_silent_) (void)tcsetattr(descriptor_, TCSAFLUSH, &before_);
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  bool is_silent() const { return is_silent_; }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
  termios before_{};
  bool is_silent_ = false;
};

void write_text(int descriptor, std::string_view text) {
  // A prompt that cannot be written changes nothing: the person sees no prompt.
  [[maybe_unused]] const ssize_t written = ::write(descriptor, text.data(), text.size());
}

}  // namespace

Result<SecretBytes> ask_pass_phrase(std::string_view prompt) {
  const Tty tty;
  if (!tty.is_silent())
    return fail(Errc::usage, "there is no terminal to ask for the pass phrase on; give --passphrase-file FILE");
  write_text(tty.descriptor(), prompt);
  SecretBytes typed(kPassPhraseBytes + 1);
  std::size_t size = 0;
  while (size < typed.size()) {
    const ssize_t count = ::read(tty.descriptor(), typed.writable().subspan(size).data(), 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0 || typed.reveal()[size] == '\n') break;
    ++size;
  }
  if (size > kPassPhraseBytes)
    return fail(Errc::usage, fmt::format("a pass phrase has at most {} bytes", kPassPhraseBytes));
  typed.shorten(size);
  if (typed.empty()) return fail(Errc::usage, "an empty pass phrase");
  return typed;
}

Result<SecretBytes> pass_phrase_from_file(const std::string& file) {
  const usb::FileSource source = TRY(usb::FileSource::open(file));
  SecretBytes read(std::min<std::size_t>(source.size(), kPassPhraseBytes + 1));
  TRY(base::within(file, source.read_at(0, read.writable())));
  const auto line_end = std::find_if(read.reveal().begin(), read.reveal().end(),
                                     [](std::uint8_t octet) { return octet == '\n' || octet == '\r'; });
  const auto size = static_cast<std::size_t>(line_end - read.reveal().begin());
  if (size > kPassPhraseBytes)
    return fail(Errc::usage, fmt::format("{}: a pass phrase has at most {} bytes", file, kPassPhraseBytes));
  read.shorten(size);
  if (read.empty()) return fail(Errc::usage, fmt::format("{}: its first line, the pass phrase, is empty", file));
  return read;
}

void TransferRate::note(std::uint64_t done, std::chrono::steady_clock::time_point now) {
  constexpr std::size_t kMarks = 11;
  last_ = {done, now};
  if (!marks_.empty() && now - marks_.back().at < std::chrono::seconds(1)) return;
  marks_.push_back(last_);
  if (marks_.size() > kMarks) marks_.pop_front();
}

std::optional<double> TransferRate::bytes_per_second() const {
  if (marks_.empty() || last_.done <= marks_.front().done) return std::nullopt;
  const std::chrono::duration<double> time = last_.at - marks_.front().at;
  if (time < std::chrono::seconds(2)) return std::nullopt;
  return static_cast<double>(last_.done - marks_.front().done) / time.count();
}

ProgressBar::ProgressBar(std::string what, Rate rate)
    : what_(std::move(what)), rate_(rate), on_terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() { wipe(); }

void ProgressBar::wipe() {
  if (shown_percent_) fmt::print(stderr, "\r\x1b[K");
  shown_percent_.reset();
  shown_.clear();
}

namespace {

std::string rate_text(double bytes_per_second) {
  if (bytes_per_second >= 1e6) return fmt::format("{:.1f} MB/s", bytes_per_second / 1e6);
  return fmt::format("{:.1f} kB/s", bytes_per_second / 1e3);
}

std::string time_text(std::uint64_t seconds) {
  if (seconds >= 3600) return fmt::format("{}:{:02}:{:02} left", seconds / 3600, seconds / 60 % 60, seconds % 60);
  return fmt::format("{}:{:02} left", seconds / 60, seconds % 60);
}

}  // namespace

void ProgressBar::show(std::uint64_t done, std::uint64_t total, const TransferRate& rate) {
  if (!on_terminal_ || total == 0) return;
  const auto percent = static_cast<unsigned>(std::min<std::uint64_t>(100, done / ((total + 99) / 100)));
  std::string text = fmt::format("{} [{:<20}] {}%", what_, std::string(percent / 5, '#'), percent);
  if (const auto speed = rate.bytes_per_second(); rate_ == Rate::shown && speed)
    text += fmt::format("  {}  {}", rate_text(*speed), time_text(static_cast<std::uint64_t>(
                                                           static_cast<double>(total - std::min(done, total)) / *speed)));
  if (shown_percent_ && shown_ == text) return;
  shown_percent_ = percent;
  shown_ = std::move(text);
  fmt::print(stderr, "\r\x1b[K{}", shown_);
  std::fflush(stderr);
}

}  // namespace host_tool
