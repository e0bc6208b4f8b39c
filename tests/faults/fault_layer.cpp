// A shared library for LD_PRELOAD that stands between the unchanged programs and the C library: it counts every call that
// changes something outside the program, and at the one a test chose it kills the program or lets the call fail. The programs
// hold no test code for this. COLDSEAL_FAULTS names the file that holds the FaultBlock. Calls of children are not counted.
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/faults/fault_block.hpp"

namespace {

using tests::FaultBlock;
using tests::FaultDeed;
using tests::FaultKind;

FaultBlock* block = nullptr;
pid_t owner = 0;
int trace = -1;

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
// Looked up once for each call that is replaced.
#define REAL(name) ([] { static auto* const found = real<decltype(::name)>(#name); return found; }())

__attribute__((constructor)) void open_block() {
  const char* const file = std::getenv("COLDSEAL_FAULTS");
  if (file == nullptr) return;
  const int descriptor = REAL(open)(file, O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return;
  void* const mapped = mmap(nullptr, sizeof(FaultBlock), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  close(descriptor);
  if (mapped == MAP_FAILED) return;
  owner = getpid();
  block = static_cast<FaultBlock*>(mapped);
  char beside[200];
  std::snprintf(beside, sizeof beside, "%s.trace", file);
  if (block->is_traced != 0) trace = REAL(open)(beside, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
}

// "fdatasync /.../audit.jsonl"
void describe(char* text, std::size_t room, const char* call, int descriptor, const char* path) {
  char target[200] = "";
  if (path != nullptr) {
    std::snprintf(target, sizeof target, "%s", path);
  } else {
    char link[40];
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t size = readlink(link, target, sizeof target - 1);
    target[std::max<ssize_t>(size, 0)] = '\0';
  }
  std::snprintf(text, room, "%s %s", call, target);
}

void note(const char* call, int descriptor, const char* path) {
  char line[300];
  describe(line, sizeof line - 1, call, descriptor, path);
  const std::size_t size = std::strlen(line);
  line[size] = '\n';
  (void)REAL(write)(trace, line, size + 1);
}

// What a line of the audit log says, before the line of the call that writes it: "event signed".
void note_event(const void* bytes, std::size_t size) {
  constexpr char kEvent[] = "\"event\":\"";
  const auto* const begin = static_cast<const char*>(bytes);
  const auto* const end = begin + size;
  const auto* const key = std::search(begin, end, kEvent, kEvent + sizeof kEvent - 1);
  if (key == end) return;
  const auto* const name = key + sizeof kEvent - 1;
  char line[80];
  const int length = std::snprintf(line, sizeof line, "event %.*s\n", static_cast<int>(std::find(name, end, '"') - name), name);
  (void)REAL(write)(trace, line, std::min<std::size_t>(static_cast<std::size_t>(length), sizeof line - 1));
}

enum class Verdict { go_on, half, fail };

// Counts the point, and says what is to become of it; errno is set for a call that is to fail.
Verdict pass(FaultKind kind, const char* call, int descriptor, const char* path) {
  if (block == nullptr || getpid() != owner) return Verdict::go_on;
  if ((block->kinds.load() & tests::mask_of(kind)) == 0) return Verdict::go_on;
  const int before = errno;
  if (trace >= 0) note(call, descriptor, path);
  errno = before;
  block->of_kind[static_cast<std::uint32_t>(kind)].fetch_add(1);
  const std::uint64_t number = block->points.fetch_add(1) + 1;
  const std::uint64_t at = block->at.load();
  const auto deed = static_cast<FaultDeed>(block->deed.load());
  const bool is_struck = at != 0 && (deed == FaultDeed::fail_on ? number >= at : number == at);
  if (!is_struck || deed == FaultDeed::none) return Verdict::go_on;
  if (block->struck.fetch_add(1) == 0) describe(block->what.data(), block->what.size(), call, descriptor, path);
  errno = before;
  switch (deed) {
    case FaultDeed::kill:
      (void)kill(owner, SIGKILL);
      for (;;) pause();
    case FaultDeed::kill_half:
      return Verdict::half;
    case FaultDeed::stop:
      (void)kill(owner, SIGTERM);
      errno = before;
      return Verdict::go_on;
    default:
      errno = block->error.load();
      return Verdict::fail;
  }
}

[[noreturn]] void die() {
  (void)kill(owner, SIGKILL);
  for (;;) pause();
}

// 0 to go on, -1 to fail. For calls that cannot be half done.
int pass_whole(FaultKind kind, const char* call, int descriptor, const char* path) {
  switch (pass(kind, call, descriptor, path)) {
    case Verdict::go_on:
      return 0;
    case Verdict::half:
      die();
    case Verdict::fail:
      return -1;
  }
  return 0;
}

// What is written to, or false for what is of no matter: pipes, the journal on standard error.
bool kind_of(int descriptor, FaultKind& kind) {
  if (block == nullptr || descriptor <= STDERR_FILENO) return false;
  const int before = errno;
  struct stat status {};
  bool matters = fstat(descriptor, &status) == 0;
  if (matters && S_ISREG(status.st_mode)) {
    kind = FaultKind::write;
  } else if (matters && S_ISSOCK(status.st_mode)) {
    sockaddr_un peer{};
    socklen_t size = sizeof peer;
    const bool is_tpm = getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &size) == 0 && peer.sun_family == AF_UNIX &&
                        size > offsetof(sockaddr_un, sun_path) && std::strstr(peer.sun_path, "/tpm") != nullptr;
    kind = is_tpm ? FaultKind::tpm : FaultKind::message;
  } else if (matters && S_ISCHR(status.st_mode) && isatty(descriptor) == 1) {
    kind = FaultKind::serial;
  } else {
    matters = false;
  }
  errno = before;
  return matters;
}

// `half` writes half of it and then the program is gone.
template <class Whole, class Half>
ssize_t written(const char* call, int descriptor, Whole whole, Half half) {
  FaultKind kind{};
  if (!kind_of(descriptor, kind)) return whole();
  switch (pass(kind, call, descriptor, nullptr)) {
    case Verdict::fail:
      return -1;
    case Verdict::half:
      (void)half();
      die();
    case Verdict::go_on:
      break;
  }
  return whole();
}

int waited(int timeout) {
  const std::uint32_t speed = block == nullptr ? 0 : block->clock_speed.load();
  return speed < 2 || timeout <= 0 ? timeout : std::max(1, timeout / static_cast<int>(speed));
}

mode_t mode_of(int flags, va_list arguments) { return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0; }

}  // namespace

extern "C" {

#define COLDSEAL_OPEN(name)                                                                                  \
  int name(const char* path, int flags, ...) {                                                               \
    va_list arguments;                                                                                       \
    va_start(arguments, flags);                                                                              \
    const mode_t mode = mode_of(flags, arguments);                                                           \
    va_end(arguments);                                                                                       \
    if ((flags & O_CREAT) != 0 && pass_whole(FaultKind::create, #name, -1, path) != 0) return -1;            \
    return REAL(name)(path, flags, mode);                                                                    \
  }
#define COLDSEAL_OPENAT(name)                                                                                \
  int name(int folder, const char* path, int flags, ...) {                                                   \
    va_list arguments;                                                                                       \
    va_start(arguments, flags);                                                                              \
    const mode_t mode = mode_of(flags, arguments);                                                           \
    va_end(arguments);                                                                                       \
    if ((flags & O_CREAT) != 0 && pass_whole(FaultKind::create, #name, -1, path) != 0) return -1;            \
    return REAL(name)(folder, path, flags, mode);                                                            \
  }
COLDSEAL_OPEN(open)
COLDSEAL_OPEN(open64)
COLDSEAL_OPENAT(openat)
COLDSEAL_OPENAT(openat64)

ssize_t write(int descriptor, const void* bytes, size_t size) {
  if (trace >= 0 && getpid() == owner) note_event(bytes, size);
  return written(
      "write", descriptor, [&] { return REAL(write)(descriptor, bytes, size); },
      [&] { return REAL(write)(descriptor, bytes, size / 2); });
}

ssize_t send(int descriptor, const void* bytes, size_t size, int flags) {
  return written(
      "send", descriptor, [&] { return REAL(send)(descriptor, bytes, size, flags); },
      [&] { return REAL(send)(descriptor, bytes, size / 2, flags); });
}

ssize_t sendmsg(int descriptor, const msghdr* message, int flags) {
  return written(
      "sendmsg", descriptor, [&] { return REAL(sendmsg)(descriptor, message, flags); }, [] { return ssize_t{0}; });
}

ssize_t writev(int descriptor, const iovec* pieces, int count) {
  return written(
      "writev", descriptor, [&] { return REAL(writev)(descriptor, pieces, count); },
      [&] { return REAL(writev)(descriptor, pieces, count / 2); });
}

int fsync(int descriptor) { return pass_whole(FaultKind::sync, "fsync", descriptor, nullptr) != 0 ? -1 : REAL(fsync)(descriptor); }

int fdatasync(int descriptor) {
  return pass_whole(FaultKind::sync, "fdatasync", descriptor, nullptr) != 0 ? -1 : REAL(fdatasync)(descriptor);
}

int rename(const char* from, const char* to) noexcept {
  return pass_whole(FaultKind::rename, "rename to", -1, to) != 0 ? -1 : REAL(rename)(from, to);
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  return pass_whole(FaultKind::rename, "renameat to", -1, to) != 0 ? -1 : REAL(renameat)(from_folder, from, to_folder, to);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  return pass_whole(FaultKind::rename, "renameat2 to", -1, to) != 0 ? -1 : REAL(renameat2)(from_folder, from, to_folder, to, flags);
}

int mkdir(const char* path, mode_t mode) noexcept {
  return pass_whole(FaultKind::folder, "mkdir", -1, path) != 0 ? -1 : REAL(mkdir)(path, mode);
}

int mkdirat(int folder, const char* path, mode_t mode) noexcept {
  return pass_whole(FaultKind::folder, "mkdirat", -1, path) != 0 ? -1 : REAL(mkdirat)(folder, path, mode);
}

int unlink(const char* path) noexcept { return pass_whole(FaultKind::remove, "unlink", -1, path) != 0 ? -1 : REAL(unlink)(path); }

int unlinkat(int folder, const char* path, int flags) noexcept {
  return pass_whole(FaultKind::remove, "unlinkat", -1, path) != 0 ? -1 : REAL(unlinkat)(folder, path, flags);
}

int rmdir(const char* path) noexcept { return pass_whole(FaultKind::remove, "rmdir", -1, path) != 0 ? -1 : REAL(rmdir)(path); }

int remove(const char* path) noexcept { return pass_whole(FaultKind::remove, "remove", -1, path) != 0 ? -1 : REAL(remove)(path); }

int ftruncate(int descriptor, off_t size) noexcept {
  return pass_whole(FaultKind::truncate, "ftruncate", descriptor, nullptr) != 0 ? -1 : REAL(ftruncate)(descriptor, size);
}

// Programs wait seconds before they try again; tests have thousands of such waits.
int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const int failed = REAL(clock_gettime)(clock, time);
  if (failed == 0 && clock == CLOCK_REALTIME && block != nullptr) time->tv_sec += block->clock_ahead.load();
  const std::uint32_t speed = block == nullptr ? 0 : block->clock_speed.load();
  if (failed != 0 || clock != CLOCK_MONOTONIC || speed < 2) return failed;
  const unsigned long long nanoseconds =
      (static_cast<unsigned long long>(time->tv_sec) * 1'000'000'000ULL + static_cast<unsigned long long>(time->tv_nsec)) * speed;
  time->tv_sec = static_cast<time_t>(nanoseconds / 1'000'000'000ULL);
  time->tv_nsec = static_cast<long>(nanoseconds % 1'000'000'000ULL);
  return 0;
}

// What they wait for by that clock. The second is what the first becomes in fortified builds.
int poll(pollfd* descriptors, nfds_t count, int timeout) { return REAL(poll)(descriptors, count, waited(timeout)); }

int __poll_chk(pollfd* descriptors, nfds_t count, int timeout, size_t) { return REAL(poll)(descriptors, count, waited(timeout)); }

}  // extern "C"
