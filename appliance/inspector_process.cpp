#include "appliance/inspector_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "crypto/base/limits.hpp"

namespace appliance {

using base::Bytes;
using base::Errc;
using base::fail;
using base::Result;

namespace {

constexpr rlim_t kInspectorMemory = 2ULL << 30;   // it streams what it reads; INFs and catalogs are bounded

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  int get() const { return number_; }
  void close() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

class Child {   // killed and reaped when it goes
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    wait();
  }
  int wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
};

void limit(__rlimit_resource resource, rlim_t most) {
  const rlimit both{most, most};
  (void)setrlimit(resource, &both);
}

// Whoever stops the appliance's programs stops the inspector with them; the package has nothing to do with it.
bool is_an_order_to_stop(int signal) { return signal == SIGTERM || signal == SIGINT || signal == SIGHUP; }

// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void become_inspector(int answer, char* const* arguments) {
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  (void)prctl(PR_SET_DUMPABLE, 0);
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(answer, STDOUT_FILENO) < 0 || dup2(nothing, STDERR_FILENO) < 0)
    _exit(126);
  (void)close_range(STDERR_FILENO + 1, ~0U, 0);
  limit(RLIMIT_CPU, 300);
#ifndef __SANITIZE_ADDRESS__   // whose shadow memory is larger than any limit
  limit(RLIMIT_AS, kInspectorMemory);
#endif
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NPROC, 0);
  limit(RLIMIT_NOFILE, base::limits::kPackageFiles + 64);
  char* const no_environment[] = {nullptr};
  execve(arguments[0], arguments, no_environment);
  _exit(127);
}

Result<Bytes> read_answer(int pipe, std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  Bytes answer;
  std::array<std::uint8_t, 64 * 1024> piece{};
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0)
      return fail(Errc::refused, fmt::format("the inspector did not finish within {} s", patience.count()));
    pollfd waiting{pipe, POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(left.count())) <= 0) continue;
    const ssize_t count = read(pipe, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(Errc::io, fmt::format("reading the inspector's answer: {}", std::strerror(errno)));
    if (count == 0) return answer;
    base::append(answer, std::span(piece).first(static_cast<std::size_t>(count)));
    if (answer.size() > base::limits::kInspectionBytes)
      return fail(Errc::too_large, fmt::format("the inspector answered more than {} bytes", base::limits::kInspectionBytes));
  }
}

}  // namespace

Result<Bytes> run_inspector(const InspectorJob& job) {
  std::string os_list;
  for (const std::string& target : job.os_targets) os_list += (os_list.empty() ? "" : ",") + target;
  std::vector<std::string> words{job.program.string(), job.files.string(), os_list, base::rfc3339(job.today)};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(Errc::io, fmt::format("no pipe for the inspector: {}", std::strerror(errno)));
  Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return fail(Errc::unavailable, fmt::format("the inspector could not be started: {}", std::strerror(errno)));
  if (pid == 0) become_inspector(writing.get(), arguments.data());
  Child child(pid);
  writing.close();
  Bytes answer = TRY(read_answer(reading.get(), job.patience));
  const int status = child.wait();
  if (WIFSIGNALED(status) && is_an_order_to_stop(WTERMSIG(status)))
    return fail(Errc::unavailable, fmt::format("the inspector was told to stop ({})", strsignal(WTERMSIG(status))));
  if (WIFSIGNALED(status))
    return fail(Errc::refused, fmt::format("the inspector was ended by signal {} ({}): the package is not to be trusted",
                                           WTERMSIG(status), strsignal(WTERMSIG(status))));
  if (WEXITSTATUS(status) == 126 || WEXITSTATUS(status) == 127)
    return fail(Errc::unavailable, fmt::format("{} could not be run", job.program.string()));
  if (WEXITSTATUS(status) != 0)
    return fail(Errc::refused, fmt::format("the inspector gave up with status {}", WEXITSTATUS(status)));
  return answer;
}

}  // namespace appliance
