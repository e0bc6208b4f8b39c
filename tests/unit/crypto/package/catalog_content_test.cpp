#include "crypto/package/catalog_content.hpp"

#include <gtest/gtest.h>

#include "crypto/digest.hpp"

namespace package {
namespace {

using base::Errc;
using base::Result;
using formats::MemberDigests;
using formats::MemberPageHashes;

std::vector<const OsTarget*> targets(std::string_view list) { return os_targets_from_list(list).value_or(std::vector<const OsTarget*>()); }

// A file of the manifest, and nothing else.
Result<MemberDigests> digests_of(const std::string& path, MemberPageHashes wanted) {
  if (path != "a.sys" && path != "a.inf") return base::fail(Errc::refused, "the member is not a file of the request");
  const base::ByteView bytes = base::as_bytes(path);
  MemberDigests digests{path == "a.sys" ? formats::MemberKind::pe : formats::MemberKind::flat, crypto::digest_of(crypto::DigestAlgorithm::sha1, bytes),
                        crypto::sha256(bytes), {}};
  if (wanted == MemberPageHashes::sha256) digests.page_hashes.assign(72, 7);
  return digests;
}

PlannedCatalog sound() { return {"a.cat", "_v100_X64", {"root\\a"}, {{"a.inf", "a.inf", "2:10.0"}, {"a.sys", "a.sys", "2:10.0"}}}; }

Result<formats::CatalogContent> content(const PlannedCatalog& planned, std::string_view asked_for = "10_X64") {
  return catalog_content(planned, targets(asked_for), digests_of);
}

void expect_refused(const PlannedCatalog& planned, std::string_view because) {
  const auto found = content(planned);
  ASSERT_FALSE(found.has_value()) << because;
  EXPECT_EQ(found.error().code(), Errc::refused);
  EXPECT_NE(found.error().text().find(because), std::string::npos) << found.error().text();
}

TEST(CatalogContent, TakesAPlanThatTheRequestAllows) {
  const auto found = content(sound());
  ASSERT_TRUE(found.has_value()) << found.error().text();
  EXPECT_EQ(found->version, 2U);
  EXPECT_EQ(found->os, "_v100_X64");
  ASSERT_EQ(found->members.size(), 2U);
  EXPECT_EQ(found->members[1].digests.kind, formats::MemberKind::pe);   // from the file, whatever the plan thinks
  EXPECT_TRUE(found->members[1].digests.page_hashes.empty());
  EXPECT_TRUE(found->attributes.empty());
}

TEST(CatalogContent, IsVersion1WhenTheCatalogIsForAnOldSystem) {
  PlannedCatalog planned = sound();
  planned.os = "7X64,_v100_X64";
  planned.members[0].os_attr = planned.members[1].os_attr = "2:6.1,2:10.0";
  EXPECT_EQ(content(planned, "10_X64,7_X64")->version, 1U);
  EXPECT_EQ(content(sound(), "10_X64,7_X64")->version, 2U);   // another catalog of the package may be for it
}

TEST(CatalogContent, RefusesAnOsThatWasNotAskedFor) {
  PlannedCatalog planned = sound();
  planned.os = "_v63_X64,_v100_X64";
  expect_refused(planned, "\"_v63_X64\" was not asked for");
  planned.os = "";
  expect_refused(planned, "no operating system");
  planned = sound();
  planned.members[1].os_attr = "2:6.3,2:10.0";
  expect_refused(planned, "OSAttr");
}

TEST(CatalogContent, RefusesMembersThatAreNotInTheManifest) {
  PlannedCatalog planned = sound();
  planned.members.push_back({"elsewhere.sys", "elsewhere.sys", "2:10.0"});
  expect_refused(planned, "elsewhere.sys: the member is not a file of the request");
  planned.members.clear();
  expect_refused(planned, "no members");
}

TEST(CatalogContent, RefusesStringsThatAreNotWhatTheySay) {
  for (const std::string_view file : {"", "A.sys", "sub/a.sys", "sub\\a.sys"}) {
    PlannedCatalog planned = sound();
    planned.members[1].file = std::string(file);
    expect_refused(planned, "no lower-case file name");
  }
  for (const std::string_view level : {"1300x", "-1", "123456789"}) {
    PlannedCatalog planned = sound();
    planned.members[1].drm_level = std::string(level);
    expect_refused(planned, "DRMLevel");
  }
}

TEST(CatalogContent, PutsPageHashesWhereTrustOrDrmIsAskedFor) {
  PlannedCatalog planned = sound();
  planned.is_pe_trusted = true;
  planned.members[1].is_pe_trusted = true;
  planned.members[1].drm_level = "1300";
  const auto found = content(planned);
  ASSERT_TRUE(found.has_value()) << found.error().text();
  EXPECT_EQ(found->attributes, (std::vector<formats::NameValue>{{"PE", "TRUSTED", 0x00010001}}));
  EXPECT_EQ(found->members[1].attributes, (std::vector<formats::NameValue>{{"DRMLevel", "1300", 0x10010001}, {"PETrusted", "1", 0x10010001}}));
  EXPECT_EQ(found->members[1].digests.page_hashes.size(), 72U);
  EXPECT_TRUE(found->members[0].digests.page_hashes.empty());
}

}  // namespace
}  // namespace package
