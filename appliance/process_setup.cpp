#include "appliance/process_setup.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "appliance/clock.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace appliance {

void harden_process() {
  const rlimit none{0, 0};
  (void)setrlimit(RLIMIT_CORE, &none);
  (void)prctl(PR_SET_DUMPABLE, 0);
  (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  (void)umask(077);
  (void)signal(SIGPIPE, SIG_IGN);
}

void raise_open_files() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  const rlim_t wanted = base::limits::kPackageFiles + 512;
  if (files.rlim_cur < wanted) files.rlim_cur = std::min(wanted, files.rlim_max);
  (void)setrlimit(RLIMIT_NOFILE, &files);
}

base::Result<void> become_owner_of(const std::filesystem::path& folder) {
  struct stat about {};
  if (geteuid() != 0 || stat(folder.c_str(), &about) != 0 || about.st_uid == 0) return {};
  const auto refused = [&] { return base::fail(base::Errc::unavailable, fmt::format("becoming the owner of {}: {}", folder.string(), std::strerror(errno))); };
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16384> room{};
  (void)getpwuid_r(about.st_uid, &entry, room.data(), room.size(), &found);
  const gid_t group = found == nullptr ? about.st_gid : found->pw_gid;
  const int grouped = found == nullptr ? setgroups(0, nullptr) : initgroups(found->pw_name, group);
  if (grouped != 0 || setresgid(group, group, group) != 0 || setresuid(about.st_uid, about.st_uid, about.st_uid) != 0) return refused();
  (void)prctl(PR_SET_DUMPABLE, 0);
  return {};
}

std::string program_folder() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string(".") : self.parent_path().string();
}

void journal_line(const std::string& text) {
  fmt::print(stderr, "{}  {}\n", base::rfc3339(SystemClock().now()), base::printable(text));
}

}  // namespace appliance
