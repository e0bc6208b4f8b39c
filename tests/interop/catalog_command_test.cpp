// coldseal catalog as people run it; what it makes is judged by openssl, and by MakeCat's own catalog when the corpus is there.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "crypto/formats/catalog.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;
using base::Bytes;

constexpr std::string_view kInf =
    "[Version]\r\nSignature=\"$WINDOWS NT$\"\r\nClass=System\r\nProvider=P\r\nDriverVer=11/20/2025,1.2.3.4\r\nCatalogFile=Sample.CAT\r\n"
    "[Manufacturer]\r\nP=Std,NTamd64\r\n[Std.NTamd64]\r\nD=Inst,ROOT\\Sample\r\n[Inst]\r\nCopyFiles=L\r\n[L]\r\nsample.sys\r\nsample.txt\r\n"
    "[SourceDisksNames]\r\n1=Disk\r\n[SourceDisksFiles]\r\nsample.sys=1\r\nsample.txt=1\r\n";
constexpr const char* kListId = "000102030405060708090a0b0c0d0e0f";
constexpr const char* kTime = "2026-11-23T16:20:00Z";

Finished coldseal(Command arguments) {
  arguments.insert(arguments.begin(), program("coldseal"));
  return run(arguments);
}

bool has(const std::string& text, std::string_view wanted) { return text.find(wanted) != std::string::npos; }

class CatalogCommand : public testing::Test {
 protected:
  CatalogCommand() {
    write_text(package() / "sample.inf", kInf);
    write_file(package() / "sample.sys", build_pe(driver_description()));
    write_text(package() / "sample.txt", "flat");
  }
  fs::path package() const { return folder_ / "package"; }
  Finished create(const Command& more = {}, const std::string& os = "10_X64") const {
    Command command = {"catalog", "create", package(), "--os", os, "--list-id", kListId, "--time", kTime};
    command.insert(command.end(), more.begin(), more.end());
    return coldseal(command);
  }
  TempDir folder_;
};

TEST_F(CatalogCommand, CreateSaysWhatInf2CatSaysAndWritesTheCatalog) {
  const Finished made = create();
  EXPECT_EQ(made.status, 0) << made.output;
  EXPECT_TRUE(has(made.output, "Signability test complete.\n\nErrors:\nNone\n\nWarnings:\nNone\n\nCatalog generation complete.\n")) << made.output;
  EXPECT_TRUE(has(made.output, (package() / "sample.cat").string()));
  const auto catalog = formats::Catalog::parse(read_file(package() / "sample.cat"));   // a lower-case name
  ASSERT_TRUE(catalog.has_value()) << catalog.error().text();
  EXPECT_FALSE(catalog->is_signed());
  EXPECT_EQ(catalog->version(), 2U);
  EXPECT_EQ(base::hex(catalog->list_identifier()), kListId);
  EXPECT_EQ(base::rfc3339(catalog->this_update()), kTime);
  EXPECT_EQ(catalog->entries().size(), 6U);
  EXPECT_EQ(run({"openssl", "pkcs7", "-inform", "DER", "-in", package() / "sample.cat", "-noout"}).status, 0);
}

TEST_F(CatalogCommand, CreateWritesNothingWhenTheTestFails) {
  fs::remove(package() / "sample.txt");
  const Finished refused = create();
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_TRUE(has(refused.output, "Signability test failed.")) << refused.output;
  EXPECT_TRUE(has(refused.output, "22.9.1: \\sample.txt in [L] of \\sample.inf is missing or cannot be decompressed")) << refused.output;
  EXPECT_FALSE(fs::exists(package() / "sample.cat"));
  const Finished allowed = create({"--allow-missing"});
  EXPECT_EQ(allowed.status, 0) << allowed.output;
  EXPECT_TRUE(has(allowed.output, "22.9.1")) << "it is a warning now";
  EXPECT_EQ(formats::Catalog::parse(read_file(package() / "sample.cat"))->entries().size(), 4U);
}

TEST_F(CatalogCommand, CheckOnlyWritesNothing) {
  EXPECT_EQ(create({"--check-only"}).status, 0);
  EXPECT_FALSE(fs::exists(package() / "sample.cat"));
}

TEST_F(CatalogCommand, CreateMakesVersion1ForOldSystems) {
  const Finished made = create({"-o", folder_.path()}, "7_X64,Server2008R2_X64");
  EXPECT_EQ(made.status, 0) << made.output;
  EXPECT_FALSE(fs::exists(package() / "sample.cat"));
  const auto catalog = formats::Catalog::parse(read_file(folder_ / "sample.cat"));
  ASSERT_TRUE(catalog.has_value()) << catalog.error().text();
  EXPECT_EQ(catalog->version(), 1U);
  EXPECT_EQ(catalog->entries().size(), 3U);
}

TEST_F(CatalogCommand, CreateRefusesWrongUsage) {
  EXPECT_EQ(coldseal({"catalog", "create", package()}).status, 2);
  EXPECT_EQ(coldseal({"catalog", "create"}).status, 2);
  EXPECT_EQ(create({}, "10_X46").status, 2);
  EXPECT_EQ(coldseal({"catalog", "create", package(), "--os", "10_X64", "--list-id", "00"}).status, 2);
  EXPECT_EQ(create({"--page-hashes=absent.sys"}).status, 2);
  EXPECT_FALSE(fs::exists(package() / "sample.cat"));
}

TEST_F(CatalogCommand, ShowNamesTheFilesOfThePackage) {
  ASSERT_EQ(create({"-o", folder_.path()}).status, 0);
  const Finished shown = coldseal({"catalog", "show", folder_ / "sample.cat", "--package", package(), "--json"});
  ASSERT_EQ(shown.status, 0) << shown.output;
  const nlohmann::json catalog = nlohmann::json::parse(shown.output);
  EXPECT_EQ(catalog.at("os"), "_v100_X64");
  EXPECT_EQ(catalog.at("hardwareIds"), nlohmann::json::array({"root\\sample"}));
  EXPECT_EQ(catalog.at("signed"), false);
  std::set<std::string> files;
  for (const nlohmann::json& member : catalog.at("members")) {
    ASSERT_EQ(member.at("packageFiles").size(), 1U);
    files.insert(member.at("packageFiles")[0]);
  }
  EXPECT_EQ(files, (std::set<std::string>{"sample.inf", "sample.sys", "sample.txt"}));
  EXPECT_TRUE(has(coldseal({"catalog", "show", folder_ / "sample.cat"}).output, "hardware id  root\\sample"));
  EXPECT_EQ(coldseal({"catalog", "show", package() / "sample.txt"}).status, 2);
}

TEST_F(CatalogCommand, DiffLeavesIdentifierAndTimeOutAndFindsTheRest) {
  ASSERT_EQ(create({"-o", folder_.path()}).status, 0);
  ASSERT_EQ(coldseal({"catalog", "create", package(), "--os", "10_X64"}).status, 0);   // another identifier and time
  EXPECT_NE(read_file(folder_ / "sample.cat"), read_file(package() / "sample.cat"));
  const Finished same = coldseal({"catalog", "diff", folder_ / "sample.cat", package() / "sample.cat"});
  EXPECT_EQ(same.status, 0) << same.output;
  write_text(package() / "sample.txt", "changed");
  ASSERT_EQ(create({}, "10_X64,10_RS5_X64").status, 0);
  const Finished other = coldseal({"catalog", "diff", folder_ / "sample.cat", package() / "sample.cat"});
  EXPECT_EQ(other.status, 1);
  EXPECT_TRUE(has(other.output, "- attribute OS=_v100_X64 0x10010001\n")) << other.output;
  EXPECT_TRUE(has(other.output, "+ attribute OS=_v100_X64,_v100_X64_RS5 0x10010001\n")) << other.output;
  EXPECT_TRUE(has(other.output, "File=sample.txt")) << other.output;
}

TEST_F(CatalogCommand, CdfGivesTheFilesAndAttributesItNames) {
  write_text(package() / "files.cdf",
             "[CatalogHeader]\nName=Made.cat\nCatalogVersion=2\nHashAlgorithms=SHA256\nCATATTR1=0x11010001:OSAttr:2:6.0\n[CatalogFiles]\n"
             "<HASH>sys=..\\build\\Sample.sys\n<HASH>sysATTR1=0x11010001:File:Sample.sys\n<HASH>txt=sample.txt\n");
  const Finished made = coldseal({"catalog", "create", "--cdf", package() / "files.cdf", "-o", folder_.path()});
  ASSERT_EQ(made.status, 0) << made.output;
  const auto catalog = formats::Catalog::parse(read_file(folder_ / "Made.cat"));
  ASSERT_TRUE(catalog.has_value()) << catalog.error().text();
  EXPECT_EQ(catalog->entries().size(), 4U);
  EXPECT_EQ(catalog->attributes().size(), 1U);
  write_text(package() / "files.cdf", "[CatalogHeader]\nName=Other.cat\n[CatalogFiles]\n<HASH>a=absent.sys\n");
  const Finished refused = coldseal({"catalog", "create", "--cdf", package() / "files.cdf", "-o", folder_.path()});
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_TRUE(has(refused.output, "line 4: absent.sys: no such file")) << refused.output;
  EXPECT_FALSE(fs::exists(folder_ / "Other.cat"));
}

// What MakeCat made from this CDF, page hashes of a real image included.
TEST(MakeCatCorpus, CdfGivesTheBytesOfMakeCatsCatalog) {
  const auto files = corpus();
  if (!files) GTEST_SKIP() << kNoCorpus;
  const fs::path folder = *files / "packages" / "makecat-osslsigncode";
  const auto genuine = formats::Catalog::parse(read_file(folder / "unsigned.cat"));
  ASSERT_TRUE(genuine.has_value()) << genuine.error().text();
  const TempDir out;
  const Finished made = coldseal({"catalog", "create", "--cdf", folder / "CatalogDefinitionFileName.cdf", "-o", out.path(), "--list-id",
                                  base::hex(genuine->list_identifier()), "--time", base::rfc3339(genuine->this_update())});
  ASSERT_EQ(made.status, 0) << made.output;
  EXPECT_EQ(read_file(out / "unsigned.cat"), read_file(folder / "unsigned.cat"));
}

TEST(MakeCatCorpus, PageHashesOfADriverAreMakeCats) {
  const auto files = corpus();
  if (!files) GTEST_SKIP() << kNoCorpus;
  const fs::path folder = *files / "packages" / "softether-wfp-x64";
  for (const std::string_view name : {"inf.cat", "inf2.cat"}) {
    const auto genuine = formats::Catalog::parse(read_file(folder / name));
    ASSERT_TRUE(genuine.has_value()) << genuine.error().text();
    formats::CatalogContent content;
    content.version = genuine->version();
    content.list_identifier = genuine->list_identifier();
    content.this_update = genuine->this_update();
    content.twins_have_attributes = false;
    for (const std::string_view file : {"pxwfp_x64.inf", "pxwfp_x64.sys"}) {
      const Bytes bytes = read_file(folder / file);
      const base::MemorySource source(bytes);
      const auto digests = formats::member_digests(source, formats::MemberPageHashes::sha256);
      ASSERT_TRUE(digests.has_value()) << digests.error().text();
      content.members.push_back({"", "", *digests});
    }
    EXPECT_EQ(*formats::encode_ctl(content), genuine->ctl()) << name;
  }
}

}  // namespace
}  // namespace tests
