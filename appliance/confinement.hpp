// What the kernel keeps a program of the appliance from, whatever happens in it: system calls (seccomp) and paths
// (Landlock). Both hold for the thread that asks, for all it starts and executes, for good. Decision 0024 says why
// coldseald, console and courier have a list of what they may not do, and the inspector one of what it may.
// Builds with sanitizers confine nothing: their run-time libraries need what is forbidden here (docs/development.md).
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "crypto/base/result.hpp"

namespace appliance {

#ifdef COLDSEAL_SANITIZED
inline constexpr bool kConfines = false;
#else
inline constexpr bool kConfines = true;
#endif

struct UserIds {
  uid_t user = 0;
  gid_t group = 0;
};
// "coldseal-inspector", or "61002:61002" (user and group) where the system has no such name. Errc::not_found for a user that it
// does not know.
base::Result<UserIds> user_ids(const std::string& name);

class SystemCallFilter {
 public:
  // No sockets but local ones, no other process looked into, no namespaces, mounts, modules, clocks, io_uring. It may become
  // the inspector's user in a child that it starts, and no other.
  static base::Result<SystemCallFilter> for_daemon(const std::optional<UserIds>& inspector);
  // The same; executes nothing and becomes nobody.
  static base::Result<SystemCallFilter> for_console();
  // The same, and no sockets at all.
  static base::Result<SystemCallFilter> for_courier();
  // Until the inspector has been loaded: opens files for reading. Anything not on the list ends the process.
  static base::Result<SystemCallFilter> for_inspector_start();
  // From then on: reads and writes what is open, memory, its own end.
  static base::Result<SystemCallFilter> for_inspector();

  // Async-signal-safe; the process must have no_new_privs. False when the kernel refuses.
  bool install() const;

 private:
  explicit SystemCallFilter(std::vector<sock_filter> program) : program_(std::move(program)) {}
  friend class FilterDraft;
  std::vector<sock_filter> program_;
};

// Landlock. A kernel without it gives rules that restrict nothing: is_active() says so.
class PathRules {
 public:
  // The program can be executed, and nothing else can; all other uses of files are as before.
  static base::Result<PathRules> execute_only(const std::filesystem::path& program);
  // The program and the system's libraries can be read, the program executed; no other file can be opened.
  static base::Result<PathRules> load_only(const std::filesystem::path& program);
  PathRules(PathRules&& other) noexcept;
  PathRules& operator=(PathRules&& other) noexcept;
  ~PathRules();

  bool is_active() const { return ruleset_ >= 0; }
  // Async-signal-safe; the process must have no_new_privs. True without rules.
  bool restrict_self() const;

 private:
  explicit PathRules(int ruleset) : ruleset_(ruleset) {}
  int ruleset_ = -1;
};

// What the programs do once their command line is read; a failure must end the program.
base::Result<void> confine_daemon(const std::filesystem::path& inspector, const std::optional<UserIds>& inspector_user);
base::Result<void> confine_console();
base::Result<void> confine_courier();
base::Result<void> confine_inspector();

// "seccomp and Landlock", or what is missing, for journal and status.
std::string confinement_in_words();

}  // namespace appliance
