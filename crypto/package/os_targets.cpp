#include "crypto/package/os_targets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace package {

using base::Errc;
using base::fail;
using base::Result;

namespace {

using enum Architecture;
constexpr bool kV1 = true;        // older than Windows 8
constexpr bool kV2 = false;
constexpr bool kAnalogy = true;   // no catalog with this OS string was seen; formed like its seen neighbours

// In the order of the OS attribute. The names are the Inf2Cat page's; the strings and their order were read from catalogs.
// Of Windows 10's releases the catalogs show some architectures only; the others, and where servers stand between
// them, follow the pattern of the first release (x86, x64, server, arm64).
constexpr std::array kTargets = {
    OsTarget{"2000", "2000", "2:5.00", x86, kV1},
    OsTarget{"XP_X86", "XPX86", "2:5.1", x86, kV1},
    OsTarget{"XP_X64", "XPX64", "2:5.1,2:5.2", amd64, kV1},
    OsTarget{"Server2003_X86", "Server2003X86", "2:5.2", x86, kV1},
    OsTarget{"Server2003_IA64", "Server2003IA64", "2:5.2", ia64, kV1},
    OsTarget{"Server2003_X64", "Server2003X64", "2:5.2", amd64, kV1},
    OsTarget{"Vista_X86", "VistaX86", "2:6.0", x86, kV1},
    OsTarget{"Vista_X64", "VistaX64", "2:6.0", amd64, kV1},
    OsTarget{"Server2008_X86", "Server2008X86", "2:6.0", x86, kV1},
    OsTarget{"Server2008_IA64", "Server2008IA64", "2:6.0", ia64, kV1},
    OsTarget{"Server2008_X64", "Server2008X64", "2:6.0", amd64, kV1},
    OsTarget{"7_X86", "7X86", "2:6.1", x86, kV1},
    OsTarget{"7_X64", "7X64", "2:6.1", amd64, kV1},
    OsTarget{"Server2008R2_IA64", "Server2008R2IA64", "2:6.1", ia64, kV1},
    OsTarget{"Server2008R2_X64", "Server2008R2X64", "2:6.1", amd64, kV1},
    OsTarget{"8_X86", "8X86", "2:6.2", x86, kV2},
    OsTarget{"8_X64", "8X64", "2:6.2", amd64, kV2},
    OsTarget{"8_ARM", "8ARM", "2:6.2", arm, kV2},
    OsTarget{"Server8_X64", "Server2012X64", "2:6.2", amd64, kV2},
    OsTarget{"6_3_X86", "_v63", "2:6.3", x86, kV2},
    OsTarget{"6_3_X64", "_v63_X64", "2:6.3", amd64, kV2},
    OsTarget{"6_3_ARM", "_v63_ARM", "2:6.3", arm, kV2},
    OsTarget{"Server6_3_X64", "_v63_Server_X64", "2:6.3", amd64, kV2},
    // The first Windows 10 kits wrote 10X86 and 2:6.4; all later ones write this.
    OsTarget{"10_X86", "_v100", "2:10.0", x86, kV2},
    OsTarget{"10_X64", "_v100_X64", "2:10.0", amd64, kV2},
    OsTarget{"Server10_X64", "Server_v100_X64", "2:10.0", amd64, kV2},
    OsTarget{"Server10_ARM64", "Server_v100_ARM64", "2:10.0", arm64, kV2},
    OsTarget{"10_AU_X86", "_v100_RS1", "2:10.0", x86, kV2, kAnalogy},
    OsTarget{"10_AU_X64", "_v100_X64_RS1", "2:10.0", amd64, kV2},
    OsTarget{"SERVER2016_X64", "Server_v100_X64_RS1", "2:10.0", amd64, kV2, kAnalogy},
    OsTarget{"10_RS2_X86", "_v100_RS2", "2:10.0", x86, kV2, kAnalogy},
    OsTarget{"10_RS2_X64", "_v100_X64_RS2", "2:10.0", amd64, kV2},
    OsTarget{"10_RS3_X86", "_v100_RS3", "2:10.0", x86, kV2},
    OsTarget{"10_RS3_X64", "_v100_X64_RS3", "2:10.0", amd64, kV2},
    OsTarget{"10_RS3_ARM64", "_v100_ARM64_RS3", "2:10.0", arm64, kV2},
    OsTarget{"10_RS4_X86", "_v100_RS4", "2:10.0", x86, kV2, kAnalogy},
    OsTarget{"10_RS4_X64", "_v100_X64_RS4", "2:10.0", amd64, kV2},
    OsTarget{"10_RS4_ARM64", "_v100_ARM64_RS4", "2:10.0", arm64, kV2},
    OsTarget{"10_RS5_X86", "_v100_RS5", "2:10.0", x86, kV2, kAnalogy},
    OsTarget{"10_RS5_X64", "_v100_X64_RS5", "2:10.0", amd64, kV2},
    OsTarget{"ServerRS5_X64", "Server_v100_X64_RS5", "2:10.0", amd64, kV2, kAnalogy},
    OsTarget{"10_RS5_ARM64", "_v100_ARM64_RS5", "2:10.0", arm64, kV2},
    OsTarget{"ServerRS5_ARM64", "Server_v100_ARM64_RS5", "2:10.0", arm64, kV2, kAnalogy},
    OsTarget{"10_19H1_X86", "_v100_19H1", "2:10.0", x86, kV2, kAnalogy},
    OsTarget{"10_19H1_X64", "_v100_X64_19H1", "2:10.0", amd64, kV2},
    OsTarget{"10_19H1_ARM64", "_v100_ARM64_19H1", "2:10.0", arm64, kV2},
    OsTarget{"10_VB_X86", "_v100_Vb", "2:10.0", x86, kV2},
    OsTarget{"10_VB_X64", "_v100_X64_Vb", "2:10.0", amd64, kV2},
    OsTarget{"10_VB_ARM64", "_v100_ARM64_Vb", "2:10.0", arm64, kV2},
    OsTarget{"10_CO_X64", "_v100_X64_21H2", "2:10.0", amd64, kV2},
    OsTarget{"ServerFE_X64", "Server_v100_X64_21H2", "2:10.0", amd64, kV2, kAnalogy},
    OsTarget{"10_CO_ARM64", "_v100_ARM64_21H2", "2:10.0", arm64, kV2, kAnalogy},
    OsTarget{"ServerFE_ARM64", "Server_v100_ARM64_21H2", "2:10.0", arm64, kV2, kAnalogy},
    OsTarget{"10_NI_X64", "_v100_X64_22H2", "2:10.0", amd64, kV2},
    OsTarget{"10_NI_ARM64", "_v100_ARM64_22H2", "2:10.0", arm64, kV2, kAnalogy},
    OsTarget{"10_GE_X64", "_v100_X64_24H2", "2:10.0", amd64, kV2, kAnalogy},
    OsTarget{"Server2025_X64", "Server_v100_X64_24H2", "2:10.0", amd64, kV2, kAnalogy},
    OsTarget{"10_GE_ARM64", "_v100_ARM64_24H2", "2:10.0", arm64, kV2, kAnalogy},
    OsTarget{"Server2025_ARM64", "Server_v100_ARM64_24H2", "2:10.0", arm64, kV2, kAnalogy},
    OsTarget{"10_25H2_X64", "_v100_X64_25H2", "2:10.0", amd64, kV2, kAnalogy},
    OsTarget{"10_25H2_ARM64", "_v100_ARM64_25H2", "2:10.0", arm64, kV2, kAnalogy},
};

// The versions of OSAttr, ascending; "5.00" sorts before "5.1" only by this list.
constexpr std::array<std::string_view, 8> kVersions = {"2:5.00", "2:5.1", "2:5.2", "2:6.0", "2:6.1", "2:6.2", "2:6.3", "2:10.0"};

std::string_view nearest_name(std::string_view name) {
  const std::string wanted = base::upper_ascii(name);
  const auto distance = [&](const OsTarget& target) { return base::edits(wanted, base::upper_ascii(target.name)); };
  return std::min_element(kTargets.begin(), kTargets.end(),
                          [&](const OsTarget& a, const OsTarget& b) { return distance(a) < distance(b); })->name;
}

}  // namespace

std::string_view architecture_name(Architecture architecture) {
  constexpr std::array<std::string_view, kArchitectures> kNames = {"x86", "ia64", "amd64", "arm", "arm64"};
  return kNames[static_cast<std::size_t>(architecture)];
}

std::span<const OsTarget> known_os_targets() { return kTargets; }

Result<const OsTarget*> os_target(std::string_view name) {
  for (const OsTarget& target : kTargets)
    if (base::equal_ignoring_case(target.name, name)) return &target;
  if (name.empty()) return fail(Errc::usage, "an OS target is missing between two commas");
  if (name.size() > base::limits::kNameBytes) return fail(Errc::usage, fmt::format("an OS target of {} letters", name.size()));
  return fail(Errc::usage, fmt::format("{} is not an OS target; did you mean {}?", base::printable(name), nearest_name(name)));
}

Result<std::vector<const OsTarget*>> os_targets_from_names(const std::vector<std::string>& names) {
  if (names.empty()) return fail(Errc::usage, "no OS target is named; give at least one, such as 10_X64");
  if (names.size() > base::limits::kOsTargets)
    return fail(Errc::too_large, fmt::format("{} OS targets, at most {} are taken", names.size(), base::limits::kOsTargets));
  std::vector<const OsTarget*> targets;
  for (const std::string& name : names) {
    const OsTarget* target = TRY(os_target(name));
    if (std::find(targets.begin(), targets.end(), target) != targets.end())
      return fail(Errc::usage, fmt::format("OS target {} is named twice", target->name));
    targets.push_back(target);
  }
  std::sort(targets.begin(), targets.end());   // they point into kTargets: its order
  return targets;
}

Result<std::vector<const OsTarget*>> os_targets_from_list(std::string_view list) {
  constexpr std::size_t kListBytes = base::limits::kOsTargets * (base::limits::kNameBytes + 1);
  if (list.size() > kListBytes) return fail(Errc::too_large, fmt::format("an OS list of {} bytes", list.size()));
  std::vector<std::string> names;
  if (!base::trim(list).empty())
    for (const std::string_view name : base::comma_list(list)) names.emplace_back(base::trim(name));
  return os_targets_from_names(names);
}

unsigned catalog_version(std::span<const OsTarget* const> targets) {
  return std::any_of(targets.begin(), targets.end(), [](const OsTarget* target) { return target->needs_v1; }) ? 1 : 2;
}

Result<std::vector<const OsTarget*>> targets_of_os_attribute(std::string_view os, std::span<const OsTarget* const> asked_for) {
  std::vector<const OsTarget*> targets;
  for (std::string_view rest = os; !rest.empty();) {
    const std::string_view name = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    const auto found = std::find_if(asked_for.begin(), asked_for.end(), [&](const OsTarget* target) { return target->os == name; });
    if (found == asked_for.end())
      return fail(Errc::refused, fmt::format("OS \"{}\" was not asked for", base::printable(name)));
    targets.push_back(*found);
  }
  if (os_attribute(targets) != os || std::adjacent_find(targets.begin(), targets.end(), std::greater_equal<>()) != targets.end())
    return fail(Errc::refused, fmt::format("OS list \"{}\" is not in the order of Inf2Cat", base::printable(os)));
  return targets;
}

std::string os_attribute(std::span<const OsTarget* const> targets) {
  std::string joined;
  for (const OsTarget* target : targets) joined += fmt::format("{}{}", joined.empty() ? "" : ",", target->os);
  return joined;
}

std::string os_attr_attribute(std::span<const OsTarget* const> targets) {
  std::string joined;
  for (const std::string_view version : kVersions) {
    const auto has_version = [&](const OsTarget* target) {
      // XP_X64 has two.
      return target->os_attr == version || target->os_attr.starts_with(fmt::format("{},", version)) ||
             target->os_attr.ends_with(fmt::format(",{}", version));
    };
    if (std::any_of(targets.begin(), targets.end(), has_version)) joined += fmt::format("{}{}", joined.empty() ? "" : ",", version);
  }
  return joined;
}

}  // namespace package
