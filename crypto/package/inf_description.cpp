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

// The earliest DriverVer for the newest OS asked for. Only Windows 7's date is documented (Inf2Cat: "must be postdated to
// 4/21/2009 for newest OS"), and later systems take it too; older systems have none.
struct EarliestDate {
  base::Time date;
  std::string_view text;
};
std::optional<EarliestDate> newest_earliest_date(std::span<const OsTarget* const> targets) {
  const auto is_7_or_newer = [](const OsTarget* target) { return !target->needs_v1 || target->os_attr == "2:6.1"; };
  if (std::none_of(targets.begin(), targets.end(), is_7_or_newer)) return std::nullopt;
  return EarliestDate{std::chrono::sys_days(std::chrono::year(2009) / 4 / 21), "4/21/2009"};
}

void describe_driver_ver(const PackageInf& inf, std::span<const OsTarget* const> targets, Today today, InspectionBuilder& out) {
  constexpr std::string_view kRemedy = "write DriverVer = mm/dd/yyyy, w.x.y.z in [Version]";
  const InfLine* line = inf.file->line("Version", "DriverVer");
  if (line == nullptr) {
    out.finding("inf.driverver-missing", Severity::error, inf.path, 0, fmt::format("22.9.6: DriverVer missing or in incorrect format in {}", as_inf2cat_names(inf.path)), std::string(kRemedy));
    return;
  }
  const std::string written = version_text(*inf.file, "DriverVer");
  const std::optional<base::Time> date = driver_date(inf.file->expand(line->field(0)).value_or(""));
  if (!date || !is_driver_version(inf.file->expand(line->field(1)).value_or("?"))) {
    out.finding("inf.driverver-missing", Severity::error, inf.path, line->number,
                fmt::format("22.9.6: DriverVer missing or in incorrect format in {}: \"{}\"", as_inf2cat_names(inf.path), written), std::string(kRemedy));
    return;
  }
  if (*date > today.date)
    out.finding("inf.driverver-future", Severity::error, inf.path, line->number,
                fmt::format("22.9.7: DriverVer set to a date in the future (postdated DriverVer not allowed) in {}. DriverVer is {}, the current date ({}) is {}",
                            as_inf2cat_names(inf.path), written, today.is_local ? "local" : "UTC", base::rfc3339(today.date).substr(0, 10)),
                "set DriverVer to today or earlier; in the hours before midnight UTC, mind the build machine's time zone");
  else if (const auto& newest = newest_earliest_date(targets); newest && *date < newest->date)
    out.finding("inf.driverver-too-old", Severity::error, inf.path, line->number,
                fmt::format("22.9.7: DriverVer set to incorrect date (must be postdated to {} for newest OS) in {}: \"{}\"", newest->text,
                            as_inf2cat_names(inf.path), written),
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
                  fmt::format("22.9.4: Missing {} CatalogFile entry (CatalogFile.nt{}, CatalogFile.nt, CatalogFile) from [Version] section in {}",
                              base::upper_ascii(architecture), architecture, as_inf2cat_names(inf.path)),
                  fmt::format("add CatalogFile = name.cat to [Version], or leave {} out", target->name));
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

// An attribute that nobody has seen in a catalog: one written without it would not do what the INF asks. And files that the INF
// marks and never copies: Inf2Cat leaves the mark out.
void describe_signature_attributes(const PackageInf& inf, InspectionBuilder& out) {
  const auto is_copied = [&](const std::string& file) {
    const std::vector<CopiedFile>& copied = inf.driver.copied_files();
    return std::any_of(copied.begin(), copied.end(), [&](const CopiedFile& each) {
      const std::string name = base::lower_ascii(each.destination);
      return name == file || name.ends_with("\\" + file);
    });
  };
  for (const SignatureAttribute& attribute : inf.signature_attributes) {
    for (const std::string& name : attribute.others)
      out.finding("inf.signature-attributes", Severity::error, inf.path, attribute.line,
                  fmt::format("[SignatureAttributes] asks for {} of {}, which this version cannot put into a catalog", name, attribute.file),
                  "make this catalog with Inf2Cat and have it signed as delivered");
    if (!is_copied(attribute.file))
      out.finding("inf.signature-attributes-unused", Severity::warning, inf.path, attribute.line,
                  fmt::format("[SignatureAttributes] names {}, which no section copies", attribute.file),
                  "copy the file, correct its name, or remove the line");
  }
}

// Devices of an INF whose [Manufacturer] has no models for an architecture asked for: Windows finds no driver there.
void describe_decorations(const PackageInf& inf, std::span<const OsTarget* const> targets, InspectionBuilder& out) {
  if (inf.file->section("Manufacturer") == nullptr) return;
  ArchitectureSet seen;
  for (const OsTarget* target : targets) {
    if (target->architecture == Architecture::ia64 || seen.contains(target->architecture) || inf.driver.architectures().contains(target->architecture)) continue;
    seen.insert(target->architecture);
    const std::string decoration = "NT" + base::upper_ascii(architecture_name(target->architecture));
    out.finding("inf.models-not-decorated", Severity::warning, inf.path, inf.file->section("Manufacturer")->number,
                fmt::format("{} does not have {} decorated model sections", as_inf2cat_names(inf.path), decoration),
                fmt::format("add {} to [Manufacturer] with a models section, or leave {} out", decoration, target->name));
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

void DriverPackage::describe(std::span<const OsTarget* const> targets, Today today, InspectionBuilder& out) const {
  for (const PackageInf& inf : infs_) {
    for (const std::string_view key : {"Class", "ClassGuid", "Provider", "DriverVer", "PnpLockdown"})
      if (const std::string value = version_text(*inf.file, key); !value.empty()) out.fact(inf.path, key, value);
    describe_driver_ver(inf, targets, today, out);
    describe_catalog_files(inf, targets, out);
    describe_signature_attributes(inf, out);
    describe_decorations(inf, targets, out);
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
