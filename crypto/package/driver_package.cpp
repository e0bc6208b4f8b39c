#include "crypto/package/driver_package.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "crypto/base/limits.hpp"

namespace package {

using base::Result;
namespace limits = base::limits;

namespace {

std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash + 1);
}

std::string_view base_name(std::string_view path) { return path.substr(std::min(path.find_last_of("/\\") + 1, path.size())); }

// The order in which Inf2Cat meets files, NTFS's: the files of a folder by upper-cased name, then its folders likewise.
bool met_before(std::string_view a, std::string_view b) {
  while (true) {
    const std::size_t end_a = a.find('/');
    const std::size_t end_b = b.find('/');
    if ((end_a == std::string_view::npos) != (end_b == std::string_view::npos)) return end_a == std::string_view::npos;
    const std::string name_a = base::upper_ascii(a.substr(0, end_a));
    const std::string name_b = base::upper_ascii(b.substr(0, end_b));
    if (name_a != name_b || end_a == std::string_view::npos) return name_a < name_b;
    a.remove_prefix(end_a + 1);
    b.remove_prefix(end_b + 1);
  }
}

bool is_driver_inf(const formats::InfFile& inf) {
  const formats::InfLine* signature = inf.line("Version", "Signature");
  if (signature == nullptr) return false;
  const Result<std::string> text = inf.expand(signature->field(0));
  // "$Windows NT$" or the older "$Chicago$", in any case.
  return text && (base::equal_ignoring_case(*text, "$Windows NT$") || base::equal_ignoring_case(*text, "$Chicago$"));
}

// A catalog in the making: members by source and destination, with the OSes that install them.
struct Plan {
  std::string path;
  std::vector<const OsTarget*> targets;
  struct Member {
    std::string path;
    std::string file;
    std::vector<const OsTarget*> targets;
    std::string drm_level{};
    bool is_pe_trusted = false;
  };
  std::vector<Member> members;
  std::unordered_map<std::string, std::size_t> by_source_and_name;
};

void merge(std::vector<const OsTarget*>& into, const std::vector<const OsTarget*>& more) {
  for (const OsTarget* target : more)
    if (std::find(into.begin(), into.end(), target) == into.end()) into.push_back(target);
  std::sort(into.begin(), into.end());   // pointers into known_os_targets(): its order
}

Plan::Member& add_member(Plan& plan, const std::string& path, std::string_view destination, const std::vector<const OsTarget*>& targets) {
  const std::string file = base::lower_ascii(base_name(destination));
  const auto [place, is_new] = plan.by_source_and_name.try_emplace(path + "\n" + file, plan.members.size());
  if (is_new) plan.members.push_back({path, file, {}});
  Plan::Member& member = plan.members[place->second];
  merge(member.targets, targets);
  return member;
}

// What the INF's [SignatureAttributes] says about the member.
void add_attributes(Plan::Member& member, const PackageInf& inf) {
  for (const SignatureAttribute& attribute : inf.signature_attributes) {
    if (attribute.file != member.file) continue;
    if (!attribute.drm_level.empty()) member.drm_level = attribute.drm_level;
    member.is_pe_trusted = member.is_pe_trusted || attribute.is_pe_trusted;
  }
}

bool asks_for_pe_trust(const PackageInf& inf) {
  return std::any_of(inf.signature_attributes.begin(), inf.signature_attributes.end(),
                     [](const SignatureAttribute& attribute) { return attribute.is_pe_trusted; });
}

}  // namespace

std::string as_inf2cat_names(std::string_view path) {
  std::string text = "\\" + std::string(path);
  std::replace(text.begin(), text.end(), '/', '\\');
  return text;
}

bool is_catalog_name(std::string_view name) {
  constexpr std::string_view kForbidden = "<>:\"/\\|?*%";
  const auto is_plain = [&](char c) { return c > 0x20 && c < 0x7F && kForbidden.find(c) == std::string_view::npos; };
  const auto is_allowed = [&](char c) { return c == ' ' || is_plain(c); };
  return name.size() > 4 && name.size() <= limits::kPathBytes && name.ends_with(".cat") && is_plain(name[0]) && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), is_allowed);
}

DriverPackage DriverPackage::read(const std::vector<PackageFile>& files, InspectionBuilder& out) {
  DriverPackage package;
  std::vector<const PackageFile*> infs;
  for (const PackageFile& file : files) {
    package.files_.push_back(&file);
    package.by_path_.try_emplace(base::lower_ascii(file.path), &file);
    if (base::lower_ascii(file.path).ends_with(".inf")) infs.push_back(&file);
  }
  std::sort(infs.begin(), infs.end(), [](const PackageFile* a, const PackageFile* b) { return met_before(a->path, b->path); });
  if (infs.size() > limits::kInfs) {
    out.finding("package.too-many-infs", Severity::error, "", 0, fmt::format("{} INF files, at most {} are read", infs.size(), limits::kInfs),
                "make several requests");
    infs.clear();
  }
  for (const PackageFile* file : infs) {
    const auto unreadable = [&](const base::Error& error) {
      out.finding("inf.not-readable", Severity::error, file->path, 0, error.text(), "correct the INF file; InfVerif of the WDK names more");
    };
    const Result<base::Bytes> bytes = base::read_all(*file->bytes, limits::kInfBytes);
    if (!bytes) {
      unreadable(bytes.error());
      continue;
    }
    Result<formats::InfFile> inf = formats::InfFile::parse(*bytes);
    if (!inf) {
      unreadable(inf.error());
      continue;
    }
    auto kept = std::make_unique<const formats::InfFile>(std::move(*inf));
    if (!is_driver_inf(*kept)) {
      out.finding("inf.not-a-driver", Severity::warning, file->path, 0, "[Version] Signature is not \"$Windows NT$\": not a driver's INF",
                  "none needed if it is not one (autorun.inf, say); no catalog is made from it");
      continue;
    }
    Result<DriverInf> driver = DriverInf::read(*kept);
    if (!driver) {
      unreadable(driver.error());
      continue;
    }
    Result<std::vector<SignatureAttribute>> attributes = signature_attributes(*kept);
    if (!attributes) {
      unreadable(attributes.error());
      continue;
    }
    package.infs_.push_back({file->path, std::string(folder_of(file->path)), std::move(kept), std::move(*driver), std::move(*attributes)});
  }
  if (package.infs_.empty())
    out.finding("package.no-inf", Severity::warning, "", 0, "no driver INF file in the package", "add the INF file if catalogs are wanted");
  return package;
}

const PackageFile* DriverPackage::file(std::string_view path) const {
  const auto found = by_path_.find(base::lower_ascii(path));
  return found == by_path_.end() ? nullptr : found->second;
}

const PackageFile* DriverPackage::file(std::string_view folder, std::string_view path) const {
  if (path.find("..") == std::string_view::npos) return file(std::string(folder) + std::string(path));
  std::vector<std::string_view> parts;
  for (std::string_view rest : {folder, path})
    while (!rest.empty()) {
      const std::size_t end = rest.find('/');
      const std::string_view part = rest.substr(0, end);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      if (part == "..") {
        if (parts.empty()) return nullptr;   // out of the package
        parts.pop_back();
      } else if (!part.empty()) {
        parts.push_back(part);
      }
    }
  std::string joined;
  for (const std::string_view part : parts) joined += (joined.empty() ? "" : "/") + std::string(part);
  return file(joined);
}

// All ids of all INFs, whichever catalog they name: lower case, the first of each kept.
std::vector<std::string> DriverPackage::hardware_ids(InspectionBuilder& out) const {
  std::vector<std::string> ids;
  std::unordered_set<std::string> seen;
  for (const PackageInf& inf : infs_)
    for (const Device& device : inf.driver.devices())
      for (const std::string& id : device.ids) {
        std::string lower = base::lower_ascii(id);
        if (seen.insert(lower).second) ids.push_back(std::move(lower));
      }
  // OS and HWIDn together.
  if (ids.size() >= limits::kCatalogAttributes) {
    out.finding("package.too-many-hardware-ids", Severity::error, "", 0,
                fmt::format("{} hardware ids, a catalog takes {}", ids.size(), limits::kCatalogAttributes - 1), "make several requests");
    ids.clear();
  }
  return ids;
}

// The file in the package that a copied file comes from; nullptr when there is none, which is an error unless Windows has it.
const PackageFile* DriverPackage::copied_source(const PackageInf& inf, const CopiedFile& copied, InspectionBuilder& out) const {
  if (!copied.has_source_entry) {
    if (inf.file->line("Version", "LayoutFile") != nullptr) return nullptr;   // listed in Windows' own layout.inf
    out.finding("inf.sourcedisksfiles-missing", Severity::error, inf.path, copied.line,
                fmt::format("22.9.10: {} missing from [SourceDisksFiles] section in {}; ok if file source is provided via LayoutFile in [Version]. [{}] copies it",
                            copied.source, as_inf2cat_names(inf.path), copied.section),
                "list the file in [SourceDisksFiles]");
    return nullptr;
  }
  if (const PackageFile* found = file(inf.folder, copied.source)) return found;
  // COMPRESS.EXE's form has "_" for the last letter of the name.
  std::string compressed = inf.folder + copied.source;
  if (!compressed.empty()) compressed.back() = '_';
  if (file(compressed) != nullptr)
    out.finding("inf.file-compressed", Severity::error, inf.path, copied.line,
                fmt::format("22.9.1: {} is there only in its compressed form {}, which is not read", as_inf2cat_names(inf.folder + copied.source), base_name(compressed)),
                "expand the file (expand, or cabextract) and leave the compressed form out");
  else
    out.finding("inf.file-missing", Severity::error, inf.path, copied.line,
                fmt::format("22.9.1: {} in [{}] of {} is missing or cannot be decompressed", as_inf2cat_names(inf.folder + copied.source), copied.section,
                            as_inf2cat_names(inf.path)),
                "add the file at that place, or remove its line from the INF");
  return nullptr;
}

void DriverPackage::plan_catalogs(std::span<const OsTarget* const> targets, InspectionBuilder& out) {
  std::vector<Plan> plans;
  const auto planned_members = [&] {
    std::size_t count = 0;
    for (const Plan& plan : plans) count += plan.members.size();
    return count;
  };
  const auto refuse_size = [&](std::size_t ids) {
    out.finding("package.too-large", Severity::error, "", 0,
                fmt::format("{} catalogs with {} members and {} hardware ids", plans.size(), planned_members(), ids), "make several requests");
  };
  constexpr std::size_t kAnswer = limits::kInspectionBytes / 2;   // real packages stay three orders of magnitude below
  constexpr std::size_t kMember = 2 * limits::kPathBytes;
  for (const PackageInf& inf : infs_) {
    if (plans.size() > limits::kCatalogs || planned_members() * kMember > kAnswer) return refuse_size(0);
    std::unordered_set<std::string> reported;   // one finding for a file, however many sections copy it
    for (const OsTarget* first : targets) {
      const std::string name = base::lower_ascii(inf.driver.catalog_file(first->architecture));
      // The targets this INF catalogues under the same name; done with the first of them.
      std::vector<const OsTarget*> own;
      for (const OsTarget* target : targets)
        if (base::lower_ascii(inf.driver.catalog_file(target->architecture)) == name) own.push_back(target);
      if (name.empty() || own.front() != first || !is_catalog_name(name)) continue;   // describe() reports the bad ones

      const std::string path = inf.folder + name;
      auto plan = std::find_if(plans.begin(), plans.end(), [&](const Plan& other) { return base::equal_ignoring_case(other.path, path); });
      if (plan == plans.end()) plan = plans.insert(plans.end(), Plan{path, {}, {}, {}});
      merge(plan->targets, own);
      add_member(*plan, inf.path, inf.path, own);
      for (const CopiedFile& copied : inf.driver.copied_files()) {
        std::vector<const OsTarget*> installing;
        for (const OsTarget* target : own)
          if (copied.architectures.contains(target->architecture)) installing.push_back(target);
        if (installing.empty()) continue;
        InspectionBuilder again;
        const bool is_first = reported.insert(base::lower_ascii(copied.source)).second;
        if (const PackageFile* source = copied_source(inf, copied, is_first ? out : again))
          add_attributes(add_member(*plan, source->path, copied.destination, installing), inf);
      }
    }
  }
  const std::vector<std::string> ids = hardware_ids(out);
  std::size_t id_bytes = 0;
  for (const std::string& id : ids) id_bytes += id.size() + 4;
  // Each catalog repeats the ids.
  if (plans.size() > limits::kCatalogs || plans.size() * id_bytes + planned_members() * kMember > kAnswer) return refuse_size(ids.size());
  const bool is_pe_trusted = std::any_of(infs_.begin(), infs_.end(), asks_for_pe_trust);
  for (Plan& plan : plans) {
    PlannedCatalog catalog{plan.path, os_attribute(plan.targets), ids, {}, is_pe_trusted};
    const bool is_for_new_systems = std::any_of(plan.targets.begin(), plan.targets.end(), [](const OsTarget* target) { return !target->needs_v1; });
    if (catalog_version(plan.targets) == 1 && is_for_new_systems)
      out.finding("catalog.sha1-only", Severity::warning, plan.path, 0,
                  "a version 1 (SHA-1) catalog, because of the systems before Windows 8, for newer systems too",
                  "make a package of its own for Windows 8 and newer, with a version 2 (SHA-256) catalog");
    if (const PackageFile* old = file(plan.path))
      out.finding("catalog.replaced", Severity::note, old->path, 0, "a catalog of that name is already there", "none needed: a new one takes its place");
    for (Plan::Member& member : plan.members) {
      const bool has_page_hashes = member.is_pe_trusted || !member.drm_level.empty();
      catalog.members.push_back({std::move(member.path), std::move(member.file), os_attr_attribute(member.targets),
                                 std::move(member.drm_level), member.is_pe_trusted, has_page_hashes});
    }
    out.catalogs().push_back(std::move(catalog));
  }
}

void DriverPackage::note_files_not_copied(InspectionBuilder& out) const {
  if (infs_.empty()) return;
  std::unordered_set<std::string> copied;
  for (const PackageInf& inf : infs_)
    for (const CopiedFile& each : inf.driver.copied_files())
      if (const PackageFile* source = file(inf.folder, each.source)) copied.insert(base::lower_ascii(source->path));
  for (const PackageFile* file : files_) {
    const std::string path = base::lower_ascii(file->path);
    if (path.ends_with(".inf") || path.ends_with(".cat") || copied.contains(path)) continue;
    out.finding("inf.not-copied", Severity::note, file->path, 0, "no INF copies this file, so no catalog lists it",
                "none needed unless the driver is to install it: then add it to a CopyFiles list");
  }
}

}  // namespace package
