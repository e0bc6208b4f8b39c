// The operating systems a driver package can be catalogued for, by the names that Inf2Cat's /os: takes, and what each
// of them puts into a catalog. Names are compared without case. Nothing here reads files.
// Source: Microsoft Learn, "Inf2Cat" (names); OS and OSAttr strings from catalogs that Inf2Cat and the Hardware Dashboard
// wrote (docs/catalogs.md); those known only by analogy say so.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.hpp"

namespace package {

enum class Architecture : std::uint8_t { x86, ia64, amd64, arm, arm64 };
inline constexpr std::size_t kArchitectures = 5;
// "x86", "ia64", "amd64", "arm", "arm64": as INFs decorate section names after "NT".
std::string_view architecture_name(Architecture architecture);

struct OsTarget {
  std::string_view name;       // "10_X64", as the documentation spells it
  std::string_view os;         // its part of the catalog's OS attribute: "_v100_X64"
  std::string_view os_attr;    // its part of a member's OSAttr attribute: "2:10.0"; two parts for XP_X64
  Architecture architecture{};
  bool needs_v1 = false;       // older than Windows 8: it reads SHA-1 catalogs (version 1) only
  bool by_analogy = false;     // the OS string was never seen in a catalog
};

// Every target, in the order in which the OS attribute lists them, whatever order they were asked for in.
std::span<const OsTarget> known_os_targets();

// Errc::usage with the nearest name when there is no such target.
base::Result<const OsTarget*> os_target(std::string_view name);

// "10_X64,10_X86" or the separate names: at least one and at most limits::kOsTargets, each once in the result, in the order of
// known_os_targets(). Errc::usage for an unknown, repeated or empty name.
base::Result<std::vector<const OsTarget*>> os_targets_from_list(std::string_view list);
base::Result<std::vector<const OsTarget*>> os_targets_from_names(const std::vector<std::string>& names);

// 1 when one of them is older than Windows 8, else 2: what Inf2Cat writes for such a list.
unsigned catalog_version(std::span<const OsTarget* const> targets);

// The targets that an OS attribute names, which must be among those asked for: Errc::refused otherwise, and for text that
// os_attribute() would not give.
base::Result<std::vector<const OsTarget*>> targets_of_os_attribute(std::string_view os, std::span<const OsTarget* const> asked_for);

// The catalog's OS attribute: "_v100,_v100_X64". Targets in the order of known_os_targets().
std::string os_attribute(std::span<const OsTarget* const> targets);
// A member's OSAttr attribute: the versions ascending, each once: "2:6.3,2:10.0".
std::string os_attr_attribute(std::span<const OsTarget* const> targets);

}  // namespace package
