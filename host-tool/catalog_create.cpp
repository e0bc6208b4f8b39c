// coldseal catalog create: catalogs as Inf2Cat makes them from a package's INFs, and as MakeCat makes them from a CDF.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "crypto/base/command_line.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/formats/catalog_definition.hpp"
#include "crypto/keys/random.hpp"
#include "crypto/package/catalog_content.hpp"
#include "crypto/package/driver_package.hpp"
#include "host-tool/catalog_commands.hpp"
#include "host-tool/package_folder.hpp"
#include "host-tool/report.hpp"
#include "usb/files/safe_write.hpp"

namespace host_tool {
namespace {

using base::Bytes;
using base::Errc;
using base::fail;
using base::printable;
using base::Result;
using package::Finding;
using package::Severity;
namespace fs = std::filesystem;

struct CatalogCreateOptions {
  std::string folder;
  std::string os;
  std::string cdf;
  std::string output;
  std::string list_id;
  std::string time;
  std::string page_hashes;
  bool all_page_hashes = false;
  bool check_only = false;
  bool allow_missing = false;
  bool local_time = false;
  bool json = false;
};

struct MadeCatalog {
  fs::path path;
  Bytes file;
  std::size_t members = 0;
};

// The day DriverVer is held against: UTC, or the calendar of this machine.
base::Time today(const CatalogCreateOptions& options, base::Time now) {
  if (!options.local_time) return now;
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  return now + std::chrono::seconds(local.tm_gmtoff);
}

Result<void> set_identity(formats::CatalogContent& content, const CatalogCreateOptions& options, base::Time now) {
  if (options.list_id.empty()) {
    keys::fill_random(content.list_identifier);
  } else {
    const Bytes id = TRY(base::within("--list-id", base::from_hex(options.list_id)));
    if (id.size() != content.list_identifier.size())
      return fail(Errc::usage, fmt::format("--list-id of {} bytes, 16 wanted (32 hex digits)", id.size()));
    std::copy(id.begin(), id.end(), content.list_identifier.begin());
  }
  content.this_update = now;
  if (!options.time.empty()) content.this_update = TRY(base::within("--time", base::time_from_argument(options.time)));
  return {};
}

Result<Bytes> encoded(formats::CatalogContent content, const CatalogCreateOptions& options, base::Time now) {
  TRY(set_identity(content, options, now));
  const Bytes ctl = TRY(formats::encode_ctl(content));
  return formats::unsigned_catalog(ctl);
}

// One read of each file gives every digest, however many catalogs list it. Files are read by as many threads as there are
// processors, so that small files keep all of them busy.
class DigestCache {
 public:
  DigestCache(const PackageFolder& folder, const std::vector<package::PlannedCatalog>& catalogs) {
    std::map<std::string, const base::ByteSource*> sources;
    for (std::size_t i = 0; i < folder.files().size(); ++i) sources.emplace(folder.files()[i].path, &folder.source(i));
    std::map<std::string, formats::MemberPageHashes> wanted;
    for (const package::PlannedCatalog& catalog : catalogs)
      for (const package::PlannedMember& member : catalog.members) {
        formats::MemberPageHashes& pages = wanted.try_emplace(member.path, formats::MemberPageHashes::none).first->second;
        if (member.has_page_hashes) pages = formats::MemberPageHashes::sha256;
      }
    for (const auto& [path, pages] : wanted)
      if (const auto source = sources.find(path); source != sources.end()) files_.push_back({path, source->second, pages, {}});
    measure();
  }
  Result<formats::MemberDigests> find(const std::string& path, formats::MemberPageHashes pages) const {
    const auto file = std::lower_bound(files_.begin(), files_.end(), path, [](const File& each, const std::string& name) { return each.path < name; });
    if (file == files_.end() || file->path != path) return fail(Errc::not_found, "no such file in the package");
    Result<formats::MemberDigests> digests = *file->digests;
    if (digests && pages == formats::MemberPageHashes::none) digests->page_hashes.clear();   // another catalog wants them
    return digests;
  }

 private:
  struct File {
    std::string path;
    const base::ByteSource* source;
    formats::MemberPageHashes pages;
    std::optional<Result<formats::MemberDigests>> digests;
  };
  void measure() {
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t i = next++; i < files_.size(); i = next++) files_[i].digests = formats::member_digests(*files_[i].source, files_[i].pages);
    };
    std::vector<std::jthread> threads;
    const std::size_t wanted = std::min<std::size_t>({std::thread::hardware_concurrency(), 8, files_.size()});
    for (std::size_t i = 1; i < wanted; ++i) threads.emplace_back(work);
    work();
  }
  std::vector<File> files_;   // sorted by path
};

// --page-hashes, or --page-hashes=a.sys,b.sys
Result<void> mark_page_hashes(const CatalogCreateOptions& options, std::vector<package::PlannedCatalog>& catalogs) {
  std::map<std::string, bool> named;
  for (const std::string_view name : base::comma_list(options.page_hashes)) {
    if (!name.empty()) named.emplace(base::lower_ascii(name), false);
  }
  if (named.empty() && !options.all_page_hashes) return {};
  for (package::PlannedCatalog& catalog : catalogs)
    for (package::PlannedMember& member : catalog.members) {
      const auto found = named.find(member.file);
      if (found != named.end()) found->second = true;
      if (named.empty() || found != named.end()) member.has_page_hashes = true;
    }
  for (const auto& [name, is_member] : named)
    if (!is_member) return fail(Errc::usage, fmt::format("--page-hashes names {}, which no catalog lists", printable(name)));
  return {};
}

void print_part(std::string_view heading, const std::vector<Finding>& findings, Severity severity) {
  fmt::print("{}:\n", heading);
  bool is_empty = true;
  for (const Finding& finding : findings) {
    if (finding.severity != severity) continue;
    is_empty = false;
    const std::string place = finding.file.empty() ? "" : fmt::format("{}{}: ", printable(finding.file), finding.line == 0 ? "" : fmt::format(":{}", finding.line));
    fmt::print("{} [{}{}]\n    -> {}\n", printable(finding.cause), place, finding.id, printable(finding.remedy));
  }
  if (is_empty) fmt::print("None\n");
}

// Words and order of Inf2Cat.
void print_test(const package::Inspection& inspection) {
  fmt::print("Signability test {}.\n\n", inspection.has_errors() ? "failed" : "complete");
  print_part("Errors", inspection.findings, Severity::error);
  fmt::print("\n");
  print_part("Warnings", inspection.findings, Severity::warning);
}

Result<Exit> finish(const std::vector<MadeCatalog>& made, const std::vector<Finding>* findings, const CatalogCreateOptions& options) {
  Json list = Json::array();
  for (const MadeCatalog& catalog : made) {
    if (!options.check_only) TRY(usb::write_file(catalog.path, catalog.file));
    list.push_back({{"path", catalog.path.string()}, {"members", catalog.members}});
  }
  if (options.json) {
    print_json({{"written", !options.check_only}, {"catalogs", std::move(list)}, {"findings", findings_json(findings == nullptr ? std::vector<Finding>() : *findings)}});
  } else if (!options.check_only) {
    fmt::print("\nCatalog generation complete.\n");
    for (const MadeCatalog& catalog : made) fmt::print("{}\n", printable(fs::absolute(catalog.path).lexically_normal().string()));
  }
  return Exit::done;
}

Result<Exit> create_from_infs(const CatalogCreateOptions& options, base::Time now) {
  if (options.os.empty()) return fail(Errc::usage, "--os names the operating systems, as Inf2Cat's /os: does: --os 10_X64");
  const auto targets = TRY(base::within("--os", package::os_targets_from_list(options.os)));
  std::vector<std::string> names;
  for (const package::OsTarget* const target : targets) names.emplace_back(target->name);
  const PackageFolder folder = TRY(PackageFolder::open(options.folder));
  package::Inspection inspection = package::inspect(folder.sources(), names, {today(options, now), options.local_time});
  if (options.allow_missing)
    for (Finding& finding : inspection.findings)
      if (finding.id == "inf.file-missing") finding.severity = Severity::warning;
  if (inspection.catalogs.empty() && !inspection.has_errors())
    inspection.findings.push_back({"package.no-catalog", Severity::error, "", 0, "no INF of the package names a catalog",
                                   "add CatalogFile = name.cat to [Version] of the INF"});
  if (!options.json) print_test(inspection);
  if (inspection.has_errors()) {
    if (options.json) print_json({{"written", false}, {"catalogs", Json::array()}, {"findings", findings_json(inspection.findings)}});
    return Exit::refused;
  }
  TRY(mark_page_hashes(options, inspection.catalogs));
  std::vector<MadeCatalog> made;   // all of them, before the first is written
  const DigestCache digests(folder, inspection.catalogs);
  const fs::path to = options.output.empty() ? fs::path(options.folder) : fs::path(options.output);
  for (const package::PlannedCatalog& planned : inspection.catalogs) {
    MadeCatalog catalog{to / planned.path, {}, planned.members.size()};
    if (!options.output.empty()) catalog.path = to / fs::path(planned.path).filename();
    for (const MadeCatalog& other : made)
      if (other.path == catalog.path) return fail(Errc::refused, fmt::format("two catalogs of the name {}: leave -o out", printable(catalog.path.string())));
    formats::CatalogContent content = TRY(base::within(printable(planned.path), package::catalog_content(planned, targets, [&](const std::string& path, formats::MemberPageHashes wanted) {
      return digests.find(path, wanted);
    })));
    catalog.file = TRY(base::within(printable(planned.path), encoded(std::move(content), options, now)));
    made.push_back(std::move(catalog));
  }
  TRY(folder.expect_unchanged());
  return finish(made, &inspection.findings, options);
}

// The file that a CDF names: at its path below the folder, else of that name in it. CDFs name files as they lay on the build machine.
const base::ByteSource* cdf_source(const PackageFolder& folder, const std::string& path) {
  const std::string wanted = base::lower_ascii(fs::path(path).lexically_normal().generic_string());
  const std::string name = base::lower_ascii(fs::path(path).filename().string());
  const base::ByteSource* by_name = nullptr;
  for (std::size_t i = 0; i < folder.files().size(); ++i) {
    const std::string found = base::lower_ascii(folder.files()[i].path);
    if (found == wanted) return &folder.source(i);
    if (found == name) by_name = &folder.source(i);
  }
  return by_name;
}

Result<Exit> create_from_cdf(const CatalogCreateOptions& options, base::Time now) {
  if (!options.os.empty() || options.all_page_hashes || !options.page_hashes.empty())
    return fail(Errc::usage, "a CDF says itself what --os and --page-hashes would: leave them out");
  const Bytes text = TRY(usb::read_file(options.cdf, base::limits::kInfBytes));
  const auto cdf = TRY(base::within(printable(options.cdf), formats::CatalogDefinition::parse(text)));
  if (!package::is_catalog_name(base::lower_ascii(cdf.name)))
    return fail(Errc::refused, fmt::format("Name \"{}\" is not a plain file name ending in .cat", printable(cdf.name)));
  const fs::path beside = fs::path(options.cdf).parent_path();
  const PackageFolder folder = TRY(PackageFolder::open(!options.folder.empty() ? fs::path(options.folder) : beside.empty() ? fs::path(".") : beside));
  formats::CatalogContent content;
  content.version = cdf.version;
  content.attributes = cdf.attributes;
  content.twins_have_attributes = false;
  for (const formats::CatalogDefinition::File& file : cdf.files) {
    const std::string where = fmt::format("{}: line {}: {}", printable(options.cdf), file.line, printable(file.path));
    const base::ByteSource* const source = cdf_source(folder, file.path);
    if (source == nullptr && options.allow_missing) {
      fmt::print(stderr, "coldseal: {}: missing, left out\n", where);
      continue;
    }
    if (source == nullptr) return fail(Errc::refused, where + ": no such file; give the folder that holds it as DIR");
    formats::MemberDigests digests =
        TRY(base::within(where, formats::member_digests(*source, cdf.page_hashes ? formats::MemberPageHashes::sha256 : formats::MemberPageHashes::none)));
    content.members.push_back({"", "", std::move(digests), file.attributes});
  }
  const fs::path to = !options.output.empty() ? fs::path(options.output) : beside / cdf.result_dir;
  std::error_code ignored;
  if (!options.check_only && !to.empty() && !fs::is_directory(to, ignored))
    return fail(Errc::not_found, fmt::format("{}: no such folder (ResultDir of the CDF); give another with -o", printable(to.string())));
  MadeCatalog catalog{to / cdf.name, {}, content.members.size()};
  catalog.file = TRY(encoded(std::move(content), options, now));
  return finish({std::move(catalog)}, nullptr, options);
}

Result<Exit> create(const CatalogCreateOptions& options, base::Time now) {
  if (options.folder.empty() && options.cdf.empty()) return fail(Errc::usage, "give the folder of a package, or --cdf FILE");
  return options.cdf.empty() ? create_from_infs(options, now) : create_from_cdf(options, now);
}

}  // namespace

void add_catalog_create(base::Command& catalog, Run& run, base::Time now) {
  base::Command command = catalog.sub(
      "create",
      "Tests a driver package as Inf2Cat does and makes the unsigned catalogs that its INFs name; or makes one from a CDF, as\n"
      "MakeCat does. Errors found in the package stop it, and nothing is written.");
  const auto options = std::make_shared<CatalogCreateOptions>();
  command.option("DIR", options->folder, "Folder of the package; with --cdf, of the files it names (else those beside it)");
  command.option("--os", options->os, "Operating systems, as Inf2Cat's /os: takes them: 10_X64,Server2025_X64");
  command.option("--cdf", options->cdf, "Catalog definition file instead of INFs");
  command.option("-o,--output", options->output, "Folder for the catalogs; else beside their INFs, or the CDF's ResultDir");
  command.option("--list-id", options->list_id, "List identifier, 32 hex digits; else a random one");
  command.option("--time", options->time, "Time in the catalog (UTC): 261123162000Z, 2026-11-23T16:20:00Z or Unix seconds; else now");
  base::CommandOption pages = command.option("--page-hashes", options->page_hashes, "Page hashes for all PE files, or with =a.sys,b.sys for these");
  pages.value_may_be_missing();
  command.flag("--check-only", options->check_only, "Test only, make no catalog (Inf2Cat's /nocat)");
  command.flag("--allow-missing", options->allow_missing, "Leave files out that are not there, with a warning; Windows will not install them");
  command.flag("--use-local-time", options->local_time, "Hold DriverVer against this machine's date, not UTC (Inf2Cat's /uselocaltime)");
  command.flag("--json", options->json, "One JSON object instead of text");
  command.footer("Examples:\n  coldseal catalog create ./mydriver --os 10_X64,10_RS5_ARM64\n  coldseal catalog create --cdf files.cdf -o out");
  command.when_chosen([options, pages, &run, now] {
    options->all_page_hashes = pages.was_given();
    run = [options, now] { return create(*options, now); };
  });
}

}  // namespace host_tool
