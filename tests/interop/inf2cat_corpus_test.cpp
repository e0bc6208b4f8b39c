// Catalogs that Inf2Cat wrote, made again from their packages: the lists must have the same bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "crypto/base/text.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/der/writer.hpp"
#include "crypto/formats/catalog.hpp"
#include "crypto/formats/inf_file.hpp"
#include "crypto/package/catalog_content.hpp"
#include "crypto/package/delivered_catalog.hpp"
#include "crypto/package/driver_inf.hpp"
#include "crypto/package/driver_package.hpp"
#include "crypto/package/inspection.hpp"
#include "crypto/package/os_targets.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

namespace fs = std::filesystem;
using base::Bytes;
using formats::Catalog;
using formats::MemberDigests;
using formats::MemberKind;
using package::Inspection;

const base::Time kToday = std::chrono::sys_days(std::chrono::year(2024) / 12 / 31);

// The list with its members sorted by all of their bytes: members with equal tags stand in no order that a rule explains. With
// `tags`, only the members that have one of them.
Bytes ties_sorted(base::ByteView ctl, const std::set<Bytes>* tags = nullptr) {
  der::Reader in(der::expect_single(ctl, der::kSequence)->value);
  Bytes sorted;
  while (!in.at_end()) {
    const der::Element part = *in.expect_element();
    der::Reader inside(part.value);
    std::vector<Bytes> members;
    const bool is_member_list = part.tag == der::kSequence && part.value.size() > 2 && part.value[0] == der::kSequence;
    if (!is_member_list) {
      base::append(sorted, part.whole);
      continue;
    }
    while (!inside.at_end()) {
      const der::Element member = *inside.expect_element();
      der::Reader parts(member.value);
      if (tags == nullptr || tags->contains(base::to_bytes(*parts.expect(der::kOctetString)))) members.push_back(base::to_bytes(member.whole));
    }
    std::sort(members.begin(), members.end());
    base::append(sorted, der::sequence(members));
  }
  return sorted;
}

std::string errors_of(const Inspection& inspection) {
  std::string text;
  for (const package::Finding& finding : inspection.findings)
    if (finding.severity == package::Severity::error)
      text += finding.id + " " + finding.file + ":" + std::to_string(finding.line) + " " + finding.cause + "\n";
  return text;
}

using package::DigestsOf;
using Targets = std::vector<const package::OsTarget*>;

// What our catalog and the genuine one may differ in, and no more.
struct Differences {
  std::function<void(formats::CatalogContent&)> rewrite = [](formats::CatalogContent&) {};   // to what the genuine tool wrote
  bool members_are_missing = false;   // files that the package no longer has
};

Bytes rebuilt(const package::PlannedCatalog& plan, const Targets& targets, const Catalog& genuine, const DigestsOf& digests_of,
              const Differences& differences) {
  base::Result<formats::CatalogContent> content = package::catalog_content(plan, targets, digests_of);
  EXPECT_TRUE(content.has_value()) << content.error().text();
  if (!content) return {};
  content->list_identifier = genuine.list_identifier();
  content->this_update = genuine.this_update();
  differences.rewrite(*content);
  const base::Result<Bytes> ctl = formats::encode_ctl(*content);
  EXPECT_TRUE(ctl.has_value()) << ctl.error().text();
  return ctl.value_or(Bytes());
}

std::string described(base::ByteView ctl) {
  const base::Result<Catalog> catalog = Catalog::parse_ctl(ctl);
  if (!catalog) return catalog.error().text();
  std::string text;
  for (const formats::NameValue& attribute : catalog->attributes()) text += attribute.name + "=" + attribute.value + "\n";
  for (const formats::CatalogEntry& entry : catalog->entries()) {
    text += base::hex(entry.tag).substr(0, 16);
    for (const formats::NameValue& attribute : entry.attributes) text += " " + attribute.name + "=" + attribute.value;
    text += "\n";
  }
  return text;
}

// Plans the package's catalogs and compares each with the genuine one beside it. Returns how many were compared.
std::size_t compare(const fs::path& folder, const tests::Package& files, const std::string& os_list, const DigestsOf& digests_of,
                    const Differences& differences = {}) {
  std::vector<std::string> names;
  const auto targets = package::os_targets_from_list(os_list);
  if (!targets) {
    ADD_FAILURE() << targets.error().text();
    return 0;
  }
  for (const package::OsTarget* target : *targets) names.emplace_back(target->name);
  const Inspection inspection = package::inspect(files.files(), names, kToday);
  EXPECT_EQ(errors_of(inspection).empty(), !differences.members_are_missing) << folder << errors_of(inspection);
  std::set<std::string> genuine_names;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".cat") genuine_names.insert(base::lower_ascii(entry.path().filename().string()));
  std::set<std::string> planned_names;
  std::size_t compared = 0;
  for (const package::PlannedCatalog& plan : inspection.catalogs) {
    planned_names.insert(base::lower_ascii(plan.path));
    if (!fs::exists(folder / plan.path)) continue;
    const Bytes file = tests::read_file(folder / plan.path);
    const base::Result<Catalog> genuine = Catalog::parse(file);
    if (!genuine) {
      ADD_FAILURE() << plan.path << ": " << genuine.error().text();
      continue;
    }
    const Bytes ours = rebuilt(plan, *targets, *genuine, digests_of, differences);
    std::set<Bytes> tags;
    if (const auto read = Catalog::parse_ctl(ours); read)
      for (const formats::CatalogEntry& entry : read->entries()) tags.insert(entry.tag);
    EXPECT_FALSE(tags.empty());
    const Bytes wanted = ties_sorted(genuine->ctl(), differences.members_are_missing ? &tags : nullptr);
    EXPECT_TRUE(ours == genuine->ctl() || ties_sorted(ours) == wanted)
        << folder / plan.path << "\nours\n" << described(ours) << "genuine\n" << described(genuine->ctl());
    ++compared;
  }
  EXPECT_EQ(planned_names, genuine_names) << folder;
  return compared;
}

std::size_t compare_package(const fs::path& folder, const std::string& os_list, const Differences& differences = {}) {
  const tests::Package files = tests::Package::load(folder);
  return compare(
      folder, files, os_list,
      [&](const std::string& path, formats::MemberPageHashes wanted) { return formats::member_digests(files.source(path), wanted); }, differences);
}

// The page-hash tables of a folder's catalogs, by the image's digest in hex.
std::map<std::string, Bytes> page_hash_tables(const fs::path& folder) {
  std::map<std::string, Bytes> tables;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".cat") continue;
    const auto catalog = Catalog::parse(tests::read_file(entry.path()));
    if (!catalog) continue;
    for (const formats::CatalogEntry& member : catalog->entries())
      if (!member.page_hashes.empty()) tables.emplace(member.digest->hex(), member.page_hashes);
  }
  return tables;
}

// Packages of which only INF, catalogs and digests are kept.
std::size_t compare_digests(const fs::path& folder, const std::string& os_list) {
  tests::Package files;
  std::map<std::string, nlohmann::json> known;
  for (const nlohmann::json& file : nlohmann::json::parse(tests::read_text(folder / "files.json"))) {
    const std::string path = file.at("path");
    known[path] = file;
    files.add(path, fs::exists(folder / path) ? tests::read_file(folder / path) : Bytes());
  }
  const std::map<std::string, Bytes> tables = page_hash_tables(folder);
  const auto digest = [](crypto::DigestAlgorithm algorithm, const nlohmann::json& hex) {
    return *crypto::Digest::from_bytes(algorithm, *base::from_hex(hex.get<std::string>()));
  };
  return compare(folder, files, os_list, [&](const std::string& path, formats::MemberPageHashes wanted) -> base::Result<MemberDigests> {
    const nlohmann::json& file = known.at(path);
    const std::string kind = file.at("kind");
    MemberDigests digests{kind == "pe" ? MemberKind::pe : kind == "cab" ? MemberKind::cab : MemberKind::flat,
                          digest(crypto::DigestAlgorithm::sha1, file.at(kind + "_sha1")),
                          digest(crypto::DigestAlgorithm::sha256, file.at(kind + "_sha256")), {}};
    if (wanted == formats::MemberPageHashes::sha256) digests.page_hashes = tables.at(digests.sha256.hex());
    if (kind == "cab") {
      const std::uint32_t size = file.at("size");
      const std::array<std::uint8_t, 4> field = {static_cast<std::uint8_t>(size), static_cast<std::uint8_t>(size >> 8),
                                                 static_cast<std::uint8_t>(size >> 16), static_cast<std::uint8_t>(size >> 24)};
      digests.cab_size = crypto::sha256(field);
    }
    return digests;
  });
}

// The first Windows 10 kit wrote other names than all later ones.
void as_first_windows_10_kit(formats::CatalogContent& content) {
  const auto replace = [](std::string& text, std::string_view from, std::string_view to) {
    if (const std::size_t at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
  };
  replace(content.os, "_v100_X64", "10X64");
  replace(content.os, "_v100", "10X86");
  for (formats::CatalogMember& member : content.members) replace(member.os_attr, "2:10.0", "2:6.4");
}

// Every row of the table of packages whose /os: list is known.
TEST(Inf2CatCorpus, PackagesGiveTheBytesOfTheirCatalogs) {
  const auto corpus = tests::corpus();
  if (!corpus) GTEST_SKIP() << tests::kNoCorpus;
  std::istringstream table(tests::read_text(*corpus / "inf2cat-cases.tsv"));
  std::size_t rows = 0;
  for (std::string line; std::getline(table, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::vector<std::string> columns;
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, '\t');) columns.push_back(field);
    ASSERT_GE(columns.size(), 5U) << line;
    const std::size_t catalogs = static_cast<std::size_t>(std::count(columns[3].begin(), columns[3].end(), ',')) + 1;
    SCOPED_TRACE(columns[0]);
    Differences differences;
    if (columns[4] == "members-missing") {
      differences.members_are_missing = true;
    } else if (columns[4] == "os-string") {
      differences.rewrite = as_first_windows_10_kit;
    } else {
      ASSERT_EQ(columns[4], "exact");
    }
    EXPECT_EQ(compare_package(*corpus / "packages" / columns[0], columns[1], differences), catalogs);
    ++rows;
  }
  EXPECT_EQ(rows, 13U);
}

TEST(Inf2CatCorpus, DigestsGiveTheBytesOfTheirCatalogs) {
  const auto corpus = tests::corpus();
  if (!corpus) GTEST_SKIP() << tests::kNoCorpus;
  const fs::path packages = *corpus / "hash-only";
  // Its page hashes need the files; all else is compared, with the tables taken from the genuine catalog.
  EXPECT_EQ(compare_digests(packages / "drm-petrust-arm", "6_3_ARM"), 1U);
  EXPECT_EQ(compare_digests(packages / "embdevicemetadata", "6_3_ARM,10_RS3_ARM64"), 2U);
  EXPECT_EQ(compare_digests(packages / "fusion", "6_3_ARM"), 1U);
  EXPECT_EQ(compare_digests(packages / "gripdet", "6_3_ARM,10_RS3_ARM64"), 6U);
  EXPECT_EQ(compare_digests(packages / "modemresources-rename", "6_3_ARM,10_RS3_ARM64"), 1U);
  EXPECT_EQ(compare_digests(packages / "mtpoem-cab", "6_3_ARM,10_RS3_ARM64"), 2U);
  EXPECT_EQ(compare_digests(packages / "oempanel-arm-arm64", "6_3_ARM,10_RS3_ARM64"), 2U);
  EXPECT_EQ(compare_digests(packages / "revrmnet-mixed", "6_3_ARM,10_RS3_ARM64"), 2U);
  EXPECT_EQ(compare_digests(packages / "windowsphone", "6_3_ARM,10_RS3_ARM64"), 2U);
}

TEST(Inf2CatCorpus, EveryInfIsRead) {
  const auto corpus = tests::corpus();
  if (!corpus) GTEST_SKIP() << tests::kNoCorpus;
  std::size_t read = 0;
  for (const auto& entry : fs::recursive_directory_iterator(*corpus)) {
    const std::string extension = base::lower_ascii(entry.path().extension().string());
    if (extension != ".inf" && extension != ".inx") continue;
    const auto inf = formats::InfFile::parse(tests::read_file(entry.path()));
    ASSERT_TRUE(inf.has_value()) << entry.path() << ": " << inf.error().text();
    const auto driver = package::DriverInf::read(*inf);
    ASSERT_TRUE(driver.has_value()) << entry.path() << ": " << driver.error().text();
    ++read;
  }
  EXPECT_GT(read, 100U);
}

TEST(Inf2CatCorpus, EveryCatalogIsRead) {
  const auto corpus = tests::corpus();
  if (!corpus) GTEST_SKIP() << tests::kNoCorpus;
  std::size_t read = 0;
  for (const auto& entry : fs::recursive_directory_iterator(*corpus)) {
    if (base::lower_ascii(entry.path().extension().string()) != ".cat") continue;
    const auto catalog = Catalog::parse(tests::read_file(entry.path()));
    EXPECT_TRUE(catalog.has_value()) << entry.path() << ": " << catalog.error().text();
    ++read;
  }
  EXPECT_GT(read, 50U);
}

// A catalog that came with its package, not signed yet, is what sign-catalog takes: Inf2Cat's own must be acceptable as they are.
TEST(Inf2CatCorpus, CatalogsAreSignedAsDelivered) {
  const auto corpus = tests::corpus();
  if (!corpus) GTEST_SKIP() << tests::kNoCorpus;
  std::istringstream table(tests::read_text(*corpus / "inf2cat-cases.tsv"));
  std::size_t taken = 0;
  for (std::string line; std::getline(table, line);) {
    std::vector<std::string> columns;
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, '\t');) columns.push_back(field);
    if (line.empty() || line[0] == '#' || columns.at(4) != "exact") continue;
    const fs::path folder = *corpus / "packages" / columns[0];
    const tests::Package files = tests::Package::load(folder);
    const auto targets = package::os_targets_from_list(columns[1]);
    std::map<std::string, MemberDigests> digests;
    for (const package::PackageFile& file : files.files())
      if (const auto found = formats::member_digests(*file.bytes); found && !file.path.ends_with(".cat")) digests.emplace(file.path, *found);
    std::istringstream names(columns[3]);
    for (std::string name; std::getline(names, name, ',');) {
      const auto genuine = Catalog::parse(tests::read_file(folder / name));
      ASSERT_TRUE(genuine.has_value());
      const auto delivered = package::delivered_catalog(
          formats::unsigned_catalog(genuine->ctl()), digests, *targets,
          [&](const std::string& path, formats::MemberPageHashes wanted) { return formats::member_digests(files.source(path), wanted); });
      ASSERT_TRUE(delivered.has_value()) << columns[0] << "/" << name << ": " << delivered.error().text();
      EXPECT_EQ(delivered->ctl, genuine->ctl());
      ++taken;
    }
  }
  EXPECT_GT(taken, 30U);
}

// Its own catalog is for Windows Vista and 7 (version 1); here it is catalogued anew for Windows 10.
TEST(Inf2CatCorpus, AnOldPackageIsCataloguedForWindows10) {
  const auto corpus = tests::corpus();
  if (!corpus) GTEST_SKIP() << tests::kNoCorpus;
  const tests::Package files = tests::Package::load(*corpus / "packages" / "tap0901-x64");
  const Inspection inspection = package::inspect(files.files(), {"10_X64"}, kToday);
  EXPECT_EQ(errors_of(inspection), "");
  ASSERT_EQ(inspection.catalogs.size(), 1U);
  const package::PlannedCatalog& plan = inspection.catalogs[0];
  EXPECT_EQ(plan.path, "tap0901.cat");
  EXPECT_EQ(plan.os, "_v100_X64");
  EXPECT_EQ(plan.hardware_ids, (std::vector<std::string>{"root\\tap0901", "tap0901"}));
  ASSERT_EQ(plan.members.size(), 2U);
  EXPECT_EQ(plan.members[1].path, "tap0901.sys");
  // The old catalog agrees about ids and files, and its SHA-1 digests are ours.
  const auto old = Catalog::parse(tests::read_file(*corpus / "packages" / "tap0901-x64" / "tap0901.cat"));
  ASSERT_TRUE(old.has_value());
  EXPECT_EQ(old->hardware_ids(), plan.hardware_ids);
  for (const package::PlannedMember& member : plan.members) {
    const auto digests = formats::member_digests(files.source(member.path));
    ASSERT_TRUE(digests.has_value()) << digests.error().text();
    const formats::CatalogEntry* entry = old->covering(*digests);
    ASSERT_NE(entry, nullptr) << member.path;
    EXPECT_EQ(*entry->attribute("File"), member.file);
  }
}

}  // namespace
