// What people want to know about each INF, and what is wrong with its [Version] for the targets asked for.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_set>

#include "crypto/package/driver_package.hpp"

namespace package {

using base::Result;
using formats::InfFile;
using formats::InfLine;
using formats::InfSection;

namespace {

// [Version] key = value[, value...], as one text with its strings replaced; text that cannot be replaced stands as written.
std::string version_text(const InfFile& inf, std::string_view key) {
  const InfLine* line = inf.line("Version", key);
  if (line == nullptr) return {};
  std::string joined;
  for (const std::string& field : line->fields) joined += (joined.empty() ? "" : ", ") + inf.expand(field).value_or(field);
  return joined;
}

// mm/dd/yyyy, as DriverVer requires; "-" is taken for "/".
std::optional<base::Time> driver_date(std::string_view text) {
  std::array<unsigned, 3> numbers{};
  std::size_t part = 0;
  std::size_t digits = 0;
  for (const char c : text) {
    if (c == '/' || c == '-') {
      if (digits == 0 || ++part > 2) return std::nullopt;
      digits = 0;
    } else if (c >= '0' && c <= '9' && ++digits <= 4) {
      numbers.at(part) = numbers.at(part) * 10 + static_cast<unsigned>(c - '0');
    } else {
      return std::nullopt;
    }
  }
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(numbers[2])), std::chrono::month(numbers[0]),
                                         std::chrono::day(numbers[1])};
  if (part != 2 || digits != 4 || !date.ok()) return std::nullopt;
  return base::Time(std::chrono::sys_days(date));
}

// w.x.y.z, each 0 to 65535, fewer parts allowed; Inf2Cat takes a date without a version too.
bool is_driver_version(std::string_view text) {
  if (text.empty()) return true;
  unsigned value = 0;
  std::size_t digits = 0;
  std::size_t parts = 1;
  for (const char c : text) {
    if (c == '.') {
      if (digits == 0 || ++parts > 4) return false;
      value = 0;
      digits = 0;
    } else if (c >= '0' && c <= '9') {
      value = value * 10 + static_cast<unsigned>(c - '0');
      if (++digits > 5 || value > 65535) return false;
    } else {
      return false;
    }
  }
  return digits > 0;
}

void describe_driver_ver(const PackageInf& inf, base::Time today, InspectionBuilder& out) {
  constexpr std::string_view kRemedy = "write DriverVer = mm/dd/yyyy, w.x.y.z in [Version]";
  const InfLine* line = inf.file->line("Version", "DriverVer");
  if (line == nullptr) {
    out.finding("inf.driverver-missing", Severity::error, inf.path, 0, "DriverVer is missing from [Version] (Inf2Cat 22.9.6)", std::string(kRemedy));
    return;
  }
  const std::string written = version_text(*inf.file, "DriverVer");
  const std::optional<base::Time> date = driver_date(inf.file->expand(line->field(0)).value_or(""));
  if (!date || !is_driver_version(inf.file->expand(line->field(1)).value_or("?"))) {
    out.finding("inf.driverver-missing", Severity::error, inf.path, line->number,
                fmt::format("DriverVer is \"{}\", not in the right format (Inf2Cat 22.9.6)", written), std::string(kRemedy));
    return;
  }
  // Windows 7 and later, so every target here (Inf2Cat: "must be postdated to 4/21/2009 for newest OS").
  const base::Time earliest = std::chrono::sys_days(std::chrono::year(2009) / 4 / 21);
  if (*date > today)
    out.finding("inf.driverver-future", Severity::error, inf.path, line->number,
                fmt::format("DriverVer {} is in the future: today is {} (UTC) (Inf2Cat 22.9.7)", written, base::rfc3339(today).substr(0, 10)),
                "set DriverVer to today or earlier; in the hours before midnight UTC, mind the build machine's time zone");
  else if (*date < earliest)
    out.finding("inf.driverver-too-old", Severity::error, inf.path, line->number,
                fmt::format("DriverVer {} is before 04/21/2009, the earliest for Windows 7 and later (Inf2Cat 22.9.7)", written),
                "set DriverVer to the date of this release");
}

void describe_catalog_files(const PackageInf& inf, std::span<const OsTarget* const> targets, InspectionBuilder& out) {
  std::unordered_set<std::string> seen;
  for (const OsTarget* target : targets) {
    const std::string_view architecture = architecture_name(target->architecture);
    if (!seen.insert(std::string(architecture)).second) continue;
    const std::string& name = inf.driver.catalog_file(target->architecture);
    if (name.empty())
      out.finding("inf.catalogfile-missing", Severity::error, inf.path, 0,
                  fmt::format("no catalog is named for {}: CatalogFile.nt{}, CatalogFile.nt or CatalogFile is missing from [Version] (Inf2Cat 22.9.4)",
                              target->name, architecture),
                  "add CatalogFile = name.cat to [Version], or leave that OS target out");
    else if (!is_catalog_name(base::lower_ascii(name)))
      out.finding("inf.catalogfile-malformed", Severity::error, inf.path, 0,
                  fmt::format("CatalogFile is \"{}\", not a plain file name ending in .cat", name), "name a file beside the INF, such as driver.cat");
    else
      out.fact(inf.path, fmt::format("CatalogFile ({})", architecture), name);
  }
}

// Whether some section takes parts of a system INF in (Include=): what those name is not in this INF.
bool includes_other_infs(const InfFile& inf) {
  const auto is_include = [](const InfLine& line) { return line.key && base::equal_ignoring_case(*line.key, "Include"); };
  return std::any_of(inf.sections().begin(), inf.sections().end(), [&](const InfSection& section) {
    return std::any_of(section.lines.begin(), section.lines.end(), is_include);
  });
}

// Attributes that change how members are written (page hashes, DRM level): a catalog without them would not do what the INF asks.
void describe_signature_attributes(const PackageInf& inf, InspectionBuilder& out) {
  const InfSection* attributes = inf.file->section("SignatureAttributes");
  if (attributes == nullptr) return;
  std::unordered_set<std::string> seen;
  for (const InfLine& line : attributes->lines) {
    const std::string name = inf.file->expand(line.field(0)).value_or("");
    const InfSection* section = inf.file->section(name);
    if (section == nullptr || !seen.insert(base::lower_ascii(name)).second) continue;
    for (const InfLine& attribute : section->lines) {
      if (!attribute.key || base::equal_ignoring_case(*attribute.key, "HalExt")) continue;   // leaves no trace in Inf2Cat's catalogs
      out.finding("inf.signature-attributes", Severity::error, inf.path, attribute.number,
                  fmt::format("[{}] asks for {}, which this version cannot put into a catalog", name, *attribute.key),
                  "make this catalog with Inf2Cat and have it signed as delivered");
    }
  }
}

void describe_devices(const PackageInf& inf, InspectionBuilder& out) {
  std::unordered_set<std::string> seen;
  for (const Device& device : inf.driver.devices()) {
    std::string ids;
    for (const std::string& id : device.ids) ids += (ids.empty() ? "" : ", ") + id;
    if (seen.insert(device.description + "\n" + base::lower_ascii(ids)).second)
      out.fact(inf.path, "Device", ids.empty() ? device.description : fmt::format("{} = {}", device.description, ids));
  }
}

void describe_services(const PackageInf& inf, InspectionBuilder& out) {
  for (const Service& service : inf.driver.services()) {
    out.fact(inf.path, "Service",
             fmt::format("{}, StartType {}{}, {}", service.name, service.start_type.empty() ? "not given" : service.start_type,
                         service.is_boot_start() ? " (boot start)" : "", service.binary.empty() ? "no binary" : service.binary));
    if (service.is_boot_start())
      out.finding("inf.boot-start", Severity::note, inf.path, service.line, fmt::format("service {} starts with Windows' boot", service.name),
                  "have its driver file signed itself (embed) as well as catalogued: the boot loader cannot look into catalogs");
  }
}

}  // namespace

void DriverPackage::describe(std::span<const OsTarget* const> targets, base::Time today, InspectionBuilder& out) const {
  for (const PackageInf& inf : infs_) {
    for (const std::string_view key : {"Class", "ClassGuid", "Provider", "DriverVer", "PnpLockdown"})
      if (const std::string value = version_text(*inf.file, key); !value.empty()) out.fact(inf.path, key, value);
    describe_driver_ver(inf, today, out);
    describe_catalog_files(inf, targets, out);
    describe_signature_attributes(inf, out);
    if (!includes_other_infs(*inf.file))
      for (const MissingList& list : inf.driver.missing_lists())
        out.finding("inf.section-missing", Severity::warning, inf.path, list.line, fmt::format("CopyFiles names [{}], which is not in the INF", list.name),
                    "add the section or remove its name");
    if (version_text(*inf.file, "PnpLockdown").empty())
      out.finding("inf.pnplockdown-missing", Severity::note, inf.path, 0, "PnpLockdown is not set in [Version]",
                  "set PnpLockdown = 1, so that nobody overwrites the installed files");
    describe_services(inf, out);
  }
  for (const PackageInf& inf : infs_) describe_devices(inf, out);   // last: the longest list
}

}  // namespace package
