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

constexpr std::string_view kBootStart = "kernel.boot-start-not-embedded";

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

void take_verdict(package::Verdict verdict, FileVerdict& file) {
  for (Finding& finding : verdict.findings) {
    finding.file = file.path;
    file.findings.push_back(std::move(finding));
  }
  file.signer = std::move(verdict.signer);
  file.approved_digest = verdict.approved_digest;
  file.is_kernel_image = verdict.is_kernel_image;
  file.signatures = verdict.signatures;
  if (verdict.signed_digest) file.signed_with = verdict.signed_digest->algorithm();
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
                                           base::Time time, package::Policy policy, FileVerdict& file) {
  file.kind = FileKind::catalog;
  Result<formats::Catalog> catalog = formats::Catalog::parse(bytes);
  if (!catalog) {
    add_finding(file, "catalog.not-readable", Severity::error, catalog.error().text(),
                "make the catalog anew; Windows will not use this one");
    return std::nullopt;
  }
  take_verdict(package::verify_catalog_signature(bytes, roots, time, policy), file);
  return ParsedCatalog{file.path, std::move(*catalog), !has_errors(file.findings)};
}

// A driver whose header was damaged must not pass for an ordinary file.
Result<bool> claims_to_be_image(std::string_view path, const base::ByteSource& source) {
  const std::string name = base::lower_ascii(path);
  for (const std::string_view ending : {".sys", ".exe", ".dll", ".efi", ".drv", ".ocx", ".scr", ".cpl", ".mui"})
    if (name.ends_with(ending)) return true;
  if (source.size() < 2) return false;
  const base::Bytes magic = TRY(base::read_region(source, 0, 2, 2));
  return base::as_text(magic) == "MZ";
}

Result<void> judge_file(const base::ByteSource& source, const std::vector<crypto::Certificate>& roots, base::Time time,
                        package::Policy policy, FileVerdict& file, std::vector<ParsedCatalog>& catalogs) {
  if (is_catalog_name(file.path)) {
    const base::Bytes bytes = TRY(base::read_all(source, base::limits::kCatalogBytes));
    std::optional<ParsedCatalog> parsed = judge_catalog(bytes, roots, time, policy, file);
    if (parsed) catalogs.push_back(std::move(*parsed));
    return {};
  }
  const bool is_pe = TRY(formats::looks_like_pe(source));
  if (!is_pe) {
    // An unsigned cabinet is a file like any other. One that is signed, or whose structure does not hold, is judged.
    const bool is_cab = TRY(formats::looks_like_cab(source));
    const bool claims_image = TRY(claims_to_be_image(file.path, source));
    if (!is_cab && claims_image) {
      file.kind = FileKind::pe;
      file.is_broken_image = true;
      take_verdict(package::verify_pe(source, roots, time, policy), file);
    }
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
  std::map<std::string, std::set<std::size_t>> by_digest;   // of the folder's files; several may have the same
  for (std::size_t i = 0; i < digests.size(); ++i) {
    if (!digests[i]) continue;
    by_digest[key_of(digests[i]->sha256.bytes())].insert(i);
    by_digest[key_of(digests[i]->sha1.bytes())].insert(i);
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
      for (const std::size_t index : found->second) {
        FileVerdict& file = verdict.files[index];
        if (member.path.empty() || base::equal_ignoring_case(base_name(file.path), member.file)) member.path = file.path;
        if (std::find(file.vouched_by.begin(), file.vouched_by.end(), catalog.path) == file.vouched_by.end())
          file.vouched_by.push_back(catalog.path);
      }
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
void expect_installed_files_covered(const package::DriverPackage& driver, const std::vector<ParsedCatalog>& catalogs,
                                    PackageVerdict& verdict) {
  const package::ArchitectureSet architectures = architectures_of(catalogs);
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
      const package::PackageFile* const file = driver.file(inf.folder, copied.source);
      if (file != nullptr && !(copied.architectures & architectures).empty())
        expect_covered(file->path, fmt::format("{} installs this file", inf.path));
    }
  }
}

}  // namespace

void judge_by_itself(PackageVerdict& verdict) {
  for (FileVerdict& file : verdict.files) {
    const bool can_hold_one = file.kind == FileKind::pe || file.kind == FileKind::catalog || file.signatures > 0;
    if (can_hold_one || !file.vouched_by.empty() || has_errors(file.findings)) continue;
    add_finding(file, "file.not-signed", Severity::error,
                file.kind == FileKind::cabinet ? "the cabinet has no signature" : "neither an image, nor a cabinet, nor a catalog: it cannot hold a signature",
                "sign it, or give the catalog that lists it with --catalog");
  }
}

namespace {

bool vouches_for(const ParsedCatalog& catalog, const FileVerdict& file) {
  return std::find(file.vouched_by.begin(), file.vouched_by.end(), catalog.path) != file.vouched_by.end();
}

// "pe.not-signed" is no error for a file that a valid catalog vouches for: Windows looks there as well. Nor is what the kernel does not
// take of a file's own signature, when it takes the catalog's.
void weigh_by_catalogs(FileVerdict& file, const std::vector<ParsedCatalog>& catalogs) {
  const auto vouching = std::find_if(catalogs.begin(), catalogs.end(),
                                     [&](const ParsedCatalog& catalog) { return catalog.is_valid && vouches_for(catalog, file); });
  if (vouching == catalogs.end()) return;
  for (Finding& finding : file.findings) {
    const bool is_unsigned = finding.id == "pe.not-signed" && finding.severity == Severity::error;
    const bool is_flat = finding.id == "pe.not-readable" && file.is_broken_image;   // listed byte for byte, as DOS programs are
    if (!is_unsigned && !is_flat && !(file.is_kernel_image && !file.is_boot_start && package::is_kernel_refusal(finding))) continue;
    finding.severity = Severity::note;
    finding.cause = is_unsigned || is_flat ? fmt::format("no signature of its own; {} vouches for it", vouching->path)
                                : fmt::format("{} vouches for it; of its own signature: {}", vouching->path, finding.cause);
    finding.remedy = "none needed";
  }
}

// Policy::kernel: a catalog that the kernel does not take does no harm where no kernel image depends on it. Before weigh_by_catalogs.
void weigh_catalogs_for_kernel(std::vector<ParsedCatalog>& catalogs, PackageVerdict& verdict) {
  for (ParsedCatalog& catalog : catalogs) {
    const auto depends = [&](const FileVerdict& file) {
      const bool stands_alone = file.signatures > 0 && !has_errors(file.findings);
      const bool has_another = std::any_of(catalogs.begin(), catalogs.end(),
                                           [&](const ParsedCatalog& other) { return other.is_valid && vouches_for(other, file); });
      return file.is_kernel_image && vouches_for(catalog, file) && !stands_alone && !has_another;
    };
    if (std::any_of(verdict.files.begin(), verdict.files.end(), depends)) continue;
    const auto own = std::find_if(verdict.files.begin(), verdict.files.end(), [&](const FileVerdict& file) { return file.path == catalog.path; });
    if (own == verdict.files.end()) continue;
    for (Finding& finding : own->findings) {
      if (!package::is_kernel_refusal(finding)) continue;
      finding.severity = Severity::note;
      finding.cause = "no driver depends on this catalog; " + finding.cause;
      finding.remedy = "none needed for loading; installing asks whether to trust the publisher";
    }
    catalog.is_valid = !has_errors(own->findings);
  }
}

// "Windows 7 and Windows Server 2008 R2 take SHA-256 signatures with the update KB3033929 only"; older ones never do.
void judge_old_systems(const std::vector<ParsedCatalog>& catalogs, PackageVerdict& verdict) {
  for (const ParsedCatalog& catalog : catalogs) {
    const auto own = std::find_if(verdict.files.begin(), verdict.files.end(), [&](const FileVerdict& file) { return file.path == catalog.path; });
    const std::string* const os = catalog.catalog.attribute("OS");
    if (own == verdict.files.end() || os == nullptr || !own->signed_with || *own->signed_with == crypto::DigestAlgorithm::sha1) continue;
    std::string old;
    for (const package::OsTarget& target : package::known_os_targets())
      if (target.needs_v1 && fmt::format(",{},", *os).find(fmt::format(",{},", target.os)) != std::string::npos) old += fmt::format("{}{}", old.empty() ? "" : ", ", target.os);
    if (!old.empty())
      add_finding(*own, "kernel.sha256-on-old-systems", Severity::warning,
                  fmt::format("signed with SHA-256, and made for {}: Windows 7 and Server 2008 R2 take that with the update KB3033929, older systems never", old),
                  "ship the update, or sign a package of its own for them with SHA-1 elsewhere");
  }
}

// Policy::kernel: the boot loader cannot look for catalogs yet.
void expect_boot_drivers_signed(const package::DriverPackage& driver, PackageVerdict& verdict) {
  for (const package::PackageInf& inf : driver.infs())
    for (const package::Service& service : inf.driver.services()) {
      if (!service.is_boot_start()) continue;
      const std::string binary = base::lower_ascii(service.binary.substr(std::min(service.binary.find_last_of("/\\") + 1, service.binary.size())));
      for (const package::CopiedFile& copied : inf.driver.copied_files()) {
        const package::PackageFile* const source = driver.file(inf.folder, copied.source);
        if (base::lower_ascii(copied.destination) != binary || source == nullptr) continue;
        for (FileVerdict& file : verdict.files) {
          const auto is_said = [](const Finding& finding) { return finding.id == kBootStart; };
          if (file.path != source->path) continue;
          file.is_boot_start = true;
          if (file.signatures > 0 || std::any_of(file.findings.begin(), file.findings.end(), is_said)) continue;
          add_finding(file, std::string(kBootStart), Severity::error,
                      fmt::format("service {} of {} starts with Windows' boot (line {}), and the file has no signature of its own", service.name, inf.path, service.line),
                      "have the file signed itself (embed) as well as catalogued");
        }
      }
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
    std::optional<ParsedCatalog> parsed = judge_catalog(extra_catalog->bytes, roots, time, policy, file);
    if (parsed) catalogs.push_back(std::move(*parsed));
    verdict.files.push_back(std::move(file));
  }
  package::InspectionBuilder unused;   // what is wrong with the INFs is coldseal inspect's to say
  const std::vector<package::PackageFile> sources = folder.sources();   // what driver looks at
  const package::DriverPackage driver = package::DriverPackage::read(sources, unused);
  if (policy == package::Policy::kernel) expect_boot_drivers_signed(driver, verdict);
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
  expect_installed_files_covered(driver, catalogs, verdict);
  if (policy == package::Policy::kernel) {
    judge_old_systems(catalogs, verdict);
    weigh_catalogs_for_kernel(catalogs, verdict);
  }
  for (FileVerdict& file : verdict.files) {
    weigh_by_catalogs(file, catalogs);
    if (file.kind != FileKind::catalog && file.vouched_by.empty())
      add_finding(file, "catalog.not-covered", Severity::note, "no catalog here has this file as a member", "");
  }
  return verdict;
}

}  // namespace host_tool
