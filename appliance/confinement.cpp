#include "appliance/confinement.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include "crypto/base/text.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

namespace {
// Neither root's nor the one that means "leave it as it is".
std::optional<std::uint32_t> id_number(std::string_view digits) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
  if (error != std::errc{} || end != digits.end() || number == 0 || number == ~0U) return std::nullopt;
  return number;
}
}

Result<UserIds> user_ids(const std::string& name) {
  if (const std::size_t colon = name.find(':'); colon != std::string::npos) {
    const std::optional<std::uint32_t> user = id_number(std::string_view(name).substr(0, colon));
    const std::optional<std::uint32_t> group = id_number(std::string_view(name).substr(colon + 1));
    if (user && group) return UserIds{*user, *group};
    return fail(Errc::usage, fmt::format("user \"{}\": a name, or the numbers of user and group such as 61002:61002", base::printable(name)));
  }
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16384> room{};
  (void)getpwnam_r(name.c_str(), &entry, room.data(), room.size(), &found);
  if (found == nullptr) return fail(Errc::not_found, fmt::format("user \"{}\": the system knows none of that name", base::printable(name)));
  return UserIds{found->pw_uid, found->pw_gid};
}

// ---- seccomp ------------------------------------------------------------------------------------------------------

// A filter being written down with libseccomp, which knows the numbers of the calls on each machine.
class FilterDraft {
 public:
  explicit FilterDraft(std::uint32_t otherwise) : context_(seccomp_init(otherwise)) {
    note(context_ == nullptr ? -ENOMEM : seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
  }
  void add(std::uint32_t action, std::initializer_list<int> calls) {
    for (const int call : calls) note(seccomp_rule_add(context_.get(), action, call, 0));
  }
  void add_if(std::uint32_t action, int call, const scmp_arg_cmp& argument) {
    note(seccomp_rule_add_array(context_.get(), action, call, 1, &argument));
  }
  Result<SystemCallFilter> finish() const {
    int ends[2] = {-1, -1};
    if (error_ == 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) error_ = -errno;
    if (error_ != 0) return fail(Errc::unavailable, fmt::format("a system call filter: {}", std::strerror(-error_)));
    std::vector<sock_filter> program;
    const int written = seccomp_export_bpf(context_.get(), ends[1]);
    close(ends[1]);
    sock_filter instruction{};
    while (read(ends[0], &instruction, sizeof instruction) == sizeof instruction) program.push_back(instruction);
    close(ends[0]);
    if (written != 0 || program.empty()) return fail(Errc::unavailable, "a system call filter: it could not be put into the kernel's form");
    return SystemCallFilter(std::move(program));
  }

 private:
  void note(int result) {
    if (result < 0 && error_ == 0) error_ = result;
  }
  struct Release {
    void operator()(void* context) const { seccomp_release(context); }
  };
  std::unique_ptr<void, Release> context_;
  mutable int error_ = 0;
};

namespace {

constexpr std::uint32_t kDenied = SCMP_ACT_ERRNO(EPERM);

scmp_arg_cmp unlike(unsigned argument, std::uint64_t value) { return {argument, SCMP_CMP_NE, value, 0}; }
scmp_arg_cmp bits(unsigned argument, std::uint64_t mask, std::uint64_t value) { return {argument, SCMP_CMP_MASKED_EQ, mask, value}; }

// What no program of the appliance has any business with. io_uring among it: it opens sockets past every filter.
FilterDraft what_nobody_may() {
  FilterDraft draft(SCMP_ACT_ALLOW);
  draft.add(kDenied, {SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise),
                      SCMP_SYS(kcmp), SCMP_SYS(pidfd_getfd), SCMP_SYS(perf_event_open), SCMP_SYS(bpf), SCMP_SYS(userfaultfd)});
  draft.add(kDenied, {SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register)});
  draft.add(kDenied, {SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl)});
  draft.add(kDenied, {SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
                      SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(acct),
                      SCMP_SYS(quotactl), SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(syslog), SCMP_SYS(personality),
                      SCMP_SYS(modify_ldt), SCMP_SYS(vhangup)});
  draft.add(kDenied, {SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(move_mount),
                      SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick),
                      SCMP_SYS(mount_setattr), SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(open_by_handle_at),
                      SCMP_SYS(mknod), SCMP_SYS(mknodat)});
  draft.add(kDenied, {SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(adjtimex), SCMP_SYS(clock_adjtime),
                      SCMP_SYS(sethostname), SCMP_SYS(setdomainname)});
  draft.add(kDenied, {SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setfsuid), SCMP_SYS(setfsgid)});
  // Its flags lie in memory, where no filter looks; glibc takes clone instead when the kernel has no clone3.
  draft.add(SCMP_ACT_ERRNO(ENOSYS), {SCMP_SYS(clone3)});
  for (const unsigned flag : {unsigned{CLONE_NEWNS}, unsigned{CLONE_NEWUSER}, unsigned{CLONE_NEWNET}, unsigned{CLONE_NEWPID}, unsigned{CLONE_NEWIPC}, unsigned{CLONE_NEWUTS}, unsigned{CLONE_NEWCGROUP}})
    draft.add_if(kDenied, SCMP_SYS(clone), bits(0, flag, flag));
  return draft;
}

void deny_becoming_another(FilterDraft& draft) {
  draft.add(kDenied, {SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setgroups), SCMP_SYS(capset)});
}

void allow_local_sockets_only(FilterDraft& draft) {
  for (const int call : {SCMP_SYS(socket), SCMP_SYS(socketpair)}) draft.add_if(SCMP_ACT_ERRNO(EAFNOSUPPORT), call, unlike(0, AF_UNIX));
}

void allow_what_the_inspector_needs(FilterDraft& draft) {
  draft.add(SCMP_ACT_ALLOW, {SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(brk), SCMP_SYS(munmap),
                             SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(exit), SCMP_SYS(exit_group),
                             SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(getpid), SCMP_SYS(gettid),
                             SCMP_SYS(clock_gettime), SCMP_SYS(getrandom), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
                             SCMP_SYS(restart_syscall)});
  // No threads, and an answer that the code which would like one understands (crypto/base/two_threads.hpp).
  draft.add(SCMP_ACT_ERRNO(ENOSYS), {SCMP_SYS(clone3)});
  draft.add_if(SCMP_ACT_ERRNO(EAGAIN), SCMP_SYS(clone), bits(0, CLONE_THREAD, CLONE_THREAD));
}

}  // namespace

Result<SystemCallFilter> SystemCallFilter::for_daemon(const std::optional<UserIds>& inspector) {
  FilterDraft draft = what_nobody_may();
  allow_local_sockets_only(draft);
  draft.add(kDenied, {SCMP_SYS(execveat)});
  if (!inspector) {
    deny_becoming_another(draft);
    return draft.finish();
  }
  for (const unsigned argument : {0U, 1U, 2U}) {
    draft.add_if(kDenied, SCMP_SYS(setresuid), unlike(argument, inspector->user));
    draft.add_if(kDenied, SCMP_SYS(setresgid), unlike(argument, inspector->group));
  }
  draft.add_if(kDenied, SCMP_SYS(setgroups), unlike(0, 0));
  return draft.finish();
}

Result<SystemCallFilter> SystemCallFilter::for_console() {
  FilterDraft draft = what_nobody_may();
  allow_local_sockets_only(draft);
  deny_becoming_another(draft);
  draft.add(kDenied, {SCMP_SYS(execve), SCMP_SYS(execveat)});
  return draft.finish();
}

Result<SystemCallFilter> SystemCallFilter::for_courier() {
  FilterDraft draft = what_nobody_may();
  deny_becoming_another(draft);
  draft.add(kDenied, {SCMP_SYS(execve), SCMP_SYS(execveat)});
  draft.add(SCMP_ACT_ERRNO(EAFNOSUPPORT), {SCMP_SYS(socket), SCMP_SYS(socketpair)});
  return draft.finish();
}

Result<SystemCallFilter> SystemCallFilter::for_inspector_start() {
  FilterDraft draft(SCMP_ACT_KILL_PROCESS);
  allow_what_the_inspector_needs(draft);
  draft.add(SCMP_ACT_ALLOW, {SCMP_SYS(execve), SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(access), SCMP_SYS(faccessat),
                             SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(stat), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(lseek),
                             SCMP_SYS(fcntl), SCMP_SYS(pipe2), SCMP_SYS(arch_prctl), SCMP_SYS(set_tid_address),
                             SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(prlimit64), SCMP_SYS(getrlimit), SCMP_SYS(prctl),
                             SCMP_SYS(seccomp), SCMP_SYS(uname), SCMP_SYS(tgkill)});
  draft.add_if(SCMP_ACT_ALLOW, SCMP_SYS(open), bits(1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
  draft.add_if(SCMP_ACT_ALLOW, SCMP_SYS(openat), bits(2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
  return draft.finish();
}

Result<SystemCallFilter> SystemCallFilter::for_inspector() {
  FilterDraft draft(SCMP_ACT_KILL_PROCESS);
  allow_what_the_inspector_needs(draft);
  for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) draft.add_if(SCMP_ACT_ALLOW, call, bits(2, PROT_EXEC, 0));
  draft.add_if(SCMP_ACT_ALLOW, SCMP_SYS(tgkill), {0, SCMP_CMP_EQ, static_cast<std::uint64_t>(getpid()), 0});   // abort()
  return draft.finish();
}

bool SystemCallFilter::install() const {
  // The kernel only reads it; its structure lacks the const.
  const sock_fprog program{static_cast<unsigned short>(program_.size()), const_cast<sock_filter*>(program_.data())};
  return prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, &program) == 0;
}

// ---- Landlock -----------------------------------------------------------------------------------------------------

namespace {

// glibc 2.36 has no wrappers for these.
long landlock_version() { return syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION); }

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kExecute = LANDLOCK_ACCESS_FS_EXECUTE;
// Everything that version 1 knows: execute, write, read, remove and make whatever.
constexpr std::uint64_t kEverything = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1U) - 1;

// The kernel executes the loader for the program.
constexpr std::array kLoaders{"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"};
constexpr std::array kLibraries{"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"};

bool allow(int ruleset, const std::filesystem::path& path, std::uint64_t access) {
  const int opened = open(path.c_str(), O_PATH | O_CLOEXEC);
  if (opened < 0) return errno == ENOENT;
  struct stat about {};
  if (fstat(opened, &about) == 0 && !S_ISDIR(about.st_mode)) access &= ~static_cast<std::uint64_t>(LANDLOCK_ACCESS_FS_READ_DIR);
  landlock_path_beneath_attr rule{};
  rule.allowed_access = access;
  rule.parent_fd = opened;
  const bool added = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
  close(opened);
  return added;
}

Result<int> ruleset_over(std::uint64_t handled, const std::filesystem::path& program, std::span<const char* const> readable) {
  if (!kConfines || landlock_version() < 1) return -1;
  landlock_ruleset_attr attributes{};
  // What the path rules leave alone must stay as it was: moving files between folders is the one thing that any rules take away.
  const bool leaves_moves = handled != kEverything && landlock_version() >= 2;
  attributes.handled_access_fs = handled | (leaves_moves ? LANDLOCK_ACCESS_FS_REFER : 0);
  const long made = syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
  if (made < 0) return fail(Errc::unavailable, fmt::format("Landlock: {}", std::strerror(errno)));
  const int ruleset = static_cast<int>(made);
  bool all = allow(ruleset, program, (kRead | kExecute) & handled);
  if (leaves_moves) all = allow(ruleset, "/", LANDLOCK_ACCESS_FS_REFER) && all;
  for (const char* const loader : kLoaders) all = allow(ruleset, loader, (kRead | kExecute) & handled) && all;
  for (const char* const folder : readable) all = allow(ruleset, folder, kRead) && all;
  if (all) return ruleset;
  const int why = errno;
  close(ruleset);
  return fail(Errc::unavailable, fmt::format("Landlock rules for {}: {}", base::printable(program.string()), std::strerror(why)));
}

}  // namespace

Result<PathRules> PathRules::execute_only(const std::filesystem::path& program) { return PathRules(TRY(ruleset_over(kExecute, program, {}))); }

Result<PathRules> PathRules::load_only(const std::filesystem::path& program) {
  return PathRules(TRY(ruleset_over(kEverything, program, kLibraries)));
}

PathRules::PathRules(PathRules&& other) noexcept : ruleset_(std::exchange(other.ruleset_, -1)) {}

PathRules& PathRules::operator=(PathRules&& other) noexcept {
  std::swap(ruleset_, other.ruleset_);
  return *this;
}

PathRules::~PathRules() {
  if (ruleset_ >= 0) close(ruleset_);
}

bool PathRules::restrict_self() const { return ruleset_ < 0 || syscall(SYS_landlock_restrict_self, ruleset_, 0) == 0; }

// ---- the programs -------------------------------------------------------------------------------------------------

namespace {

Result<void> put_on(const Result<SystemCallFilter>& filter) {
  if (!filter) return tl::unexpected<base::Error>(filter.error());
  if (!kConfines) return {};
  (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (!filter->install())
    return fail(Errc::unavailable, fmt::format("this kernel takes no system call filter ({}): the program would be unconfined", std::strerror(errno)));
  return {};
}

}  // namespace

Result<void> confine_daemon(const std::filesystem::path& inspector, const std::optional<UserIds>& inspector_user) {
  (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const PathRules rules = TRY(PathRules::execute_only(inspector));
  if (!rules.restrict_self()) return fail(Errc::unavailable, fmt::format("Landlock: {}", std::strerror(errno)));
  return put_on(SystemCallFilter::for_daemon(inspector_user));
}

Result<void> confine_console() { return put_on(SystemCallFilter::for_console()); }
Result<void> confine_courier() { return put_on(SystemCallFilter::for_courier()); }
Result<void> confine_inspector() { return put_on(SystemCallFilter::for_inspector()); }

std::string confinement_in_words() {
  if (!kConfines) return "none: this build has sanitizers";
  return landlock_version() >= 1 ? "seccomp and Landlock" : "seccomp only: this kernel has no Landlock";
}

}  // namespace appliance
