#include "tests/support/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <thread>
#include <utility>

#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPoll{10};

[[noreturn]] void give_up(const std::string& what) { throw std::runtime_error(what); }

std::string shown(const Command& command) {
  std::string text;
  for (const std::string& word : command) text += (text.empty() ? "" : " ") + word;
  return text;
}

[[noreturn]] void become(const Command& command) {
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);   // nothing outlives a test that crashed
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  const std::string complaint = command[0] + ": " + std::strerror(errno) + "\n";
  (void)!write(STDERR_FILENO, complaint.data(), complaint.size());
  _exit(127);
}

int status_of(int raw) { return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw); }

int reap(pid_t pid) {
  int raw = 0;
  while (waitpid(pid, &raw, 0) < 0 && errno == EINTR) {
  }
  return status_of(raw);
}

}  // namespace

std::string program(std::string_view name) { return std::string(COLDSEAL_BIN_DIR) + "/" + std::string(name); }

Finished run(const Command& command, std::string_view input) {
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) give_up("no pipe");
  const pid_t pid = fork();
  if (pid < 0) give_up("no process");
  if (pid == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(out[1], STDERR_FILENO);
    become(command);
  }
  close(in[0]);
  close(out[1]);
  // Inputs here are short enough for a pipe's buffer.
  (void)!write(in[1], input.data(), input.size());
  close(in[1]);
  Finished finished;
  std::array<char, 4096> piece{};
  for (ssize_t count = 0; (count = read(out[0], piece.data(), piece.size())) != 0;) {
    if (count > 0) finished.output.append(piece.data(), static_cast<std::size_t>(count));
    if (count < 0 && errno != EINTR) break;
  }
  close(out[0]);
  finished.status = reap(pid);
  return finished;
}

std::string run_well(const Command& command, std::string_view input) {
  Finished finished = run(command, input);
  if (finished.status != 0)
    give_up(shown(command) + "\nended with status " + std::to_string(finished.status) + ":\n" + finished.output);
  return std::move(finished.output);
}

Background::Background(const Command& command, const std::filesystem::path& log) : log_(log) {
  std::filesystem::create_directories(log.parent_path());
  pid_ = fork();
  if (pid_ < 0) give_up("no process");
  if (pid_ == 0) {
    const int to = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    const int from = open("/dev/null", O_RDONLY);
    dup2(from, STDIN_FILENO);
    dup2(to, STDOUT_FILENO);
    dup2(to, STDERR_FILENO);
    become(command);
  }
}

Background::Background(Background&& other) noexcept : pid_(std::exchange(other.pid_, -1)), log_(std::move(other.log_)) {}

Background& Background::operator=(Background&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(log_, other.log_);
  return *this;
}

Background::~Background() { end(); }

void Background::finish(int signal) {
  if (pid_ < 0) return;
  ::kill(pid_, signal);
  for (int i = 0; i < 500; ++i) {
    int raw = 0;
    if (waitpid(pid_, &raw, WNOHANG) == pid_) {
      pid_ = -1;
      return;
    }
    std::this_thread::sleep_for(kPoll);
  }
  ::kill(pid_, SIGKILL);
  reap(pid_);
  pid_ = -1;
}

void Background::end() { finish(SIGTERM); }
void Background::kill() { finish(SIGKILL); }

bool Background::is_running() {
  int raw = 0;
  if (pid_ >= 0 && waitpid(pid_, &raw, WNOHANG) == pid_) pid_ = -1;
  return pid_ >= 0;
}

std::string Background::log() const { return std::filesystem::exists(log_) ? read_text(log_) : std::string(); }

void Background::wait_for(std::string_view text, std::chrono::seconds patience) {
  const auto deadline = Clock::now() + patience;
  while (log().find(text) == std::string::npos) {
    if (!is_running() || Clock::now() > deadline)
      give_up("waited for \"" + std::string(text) + "\" in " + log_.string() + ":\n" + log());
    std::this_thread::sleep_for(kPoll);
  }
}

AtTerminal::AtTerminal(const Command& command, bool show) : show_(show) {
  winsize size{};
  size.ws_row = 50;
  size.ws_col = 132;
  pid_ = forkpty(&terminal_, nullptr, nullptr, &size);
  if (pid_ < 0) give_up("no pseudo-terminal");
  if (pid_ == 0) become(command);
  (void)fcntl(terminal_, F_SETFD, FD_CLOEXEC);
}

AtTerminal::~AtTerminal() {
  if (terminal_ >= 0) close(terminal_);
  if (pid_ >= 0) {
    ::kill(pid_, SIGKILL);
    reap(pid_);
  }
}

bool AtTerminal::read_some(std::chrono::milliseconds patience) {
  pollfd ready{terminal_, POLLIN, 0};
  if (poll(&ready, 1, static_cast<int>(patience.count())) <= 0) return true;
  std::array<char, 4096> piece{};
  const ssize_t count = read(terminal_, piece.data(), piece.size());
  if (count <= 0) return count < 0 && errno == EINTR;
  screen_.append(piece.data(), static_cast<std::size_t>(count));
  if (show_) std::cout.write(piece.data(), count).flush();
  return true;
}

std::string AtTerminal::expect(std::string_view text, std::chrono::seconds patience) {
  const auto deadline = Clock::now() + patience;
  for (bool open = true;;) {
    const std::size_t found = screen_.find(text, seen_);
    if (found != std::string::npos) {
      const std::size_t end = found + text.size();
      std::string came = screen_.substr(seen_, end - seen_);
      seen_ = end;
      return came;
    }
    if (!open || Clock::now() > deadline)
      give_up("waited for \"" + std::string(text) + "\" on a screen that shows:\n" + screen_.substr(seen_));
    open = read_some(std::chrono::milliseconds(100));
  }
}

std::size_t AtTerminal::expect_any(const std::vector<std::string>& texts, std::chrono::seconds patience) {
  const auto deadline = Clock::now() + patience;
  for (bool open = true;;) {
    std::size_t which = texts.size();
    std::size_t first = std::string::npos;
    for (std::size_t i = 0; i < texts.size(); ++i)
      if (const std::size_t found = screen_.find(texts[i], seen_); found < first) {
        first = found;
        which = i;
      }
    if (which < texts.size()) {
      seen_ = first + texts[which].size();
      return which;
    }
    if (!open) return texts.size();
    if (Clock::now() > deadline) give_up("waited in vain on a screen that shows:\n" + screen_.substr(seen_));
    open = read_some(std::chrono::milliseconds(100));
  }
}

void AtTerminal::type(std::string_view line) {
  const std::string typed = std::string(line) + "\n";
  if (write(terminal_, typed.data(), typed.size()) != static_cast<ssize_t>(typed.size())) give_up("the terminal took no input");
}

bool AtTerminal::echoes() const {
  termios state{};
  return tcgetattr(terminal_, &state) == 0 && (state.c_lflag & ECHO) != 0;
}

void AtTerminal::hang_up() {
  if (terminal_ >= 0) close(terminal_);
  terminal_ = -1;
}

int AtTerminal::wait(std::chrono::seconds patience) {
  const auto deadline = Clock::now() + patience;
  while (terminal_ >= 0 && read_some(std::chrono::milliseconds(100)))
    if (Clock::now() > deadline) give_up("the program did not end; its screen shows:\n" + screen_.substr(seen_));
  const int status = reap(pid_);
  pid_ = -1;
  return status;
}

void wait_until(std::string_view what, const std::function<bool()>& holds, std::chrono::seconds patience) {
  const auto deadline = Clock::now() + patience;
  while (!holds()) {
    if (Clock::now() > deadline) give_up("waited in vain until " + std::string(what));
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace tests
