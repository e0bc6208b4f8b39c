#include "crypto/package/deny_list.hpp"

#include <gtest/gtest.h>

#include "crypto/base/limits.hpp"

namespace package {
namespace {

const crypto::Digest kFlat = crypto::sha256(base::as_bytes("the file"));
const crypto::Digest kSha1 = crypto::digest_of(crypto::DigestAlgorithm::sha1, base::as_bytes("the image"));
const crypto::Digest kSha256 = crypto::sha256(base::as_bytes("the image"));
const std::vector<FileDigests> kFiles = {{"sub/Sample.sys", kFlat, kSha1, kSha256}};

PeFile versioned(const std::string& original, std::string_view version) {
  return {"sub/Sample.sys", "x64", false, {}, {}, original, *formats::version_from_text(version)};
}

std::vector<std::string> hits(const std::string& rules, const PeFile& of = versioned("", "1.0")) {
  const auto list = DenyList::parse(rules);
  EXPECT_TRUE(list) << list.error().text();
  std::vector<std::string> ids;
  for (const Finding& finding : list->findings(kFiles, {of})) {
    ids.push_back(finding.id);
    EXPECT_EQ(finding.file, "sub/Sample.sys");
    EXPECT_EQ(finding.severity, Severity::warning);
  }
  return ids;
}

using Ids = std::vector<std::string>;

TEST(DenyList, KnowsAFileByAnyOfItsDigests) {
  for (const crypto::Digest& digest : {kFlat, kSha1, kSha256}) EXPECT_EQ(hits(deny_line(digest)), Ids{"deny-list.digest"});
  EXPECT_EQ(hits(deny_line(crypto::sha256(base::as_bytes("another")))), Ids{});
  EXPECT_EQ(hits(deny_line(kFlat) + deny_line(kSha256)), Ids{"deny-list.digest"});   // said once
}

TEST(DenyList, KnowsAFileByItsOriginalNameOrItsOwnAndTheVersionBothEndsIncluded) {
  const std::string rule = "# old ones\nname 1.0.0.0 1.5.0.0 OLD.SYS\n\n";
  EXPECT_EQ(hits(rule, versioned("old.sys", "1.5")), Ids{"deny-list.name"});
  EXPECT_EQ(hits(rule, versioned("Old.sys", "1.0")), Ids{"deny-list.name"});
  EXPECT_EQ(hits(rule, versioned("old.sys", "1.5.0.1")), Ids{});
  EXPECT_EQ(hits(rule, versioned("old.sys", "0.9.65535.65535")), Ids{});
  EXPECT_EQ(hits(rule, versioned("other.sys", "1.2")), Ids{});
  EXPECT_EQ(hits("name 0.0.0.0 65535.65535.65535.65535 sample.SYS\n", versioned("renamed.sys", "3.0")), Ids{"deny-list.name"});
  EXPECT_EQ(hits("name 0.0.0.0 1.0.0.0 sample.sys\r\nname 3.0.0.0 3.0.0.0 sample.sys\r\n", versioned("", "3.0")), Ids{"deny-list.name"});
}

TEST(DenyList, NamesTheLineThatIsWrong) {
  for (const auto& [text, words] : std::initializer_list<std::pair<std::string, std::string>>{
           {"sha256 00\n", "line 1"}, {"\nsha1 " + kSha256.hex(), "line 2"}, {"md5 00", "\"md5\"; sha256, sha1 or name wanted"},
           {"name 2.0 1.0 a.sys", "above the highest"}, {"name 1.0 2.0 ", "name of a file"}, {"name 1.0 2.0 a/b.sys", "name of a file"},
           {"name 1.0 x a.sys", "version \"x\""}, {"name", "version"}, {"name 1.0 2.0 " + std::string(base::limits::kImportNameBytes + 1, 'a'), "name of a file"}}) {
    const auto list = DenyList::parse(text);
    ASSERT_FALSE(list) << text;
    EXPECT_EQ(list.error().code(), base::Errc::malformed);
    EXPECT_NE(list.error().text().find(words), std::string::npos) << list.error().text();
  }
  EXPECT_EQ(DenyList::parse(std::string(base::limits::kDenyListBytes + 1, '\n')).error().code(), base::Errc::too_large);
}

TEST(DenyList, LinesThatAreWrittenAreReadAgain) {
  const DeniedName name{1, ~formats::FileVersion{0}, "Some Driver.sys"};
  EXPECT_EQ(deny_line(name), "name 0.0.0.1 65535.65535.65535.65535 Some Driver.sys\n");
  EXPECT_EQ(DenyList::parse(deny_line(name) + deny_line(kFlat))->size(), 2U);
  EXPECT_EQ(deny_line(DeniedName{0, 1, "line\nbreak"}), "");
  EXPECT_EQ(deny_line(DeniedName{2, 1, "a.sys"}), "");
}

}  // namespace
}  // namespace package
