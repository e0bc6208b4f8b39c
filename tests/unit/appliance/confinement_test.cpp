// What the kernel answers to a program of the appliance that asks for what it may not: each call is tried in a forked child that
// has put the filter on, and its error comes back as exit status.
#include "appliance/confinement.hpp"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <thread>

#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

constexpr int kWorked = 0;

int errno_of(long result) { return result < 0 ? errno : kWorked; }

// The errno that `call` gave in a child that is confined so; 255 when it could not be confined.
int in_child(const std::function<base::Result<void>()>& confine, const std::function<int()>& call) {
  const pid_t pid = fork();
  if (pid == 0) {
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    _exit(confine() ? call() : 255);
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

struct Try {
  const char* name;
  int wanted;
  std::function<int()> call;
};

int socket_errno(int family) { return errno_of(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

std::vector<Try> what_nobody_may() {
  return {
      {"AF_INET", EAFNOSUPPORT, [] { return socket_errno(AF_INET); }},
      {"AF_INET6", EAFNOSUPPORT, [] { return socket_errno(AF_INET6); }},
      {"AF_NETLINK", EAFNOSUPPORT, [] { return errno_of(socket(AF_NETLINK, SOCK_RAW, 0)); }},
      {"AF_PACKET", EAFNOSUPPORT, [] { return errno_of(socket(AF_PACKET, SOCK_RAW, 0)); }},
      {"AF_VSOCK", EAFNOSUPPORT, [] { return errno_of(socket(40, SOCK_STREAM, 0)); }},
      {"AF_UNIX with garbage above", EAFNOSUPPORT, [] { return errno_of(syscall(SYS_socket, (1L << 32) | AF_UNIX, SOCK_STREAM, 0)); }},
      {"ptrace", EPERM, [] { return errno_of(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }},
      {"process_vm_readv", EPERM, [] {
         char here = 0;
         char there = 0;
         iovec local{&here, 1};
         iovec remote{&there, 1};
         return errno_of(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
       }},
      {"pidfd_getfd", EPERM, [] { return errno_of(syscall(SYS_pidfd_getfd, -1, 0, 0)); }},
      {"io_uring", EPERM, [] {
         io_uring_params parameters{};
         return errno_of(syscall(SYS_io_uring_setup, 1, &parameters));
       }},
      {"bpf", EPERM, [] { return errno_of(syscall(SYS_bpf, 0, nullptr, 0)); }},
      {"perf_event_open", EPERM, [] { return errno_of(syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0)); }},
      {"keyctl", EPERM, [] { return errno_of(syscall(SYS_keyctl, 0, 0, 0, 0, 0)); }},
      {"unshare", EPERM, [] { return errno_of(unshare(CLONE_NEWUSER)); }},
      {"a child in a namespace", EPERM, [] { return errno_of(syscall(SYS_clone, CLONE_NEWNET, nullptr, nullptr, nullptr, nullptr)); }},
      {"mount", EPERM, [] { return errno_of(syscall(SYS_mount, "none", "/nowhere", "tmpfs", 0, nullptr)); }},
      {"clock_settime", EPERM, [] { return errno_of(syscall(SYS_clock_settime, 0, nullptr)); }},
      {"setuid", EPERM, [] { return errno_of(syscall(SYS_setuid, 0)); }},
      {"init_module", EPERM, [] { return errno_of(syscall(SYS_init_module, nullptr, 0, "")); }},
  };
}

int execute_errno(const char* program) {
  char* const arguments[] = {const_cast<char*>(program), nullptr};
  char* const no_environment[] = {nullptr};
  return errno_of(execve(program, arguments, no_environment));
}

class Confinement : public testing::Test {
 protected:
  void SetUp() override {
    if (!kConfines) GTEST_SKIP() << "builds with sanitizers confine nothing";
  }
};

TEST_F(Confinement, OfColdsealdLeavesItLocalSocketsAndTheInspectorOnly) {
  const auto confine = [] { return confine_daemon("/bin/true", std::nullopt); };
  for (const Try& tried : what_nobody_may()) EXPECT_EQ(in_child(confine, tried.call), tried.wanted) << tried.name;
  EXPECT_EQ(in_child(confine, [] { return socket_errno(AF_UNIX); }), kWorked);
  EXPECT_EQ(in_child(confine, [] { return execute_errno("/bin/true"); }), kWorked);
  if (confinement_in_words() == "seccomp and Landlock") {
    EXPECT_EQ(in_child(confine, [] { return execute_errno("/bin/sh"); }), EACCES);
    EXPECT_EQ(in_child(confine, [] { return execute_errno("/usr/bin/env"); }), EACCES);
  }
}

TEST_F(Confinement, OfColdsealdLetsItMoveFilesBetweenFoldersAsBefore) {
  const tests::TempDir folder;
  std::filesystem::create_directories(folder / "a");
  std::filesystem::create_directories(folder / "b");
  tests::write_text(folder / "a/file", "text");
  EXPECT_EQ(in_child([] { return confine_daemon("/bin/true", std::nullopt); },
                     [&] { return errno_of(rename((folder / "a/file").c_str(), (folder / "b/file").c_str())); }), kWorked);
}

TEST_F(Confinement, OfColdsealdLetsItBecomeTheInspectorsUserAndNoOther) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another";
  const auto confine = [] { return confine_daemon("/bin/true", UserIds{61003, 61003}); };
  const auto become = [](uid_t real, uid_t effective, uid_t saved) { return [=] { return errno_of(syscall(SYS_setresuid, real, effective, saved)); }; };
  EXPECT_EQ(in_child(confine, become(61003, 61003, 61003)), kWorked);
  EXPECT_EQ(in_child(confine, become(61003, 61003, 0)), EPERM);
  EXPECT_EQ(in_child(confine, become(0, 0, 0)), EPERM);
  EXPECT_EQ(in_child(confine, become(61001, 61001, 61001)), EPERM);
  EXPECT_EQ(in_child(confine, [] { return errno_of(syscall(SYS_setresgid, 0, 0, 0)); }), EPERM);
  EXPECT_EQ(in_child(confine, [] {
    const gid_t group = 0;
    return errno_of(syscall(SYS_setgroups, 1, &group));
  }), EPERM);
  EXPECT_EQ(in_child([] { return confine_daemon("/bin/true", std::nullopt); }, become(61003, 61003, 61003)), EPERM);
}

TEST_F(Confinement, OfConsoleAndAdminExecutesNothingAndBecomesNobody) {
  for (const Try& tried : what_nobody_may()) EXPECT_EQ(in_child(confine_console, tried.call), tried.wanted) << tried.name;
  EXPECT_EQ(in_child(confine_console, [] { return socket_errno(AF_UNIX); }), kWorked);
  EXPECT_EQ(in_child(confine_console, [] { return execute_errno("/bin/true"); }), EPERM);
  EXPECT_EQ(in_child(confine_console, [] { return errno_of(syscall(SYS_setresuid, 1, 1, 1)); }), EPERM);
}

TEST_F(Confinement, OfTheCourierHasNoSocketsAtAllAndStillItsThreads) {
  for (const Try& tried : what_nobody_may()) EXPECT_EQ(in_child(confine_courier, tried.call), tried.wanted) << tried.name;
  EXPECT_EQ(in_child(confine_courier, [] { return socket_errno(AF_UNIX); }), EAFNOSUPPORT);
  EXPECT_EQ(in_child(confine_courier, [] { return execute_errno("/bin/true"); }), EPERM);
  EXPECT_EQ(in_child(confine_courier, [] {
    int seen = 1;
    std::thread([&seen] { seen = kWorked; }).join();
    return seen;
  }), kWorked);
}

TEST_F(Confinement, HoldsInEveryThreadAndChildThatIsBegunLater) {
  const auto from_thread = [] {
    int seen = -1;
    std::thread([&seen] { seen = socket_errno(AF_INET); }).join();
    return seen;
  };
  EXPECT_EQ(in_child(confine_courier, from_thread), EAFNOSUPPORT);
  EXPECT_EQ(in_child(confine_courier, [] { return in_child([] { return base::Result<void>(); }, [] { return socket_errno(AF_INET); }); }), EAFNOSUPPORT);
}

TEST_F(Confinement, OfTheInspectorEndsItAtAnythingThatIsNotReadingWritingOrMemory) {
  constexpr int kEnded = 1000 + SIGSYS;
  for (const Try& tried : what_nobody_may()) EXPECT_EQ(in_child(confine_inspector, tried.call), kEnded) << tried.name;
  EXPECT_EQ(in_child(confine_inspector, [] { return socket_errno(AF_UNIX); }), kEnded);
  EXPECT_EQ(in_child(confine_inspector, [] { return errno_of(open("/etc/passwd", O_RDONLY)); }), kEnded);
  EXPECT_EQ(in_child(confine_inspector, [] { return execute_errno("/bin/true"); }), kEnded);
  EXPECT_EQ(in_child(confine_inspector, [] { return errno_of(kill(getppid(), 0)); }), kEnded);
  EXPECT_EQ(in_child(confine_inspector, [] { return errno_of(syscall(SYS_tgkill, getppid(), getppid(), 0)); }), kEnded);
  EXPECT_EQ(in_child(confine_inspector, [] { return errno_of(syscall(SYS_mmap, nullptr, 4096, 7, 0x22, -1, 0)); }), kEnded);   // to be executed
  EXPECT_EQ(in_child(confine_inspector, [] { return std::vector<char>(32U << 20U, 'x').back() == 'x' ? kWorked : 1; }), kWorked);
}

TEST(UserIds, AreNamesOrTwoNumbersAndNeverRootsByNumber) {
  EXPECT_EQ(must(user_ids("root")).user, 0U);
  EXPECT_EQ(must(user_ids("61003:61004")).user, 61003U);
  EXPECT_EQ(must(user_ids("61003:61004")).group, 61004U);
  expect_error(user_ids("no-such-user-here"), base::Errc::not_found, "the system knows none of that name");
  for (const char* const wrong : {"0:0", "1:", ":1", "1:x", "4294967295:1", "4294967296:1", "-1:1", "1:2:3"})
    expect_error(user_ids(wrong), base::Errc::usage, "the numbers of user and group");
}

}  // namespace
}  // namespace appliance
