#include "appliance/inspector_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <span>

#include "usb/files/file_source.hpp"
#include "usb/files/tree_walk.hpp"

namespace appliance {

using base::Bytes;
using base::Errc;
using base::fail;
using base::Result;

namespace {

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

using Moment = std::chrono::steady_clock::time_point;

class Child {   // killed and reaped when it goes
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
  }
  // Its status; nothing when it has not ended by then: one that closed its pipe need not go.
  std::optional<int> status_by(Moment deadline) {
    for (int step = 1;; step = std::min(2 * step, 50)) {
      int status = 0;
      const pid_t ended = waitpid(pid_, &status, WNOHANG);
      if (ended == pid_) {
        pid_ = -1;
        return status;
      }
      if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
      (void)poll(nullptr, 0, step);
    }
  }

 private:
  pid_t pid_;
};

// Whoever stops the appliance's programs stops the inspector with them; the package has nothing to do with it.
bool is_an_order_to_stop(int signal) { return signal == SIGTERM || signal == SIGINT || signal == SIGHUP; }

// ---- in the child: between fork and exec, async-signal-safe calls only ----------------------------------------------

// All that the child needs, made before the fork.
struct Prepared {
  const InspectorJob* job;
  char* const* arguments;
  std::span<const int> files;   // descriptors that it keeps
  int list;                     // becomes its standard input
  int answer;                   // becomes its standard output
  const PathRules* paths;
  const SystemCallFilter* calls;
};

void limit(__rlimit_resource resource, rlim_t most) {
  const rlimit both{most, most};
  (void)setrlimit(resource, &both);
}

void set_limits(const InspectorJob& job) {
  limit(RLIMIT_CPU, 300);
  if (kConfines) limit(RLIMIT_AS, job.memory);   // the sanitizers' shadow memory is larger than any limit
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_MSGQUEUE, 0);
  limit(RLIMIT_MEMLOCK, 0);
  // Who changes users is counted there, and could not be executed with a limit of none.
  limit(RLIMIT_NPROC, job.user ? 1 : 0);
  limit(RLIMIT_NOFILE, base::limits::kPackageFiles + 64);
}

bool become(const UserIds& user) {
  // Directly: glibc's functions would talk to threads that fork did not copy.
  if (syscall(SYS_setgroups, 0, nullptr) != 0 || syscall(SYS_setresgid, user.group, user.group, user.group) != 0 ||
      syscall(SYS_setresuid, user.user, user.user, user.user) != 0)
    return false;
  // The capability to become the inspector must not go with it.
  (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  return syscall(SYS_capset, &header, none) == 0;
}

[[noreturn]] void become_inspector(const Prepared& prepared) {
  (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  (void)prctl(PR_SET_DUMPABLE, 0);
  const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0 || dup2(prepared.list, STDIN_FILENO) < 0 || dup2(prepared.answer, STDOUT_FILENO) < 0 || dup2(nothing, STDERR_FILENO) < 0)
    _exit(126);
  (void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  for (const int file : prepared.files)
    if (fcntl(file, F_SETFD, 0) != 0) _exit(126);
  set_limits(*prepared.job);
  if (!prepared.paths->restrict_self()) _exit(126);
  if (prepared.job->user && !become(*prepared.job->user)) _exit(126);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);   // a change of user would have ended it
  if (kConfines && !prepared.calls->install()) _exit(126);
  char* const no_environment[] = {nullptr};
  execve(prepared.arguments[0], prepared.arguments, no_environment);
  _exit(127);
}

// ---- in coldseald ---------------------------------------------------------------------------------------------------

// "7\0driver/x.sys\0" for each file: its number in the child, its path in the package. In memory, as no pipe holds them all.
Result<int> list_of(const std::vector<usb::FoundFile>& found, std::span<const int> numbers) {
  std::string text;
  for (std::size_t i = 0; i < found.size(); ++i) text += fmt::format("{}", numbers[i]) + '\0' + found[i].path + '\0';
  const int list = memfd_create("files", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (list < 0) return fail(Errc::io, fmt::format("the inspector's list of files: {}", std::strerror(errno)));
  base::ByteView left = base::as_bytes(text);
  while (!left.empty()) {
    const ssize_t count = write(list, left.data(), left.size());
    if (count <= 0) {
      close(list);
      return fail(Errc::io, fmt::format("the inspector's list of files: {}", std::strerror(errno)));
    }
    left = left.subspan(static_cast<std::size_t>(count));
  }
  (void)fcntl(list, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  (void)lseek(list, 0, SEEK_SET);
  return list;
}

tl::unexpected<base::Error> fail_time(const InspectorJob& job) {
  return fail(Errc::refused, fmt::format("inspector.time: the inspector did not finish within {} s", job.patience.count()));
}

Result<Bytes> read_answer(int pipe, const InspectorJob& job, Moment deadline) {
  Bytes answer;
  std::array<std::uint8_t, 64 * 1024> piece{};
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return fail_time(job);
    pollfd waiting{pipe, POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(left.count())) <= 0) continue;
    const ssize_t count = read(pipe, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(Errc::io, fmt::format("reading the inspector's answer: {}", std::strerror(errno)));
    if (count == 0) return answer;
    base::append(answer, std::span(piece).first(static_cast<std::size_t>(count)));
    if (answer.size() > job.output)
      return fail(Errc::too_large, fmt::format("inspector.output: the inspector answered more than {} bytes", job.output));
  }
}

Result<void> judge_end(int status, const InspectorJob& job) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    const char* const name = strsignal(signal);
    if (is_an_order_to_stop(signal)) return fail(Errc::unavailable, fmt::format("the inspector was told to stop ({})", name));
    if (signal == SIGSYS)
      return fail(Errc::refused, "inspector.forbidden-call: the inspector asked the system for what it may not, and was ended: the package is not to be trusted");
    if (signal == SIGXCPU) return fail(Errc::refused, "inspector.time: the inspector used up its processor time");
    return fail(Errc::refused, fmt::format("inspector.crashed: the inspector was ended by signal {} ({}): the package is not to be trusted", signal, name));
  }
  switch (WEXITSTATUS(status)) {
    case 0:
      return {};
    case kInspectorOutOfMemory:
      return fail(Errc::refused, fmt::format("inspector.memory: the inspector wanted more than its {} MiB of memory", job.memory >> 20U));
    case 126:
    case 127:
      return fail(Errc::unavailable, fmt::format("{} could not be run", job.program.string()));
    default:
      return fail(Errc::refused, fmt::format("inspector.gave-up: the inspector gave up with status {}", WEXITSTATUS(status)));
  }
}

}  // namespace

Result<Bytes> run_inspector(const InspectorJob& job) {
  std::string os_list;
  for (const std::string& target : job.os_targets) os_list += (os_list.empty() ? "" : ",") + target;
  std::vector<std::string> words{job.program.string(), os_list, base::rfc3339(job.today)};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  if (access(job.program.c_str(), X_OK) != 0) return fail(Errc::unavailable, fmt::format("{} could not be run: {}", job.program.string(), std::strerror(errno)));
  const std::vector<usb::FoundFile> found = TRY(usb::files_below(job.files));
  std::deque<usb::FileSource> sources;
  std::vector<int> numbers;
  for (const usb::FoundFile& file : found) {
    sources.push_back(TRY(usb::FileSource::open(job.files / file.path)));
    numbers.push_back(sources.back().descriptor());
  }
  const Descriptor list(TRY(list_of(found, numbers)));
  const PathRules paths = TRY(PathRules::load_only(job.program));
  const SystemCallFilter calls = TRY(SystemCallFilter::for_inspector_start());

  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(Errc::io, fmt::format("no pipe for the inspector: {}", std::strerror(errno)));
  Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  const Prepared prepared{&job, arguments.data(), numbers, list.get(), writing.get(), &paths, &calls};
  const pid_t pid = fork();
  if (pid < 0) return fail(Errc::unavailable, fmt::format("the inspector could not be started: {}", std::strerror(errno)));
  if (pid == 0) become_inspector(prepared);
  Child child(pid);
  writing.close();
  const Moment deadline = std::chrono::steady_clock::now() + job.patience;
  Bytes answer = TRY(read_answer(reading.get(), job, deadline));
  const std::optional<int> status = child.status_by(deadline);
  if (!status) return fail_time(job);
  TRY(judge_end(*status, job));
  return answer;
}

}  // namespace appliance
