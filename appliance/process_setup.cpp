#include "appliance/process_setup.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>

#include "appliance/clock.hpp"
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

std::string program_folder() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string(".") : self.parent_path().string();
}

void journal_line(const std::string& text) {
  fmt::print(stderr, "{}  {}\n", base::rfc3339(SystemClock().now()), base::printable(text));
}

}  // namespace appliance
