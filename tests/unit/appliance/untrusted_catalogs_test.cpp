// What an inspector that went over to the enemy could plan, and what a delivered catalog could hide: refused, or in plain sight of the officers.
#include <algorithm>

#include "appliance/signing_plan.hpp"
#include "crypto/der/writer.hpp"
#include "crypto/formats/catalog.hpp"
#include "crypto/package/delivered_catalog.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Bytes;
using base::Errc;
using package::Inspection;
namespace fs = std::filesystem;

formats::MemberDigests digests(const Bytes& bytes, formats::MemberPageHashes pages = formats::MemberPageHashes::none) {
  return must(formats::member_digests(base::MemorySource(bytes), pages));
}

class UntrustedCatalog : public SmallAppliance {
 protected:
  UntrustedCatalog() {
    request = sample_request();
    request.files.erase("coldsample.exe");
    request.files["b.txt"] = base::to_bytes(base::as_bytes("flat"));
    request.manifest.operations = {wire::Operation::catalog};
  }
  base::Result<SigningPlan> plan(const Inspection& inspection) {
    request.describe_files();
    spooled = SpooledRequest{request.id(), request.write_below(layout.spool(), submitter), request.manifest};
    const KeyClass key_class{"release", 0, {}, {2, {}}, Bytes(34, 0x0B), must(vendor.leaf().public_key()), {}};
    return SigningPlan::make(*spooled, inspection, key_class, vendor.identity(), crypto::sha256({}), {});
  }
  // What would go out under that name.
  Bytes signed_file(const SigningPlan& made, const std::string& path) {
    fs::remove_all(out);
    must(made.carry_out(*spooled, out, [&](const crypto::Digest& digest) { return vendor.key().sign(digest); }));
    return tests::read_file(out / path);
  }
  static Inspection honest() {
    Inspection inspection;
    inspection.catalogs = {{"a.cat", "_v100_X64", {"root\\a"}, {{"coldsample.inf", "coldsample.inf", "2:10.0"}, {"coldsample.sys", "coldsample.sys", "2:10.0"}}}};
    return inspection;
  }
  const Bytes& driver() { return request.files["coldsample.sys"]; }

  TestRequest request;
  std::optional<SpooledRequest> spooled;
  tests::Vendor vendor;
  const fs::path out = folder / "out";
};

class LyingInspector : public UntrustedCatalog {};

TEST_F(LyingInspector, CannotAddAMemberThatIsNotInTheManifest) {
  Inspection foreign = honest();
  foreign.catalogs[0].members.push_back({"c.sys", "c.sys", "2:10.0"});
  expect_error(plan(foreign), Errc::refused, "c.sys: the member is not a file of the request");
  foreign.catalogs[0].members.back().path = "../request.dsse.json";
  expect_error(plan(foreign), Errc::refused, "not a file of the request");
}

// It has no way to say a digest: the list holds those that were found from the files.
TEST_F(LyingInspector, CannotGiveAForeignHash) {
  const Bytes catalog = signed_file(must(plan(honest())), "a.cat");
  const auto parsed = must(formats::Catalog::parse(catalog));
  ASSERT_EQ(parsed.entries().size(), 4U);
  for (const char* const name : {"coldsample.inf", "coldsample.sys"}) EXPECT_NE(parsed.covering(digests(request.files[name])), nullptr) << name;
}

TEST_F(LyingInspector, CannotHideAMemberFromTheOfficers) {
  Inspection hidden = honest();
  hidden.catalogs[0].members.push_back({"b.txt", "b.txt", "2:10.0"});   // of the manifest, so it may be
  const SigningPlan with = must(plan(hidden));
  ASSERT_EQ(with.catalogs().size(), 1U);
  ASSERT_EQ(with.catalogs()[0].members.size(), 3U);
  EXPECT_EQ(with.catalogs()[0].members[2].path, "b.txt");
  EXPECT_NE(with.set().fingerprint(), must(plan(honest())).set().fingerprint());
}

TEST_F(LyingInspector, CannotPassAFlatFileForTheDriver) {
  Inspection swapped = honest();
  swapped.catalogs[0].members[1] = {"b.txt", "coldsample.sys", "2:10.0", {}, false, true};
  const SigningPlan made = must(plan(swapped));
  EXPECT_EQ(made.catalogs()[0].members[1].path, "b.txt");   // which is what officers read
  EXPECT_EQ(made.catalogs()[0].members[1].kind, formats::MemberKind::flat);
  const auto parsed = must(formats::Catalog::parse(signed_file(made, "a.cat")));
  EXPECT_EQ(parsed.covering(digests(driver())), nullptr);   // the driver itself is not covered by the lie
  const auto* const entry = parsed.covering(crypto::sha256(base::as_bytes("flat")));
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->kind, formats::MemberKind::flat);
  EXPECT_FALSE(entry->has_page_hashes);
}

TEST_F(LyingInspector, CannotWidenTheSystems) {
  Inspection widened = honest();
  widened.catalogs[0].os = "_v100_X64,_v100_X64_RS5";
  expect_error(plan(widened), Errc::refused, "\"_v100_X64_RS5\" was not asked for");
  widened = honest();
  widened.catalogs[0].members[1].os_attr = "2:6.3,2:10.0";
  expect_error(plan(widened), Errc::refused, "OSAttr");
}

TEST_F(LyingInspector, CannotPutACatalogInPlaceOfAnotherFile) {
  Inspection path = honest();
  path.catalogs[0].path = "coldsample.sys";
  expect_error(plan(path), Errc::refused, "ends in .cat");
  path.catalogs[0].path = "../a.cat";
  EXPECT_FALSE(plan(path).has_value());
}

class DeliveredCatalogToSign : public UntrustedCatalog {
 protected:
  DeliveredCatalogToSign() {
    request.manifest.operations = {wire::Operation::sign_catalog};
    content.this_update = tests::at("2026-01-01T00:00:00Z");
    content.list_identifier = {1, 2, 3};
    content.os = "_v100_X64";
    content.hardware_ids = {"root\\coldsample"};
    content.members = {{"coldsample.inf", "2:10.0", digests(request.files["coldsample.inf"])}, {"coldsample.sys", "2:10.0", digests(driver())}};
  }
  base::Result<SigningPlan> plan_of(const Bytes& catalog) {
    request.files["coldsample.cat"] = catalog;
    return plan({});
  }
  base::Result<SigningPlan> plan_of_content() { return plan_of(formats::unsigned_catalog(must(formats::encode_ctl(content)))); }
  void expect_refused(const std::string& words) { expect_error(plan_of_content(), Errc::refused, words); }

  formats::CatalogContent content;
};

TEST_F(DeliveredCatalogToSign, IsSignedAsItIs) {
  request.files["sub/readme.txt"] = base::to_bytes(base::as_bytes("not in the catalog"));
  const SigningPlan made = must(plan_of_content());
  ASSERT_EQ(made.set().items.size(), 1U);
  EXPECT_EQ(made.set().items[0].file, "coldsample.cat");
  ASSERT_EQ(made.catalogs().size(), 1U);
  EXPECT_TRUE(made.catalogs()[0].is_delivered);
  EXPECT_EQ(made.catalogs()[0].os, "_v100_X64");
  EXPECT_EQ(made.catalogs()[0].hardware_ids, content.hardware_ids);
  EXPECT_EQ(made.catalogs()[0].members.size(), 2U);
  const auto outputs = must(made.carry_out(*spooled, out, [&](const crypto::Digest& digest) { return vendor.key().sign(digest); }));
  const auto output = std::find_if(outputs.begin(), outputs.end(), [](const auto& each) { return each.path == "coldsample.cat"; });
  ASSERT_NE(output, outputs.end());
  EXPECT_EQ(output->operation, transparency::OutputOperation::delivered_catalog_signed);
  const auto delivered = must(formats::Catalog::parse(tests::read_file(out / "coldsample.cat")));
  EXPECT_TRUE(delivered.is_signed());
  EXPECT_EQ(delivered.ctl(), must(formats::encode_ctl(content)));
}

TEST_F(DeliveredCatalogToSign, MayBeOfVersion1AndOfMakeCat) {
  content.version = 1;
  content.os = "7X64";
  for (formats::CatalogMember& member : content.members) member.os_attr = "2:6.1";
  expect_refused("OS \"7X64\" was not asked for");
  request.manifest.os_targets = {"7_X64"};
  EXPECT_TRUE(plan_of_content().has_value());
  content.version = 2;   // as MakeCat writes it: nothing but digests, page hashes if asked for
  content.os.clear();
  content.hardware_ids.clear();
  content.twins_have_attributes = false;
  content.members = {{"", "", digests(driver(), formats::MemberPageHashes::sha256)}};
  const SigningPlan made = must(plan_of_content());
  EXPECT_TRUE(made.catalogs()[0].members[0].has_page_hashes);
}

TEST_F(DeliveredCatalogToSign, WithAForeignHashIsRefused) {
  content.members[1].digests.sha256 = crypto::sha256(base::as_bytes("another driver"));
  content.members[1].digests.sha1 = crypto::digest_of(crypto::DigestAlgorithm::sha1, base::as_bytes("another driver"));
  expect_refused("is of no file of the request");
}

TEST_F(DeliveredCatalogToSign, WithAHiddenMemberIsRefused) {
  const Bytes stowaway = base::to_bytes(base::as_bytes("stowaway"));
  content.members.push_back({"coldsample.txt", "2:10.0", digests(stowaway)});
  expect_refused("(coldsample.txt)");
  request.files["coldsample.txt"] = stowaway;   // in the open it may be
  EXPECT_TRUE(plan_of_content().has_value());
}

TEST_F(DeliveredCatalogToSign, WithASha1TwinOfAnotherFileIsRefused) {
  content.members[1].digests.sha1 = crypto::digest_of(crypto::DigestAlgorithm::sha1, base::as_bytes("another driver"));
  expect_refused("SHA-1 twins missing or of other files");
}

TEST_F(DeliveredCatalogToSign, WithTheDriverListedFlatOrAFlatFileAsDriverIsRefused) {
  content.members[1].digests.kind = formats::MemberKind::flat;   // its image digest, said to be that of all bytes
  expect_refused("listed as flat, and coldsample.sys is PE");
  content.members[1] = {"coldsample.sys", "2:10.0", {formats::MemberKind::flat, crypto::digest_of(crypto::DigestAlgorithm::sha1, driver()), crypto::sha256(driver()), {}}};
  expect_refused("is of no file of the request");
  content.members[1] = {"b.txt", "2:10.0", digests(request.files["b.txt"])};
  content.members[1].digests.kind = formats::MemberKind::pe;
  expect_refused("listed as PE, and b.txt is flat");
}

TEST_F(DeliveredCatalogToSign, ForMoreSystemsThanAskedForIsRefused) {
  content.os = "_v100_X64,_v100_X64_RS5";
  expect_refused("OS \"_v100_X64_RS5\" was not asked for");
  content.os = "_v100_X64";
  content.members[0].os_attr = "2:6.3,2:10.0";
  expect_refused("OSAttr \"2:6.3\" was not asked for");
}

TEST_F(DeliveredCatalogToSign, WithOtherPageHashesIsRefused) {
  content.members[1].digests = digests(driver(), formats::MemberPageHashes::sha256);
  EXPECT_TRUE(plan_of_content().has_value());
  content.members[1].digests.page_hashes.back() ^= 1;
  expect_refused("page hashes are not those of coldsample.sys");
}

TEST_F(DeliveredCatalogToSign, ThatHidesSomethingInAnAttributeNobodyReadsIsRefused) {
  // An attribute of another type in the first member: readers step over it, and its bytes would be signed.
  const Bytes ctl = must(formats::encode_ctl(content));
  der::Reader outer(must(der::expect_single(ctl, der::kSequence)).value);
  std::vector<Bytes> parts;
  while (!outer.at_end()) parts.push_back(base::to_bytes(must(outer.expect_element()).whole));
  der::Reader list(must(der::expect_single(parts[4], der::kSequence)).value);
  std::vector<Bytes> members;
  while (!list.at_end()) members.push_back(base::to_bytes(must(list.expect_element()).whole));
  der::Reader member(must(der::expect_single(members[0], der::kSequence)).value);
  const Bytes tag = base::to_bytes(must(member.expect_element()).whole);
  der::Reader set(must(member.expect_element(der::kSet)).value);
  std::vector<Bytes> attributes = {der::sequence({der::oid(der::oids::kData), der::element(der::kSet, der::octet_string(Bytes(5, 0x41)))})};
  while (!set.at_end()) attributes.push_back(base::to_bytes(must(set.expect_element()).whole));
  members[0] = der::sequence({tag, der::set_of(attributes)});
  parts[4] = der::sequence(members);
  const Bytes changed = formats::unsigned_catalog(der::sequence(parts));
  ASSERT_TRUE(formats::Catalog::parse(changed).has_value());
  expect_error(plan_of(changed), Errc::refused, "the list holds more than its members and attributes account for");
}

TEST_F(DeliveredCatalogToSign, ThatIsSignedStaysAsItIs) {
  const Bytes catalog = vendor.sign({der::oids::kCertificateTrustList, must(formats::encode_ctl(content))});
  expect_error(plan_of(catalog), Errc::refused, "there is nothing to sign");
  request.manifest.operations = {wire::Operation::embed, wire::Operation::sign_catalog};
  const SigningPlan made = must(plan_of(catalog));
  const auto outputs = must(made.carry_out(*spooled, out, [&](const crypto::Digest& digest) { return vendor.key().sign(digest); }));
  const auto output = std::find_if(outputs.begin(), outputs.end(), [](const auto& each) { return each.path == "coldsample.cat"; });
  ASSERT_NE(output, outputs.end());
  EXPECT_EQ(output->operation, transparency::OutputOperation::already_signed);
  EXPECT_EQ(tests::read_file(out / "coldsample.cat"), catalog);
}

TEST_F(DeliveredCatalogToSign, ThatCannotBeReadIsRefused) {
  EXPECT_FALSE(plan_of(base::to_bytes(base::as_bytes("an old catalog"))).has_value());
  Bytes with_rest = formats::unsigned_catalog(must(formats::encode_ctl(content)));
  with_rest.push_back(0);
  EXPECT_FALSE(plan_of(with_rest).has_value());
  content.members.clear();
  expect_refused("the catalog has no members");
}

TEST_F(DeliveredCatalogToSign, IsMadeAnewWhereTheInfNamesItAndCatalogsAreMade) {
  request.manifest.operations = {wire::Operation::catalog, wire::Operation::sign_catalog};
  request.files["coldsample.cat"] = formats::unsigned_catalog(must(formats::encode_ctl(content)));
  Inspection inspection = honest();
  inspection.catalogs[0].path = "coldsample.cat";
  const SigningPlan made = must(plan(inspection));
  ASSERT_EQ(made.catalogs().size(), 1U);
  EXPECT_FALSE(made.catalogs()[0].is_delivered);
}

}  // namespace
}  // namespace appliance
