#include "host-tool/package_verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/formats/cab_file.hpp"
#include "crypto/formats/catalog.hpp"
#include "crypto/formats/pe_image.hpp"
#include "crypto/package/driver_package.hpp"
#include "crypto/package/verification.hpp"
#include "host-tool/report.hpp"
#include "host-tool/terminal.hpp"

namespace host_tool {
namespace {

using base::Result;
using package::Finding;
using package::Severity;

struct ParsedCatalog {
  std::string path;
  formats::Catalog catalog;
  bool is_valid = false;   // signed, and nothing about it is an error
};

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

void take_verdict(package::Verdict verdict, FileVerdict& file) {
  for (Finding& finding : verdict.findings) {
    finding.file = file.path;
    file.findings.push_back(std::move(finding));
  }
  file.signer = std::move(verdict.signer);
  file.approved_digest = verdict.approved_digest;
  file.good_signatures = std::move(verdict.good_signatures);
  if (!verdict.chain.empty()) {
    file.certificate = verdict.chain.front().fingerprint();
    file.signing_key = crypto::sha256(verdict.chain.front().public_key_der());
  }
}

void add_finding(FileVerdict& file, std::string id, Severity severity, std::string cause, std::string remedy) {
  file.findings.push_back({std::move(id), severity, file.path, 0, std::move(cause), std::move(remedy)});
}

bool is_catalog_name(std::string_view path) { return base::lower_ascii(path).ends_with(".cat"); }

// One catalog's own verdict, and what it lists when it can be read.
std::optional<ParsedCatalog> judge_catalog(base::ByteView bytes, const std::vector<crypto::Certificate>& roots,
                                           base::Time time, FileVerdict& file) {
  file.kind = FileKind::catalog;
  Result<formats::Catalog> catalog = formats::Catalog::parse(bytes);
  if (!catalog) {
    add_finding(file, "catalog.not-readable", Severity::error, catalog.error().text(),
                "make the catalog anew; Windows will not use this one");
    return std::nullopt;
  }
  take_verdict(package::verify_catalog_signature(bytes, roots, time), file);
  return ParsedCatalog{file.path, std::move(*catalog), !has_errors(file.findings)};
}

Result<void> judge_file(const base::ByteSource& source, const std::vector<crypto::Certificate>& roots, base::Time time,
                        package::Policy policy, FileVerdict& file, std::vector<ParsedCatalog>& catalogs) {
  if (is_catalog_name(file.path)) {
    const base::Bytes bytes = TRY(base::read_all(source, base::limits::kCatalogBytes));
    std::optional<ParsedCatalog> parsed = judge_catalog(bytes, roots, time, file);
    if (parsed) catalogs.push_back(std::move(*parsed));
    return {};
  }
  const bool is_pe = TRY(formats::looks_like_pe(source));
  if (!is_pe) {
    // An unsigned cabinet is a file like any other. One that is signed, or whose structure does not hold, is judged.
    const bool is_cab = TRY(formats::looks_like_cab(source));
    if (!is_cab) return {};
    file.kind = FileKind::cabinet;
    const auto cab = formats::CabFile::parse(source);
    if ((cab && cab->is_signed()) || (!cab && cab.error().code() != base::Errc::unsupported))
      take_verdict(package::verify_cab(source, roots, time), file);
    return {};
  }
  file.kind = FileKind::pe;
  take_verdict(package::verify_pe(source, roots, time, policy), file);
  return {};
}

// How a member's entry is recognised again: by any digest it stands for.
std::string key_of(base::ByteView digest) { return base::hex(digest); }

void match_members(const ParsedCatalog& catalog, const std::vector<std::optional<formats::MemberDigests>>& digests,
                   PackageVerdict& verdict, FileVerdict* catalog_file) {
  std::map<std::string, std::size_t> by_digest;   // of the folder's files
  for (std::size_t i = 0; i < digests.size(); ++i) {
    if (!digests[i]) continue;
    by_digest.emplace(key_of(digests[i]->sha256.bytes()), i);
    by_digest.emplace(key_of(digests[i]->sha1.bytes()), i);
  }
  std::set<std::pair<std::string, std::string>> seen;   // a version 2 list has two entries for a file
  for (const formats::CatalogEntry& entry : catalog.catalog.entries()) {
    if (!entry.digest) continue;   // the SHA-1 twin of an entry that has one
    const std::string* const attribute = entry.attribute("File");
    MemberVerdict member{catalog.path, attribute != nullptr ? *attribute : base::hex(entry.tag), {}, {}};
    if (!seen.emplace(member.file, key_of(entry.digest->bytes())).second) continue;
    const auto found = by_digest.find(key_of(entry.digest->bytes()));
    if (found != by_digest.end()) {
      member.state = MemberVerdict::State::present;
      member.path = verdict.files[found->second].path;
      auto& vouched_by = verdict.files[found->second].vouched_by;
      if (std::find(vouched_by.begin(), vouched_by.end(), catalog.path) == vouched_by.end())
        vouched_by.push_back(catalog.path);
    } else {
      const auto same_name = std::find_if(verdict.files.begin(), verdict.files.end(), [&](const FileVerdict& file) {
        return base::equal_ignoring_case(base_name(file.path), member.file);
      });
      const bool is_changed = same_name != verdict.files.end();
      member.state = is_changed ? MemberVerdict::State::changed : MemberVerdict::State::missing;
      if (is_changed) member.path = same_name->path;
    }
    verdict.members.push_back(std::move(member));
  }
  if (catalog_file == nullptr) return;
  for (const MemberVerdict& member : verdict.members) {
    if (member.catalog != catalog.path) continue;
    if (member.state == MemberVerdict::State::changed)
      add_finding(*catalog_file, "catalog.file-changed", Severity::error,
                  fmt::format("{} is not the file that the catalog was made for", member.path),
                  "restore the file, or have the catalog made and signed again");
    if (member.state == MemberVerdict::State::missing)
      add_finding(*catalog_file, "catalog.file-missing", Severity::warning,
                  fmt::format("the catalog lists {}, which is not here", member.file),
                  "harmless for the other files; check that the package is complete");
  }
}

// Of the systems that the catalogs name; all when one names none that is known.
package::ArchitectureSet architectures_of(const std::vector<ParsedCatalog>& catalogs) {
  package::ArchitectureSet all;
  for (const package::OsTarget& target : package::known_os_targets()) all.insert(target.architecture);
  package::ArchitectureSet found;
  for (const ParsedCatalog& catalog : catalogs) {
    const std::string* const os = catalog.catalog.attribute("OS");
    if (os == nullptr) return all;
    for (std::string_view rest = *os; !rest.empty();) {
      const std::string_view name = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(name.size() + 1, rest.size()));
      const auto known = package::known_os_targets();
      const auto target = std::find_if(known.begin(), known.end(), [&](const package::OsTarget& each) { return each.os == name; });
      if (target == known.end()) return all;
      found.insert(target->architecture);
    }
  }
  return found;
}

// Windows installs a file only when a catalog of the package lists it: every INF, and what its sections copy.
// A section counts when it is for an architecture of the catalogs' systems: a package for one system may hold files for more.
void expect_installed_files_covered(const std::vector<package::PackageFile>& sources, const std::vector<ParsedCatalog>& catalogs,
                                    PackageVerdict& verdict) {
  const package::ArchitectureSet architectures = architectures_of(catalogs);
  package::InspectionBuilder unused;   // what is wrong with the INFs is coldseal inspect's to say
  const package::DriverPackage driver = package::DriverPackage::read(sources, unused);
  std::set<std::string> reported;
  const auto expect_covered = [&](const std::string& path, std::string_view why) {
    const auto file = std::find_if(verdict.files.begin(), verdict.files.end(), [&](const FileVerdict& each) { return each.path == path; });
    if (file == verdict.files.end() || !file->vouched_by.empty() || !reported.insert(path).second) return;
    add_finding(*file, "catalog.installed-file-not-covered", Severity::error, fmt::format("{}, and no catalog here lists it", why),
                "make the catalog anew from this package and have it signed");
  };
  for (const package::PackageInf& inf : driver.infs()) {
    expect_covered(inf.path, "a driver's INF");
    for (const package::CopiedFile& copied : inf.driver.copied_files()) {
      const package::PackageFile* const file = driver.file(inf.folder + copied.source);
      if (file != nullptr && !(copied.architectures & architectures).empty())
        expect_covered(file->path, fmt::format("{} installs this file", inf.path));
    }
  }
}

// "pe.not-signed" is no error for a file that a valid catalog vouches for: Windows looks there as well.
void weigh_unsigned(FileVerdict& file, const std::vector<ParsedCatalog>& catalogs) {
  const auto vouching = std::find_if(catalogs.begin(), catalogs.end(), [&](const ParsedCatalog& catalog) {
    return catalog.is_valid && std::find(file.vouched_by.begin(), file.vouched_by.end(), catalog.path) != file.vouched_by.end();
  });
  if (vouching == catalogs.end()) return;
  for (Finding& finding : file.findings) {
    if (finding.id != "pe.not-signed" || finding.severity != Severity::error) continue;
    finding.severity = Severity::note;
    finding.cause = fmt::format("no signature of its own; {} vouches for it", vouching->path);
    finding.remedy.clear();
  }
}

}  // namespace

std::string_view file_kind_name(FileKind kind) {
  switch (kind) {
    case FileKind::pe:
      return "PE";
    case FileKind::cabinet:
      return "cabinet";
    case FileKind::catalog:
      return "catalog";
    case FileKind::other:
      return "file";
  }
  base::stop("no such kind of file");
}

std::string_view member_state_name(MemberVerdict::State state) {
  switch (state) {
    case MemberVerdict::State::present:
      return "present";
    case MemberVerdict::State::changed:
      return "changed";
    case MemberVerdict::State::missing:
      return "missing";
  }
  base::stop("no such state of a member");
}

bool PackageVerdict::valid() const {
  return std::none_of(files.begin(), files.end(), [](const FileVerdict& file) { return has_errors(file.findings); });
}

Result<PackageVerdict> verify_package(const PackageFolder& folder, const NamedCatalog* extra_catalog,
                                      const std::vector<crypto::Certificate>& roots, base::Time time,
                                      package::Policy policy) {
  PackageVerdict verdict;
  std::vector<ParsedCatalog> catalogs;
  ProgressBar bar("verifying");
  std::uint64_t done = 0;
  for (std::size_t i = 0; i < folder.files().size(); ++i) {
    verdict.files.emplace_back().path = folder.files()[i].path;
    TRY(base::within(base::printable(folder.files()[i].path),
                     judge_file(folder.source(i), roots, time, policy, verdict.files.back(), catalogs)));
    bar.show(done += folder.files()[i].size, 2 * folder.bytes());
  }
  if (extra_catalog != nullptr) {
    FileVerdict file;
    file.path = extra_catalog->path;
    std::optional<ParsedCatalog> parsed = judge_catalog(extra_catalog->bytes, roots, time, file);
    if (parsed) catalogs.push_back(std::move(*parsed));
    verdict.files.push_back(std::move(file));
  }
  if (catalogs.empty()) return verdict;

  std::vector<std::optional<formats::MemberDigests>> digests;   // none for catalogs, and for files no catalog can hold
  for (std::size_t i = 0; i < folder.files().size(); ++i) {
    digests.emplace_back();
    if (verdict.files[i].kind != FileKind::catalog) {
      Result<formats::MemberDigests> found = formats::member_digests(folder.source(i));
      if (found) digests.back() = std::move(*found);
    }
    bar.show(done += folder.files()[i].size, 2 * folder.bytes());
  }
  for (const ParsedCatalog& catalog : catalogs) {
    const auto file = std::find_if(verdict.files.begin(), verdict.files.end(),
                                   [&](const FileVerdict& each) { return each.path == catalog.path; });
    match_members(catalog, digests, verdict, file == verdict.files.end() ? nullptr : &*file);
  }
  expect_installed_files_covered(folder.sources(), catalogs, verdict);
  for (FileVerdict& file : verdict.files) {
    weigh_unsigned(file, catalogs);
    if (file.kind != FileKind::catalog && file.vouched_by.empty())
      add_finding(file, "catalog.not-covered", Severity::note, "no catalog here has this file as a member", "");
  }
  return verdict;
}

}  // namespace host_tool
