#include "appliance/profile_rules.hpp"

#include <algorithm>

#include "tests/support/signing_fixture.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Errc;

TEST(ProfileRules, WithoutAnyAllowEverything) {
  const ProfileRules rules;
  wire::Request request;
  request.os_targets = {"7_X64"};
  request.files.push_back({"a.sys", 4'000'000'000, crypto::sha256({})});
  EXPECT_TRUE(rules.expect_request(request));
  EXPECT_TRUE(rules.expect_findings({{"inf.date", package::Severity::warning, "", 0, "x", "y"}}));
  EXPECT_TRUE(rules.expect_room(1'000'000, 500));
  const tests::Vendor vendor;
  EXPECT_TRUE(rules.expect_certificates(vendor.identity(), tests::kNow));
}

TEST(ProfileRules, SystemsAndSizesAreHeldAtTheDoor) {
  ProfileRules rules;
  rules.os = {"10_X64", "10_ARM64"};
  rules.request_bytes = 1000;
  wire::Request request;
  request.os_targets = {"10_X64"};
  request.files = {{"a.sys", 600, crypto::sha256({})}, {"b.sys", 400, crypto::sha256({})}};
  EXPECT_TRUE(rules.expect_request(request));
  request.files[1].size = 401;
  expect_error(rules.expect_request(request), Errc::refused, "files of 1001 bytes together, the profile allows 1000");
  request.files.pop_back();
  request.os_targets.push_back("7_X64");
  expect_error(rules.expect_request(request), Errc::refused, "the system 7_X64");
}

TEST(ProfileRules, AnyFindingOfTheListRefuses) {
  ProfileRules rules;
  rules.blocking = {"inf.pnplockdown-missing"};
  std::vector<package::Finding> findings = {{"inf.date", package::Severity::warning, "", 0, "old", "set it"}};
  EXPECT_TRUE(rules.expect_findings(findings));
  findings.push_back({"inf.pnplockdown-missing", package::Severity::note, "", 0, "PnpLockdown is not set", "set it"});
  expect_error(rules.expect_findings(findings), Errc::refused, "inf.pnplockdown-missing: PnpLockdown is not set");
}

TEST(ProfileRules, AnImageThatCannotBeReadWhollyIsRefusedWhereFindingsAboutImagesAre) {
  ProfileRules rules;
  const std::vector<package::Finding> findings = {{"pe.details-not-readable", package::Severity::note, "a.sys", 0, "the imports are cut off", "link it again"}};
  rules.blocking = {"inf.pnplockdown-missing"};
  EXPECT_TRUE(rules.expect_findings(findings));
  rules.blocking = {"inf.pnplockdown-missing", "pe.no-nx"};
  expect_error(rules.expect_findings(findings), Errc::refused, "pe.details-not-readable: a.sys: the imports are cut off");
  // Its version is not known, so no range of a deny list's name could hit it.
  rules.blocking = {"deny-list.name"};
  expect_error(rules.expect_findings(findings), Errc::refused, "pe.details-not-readable: a.sys");
  rules.blocking = {"deny-list.digest"};   // which the box finds without them
  EXPECT_TRUE(rules.expect_findings(findings));
}

TEST(ProfileRules, FindingsThatWereLeftOutOfAListWithRoomRefuse) {
  ProfileRules rules;
  std::vector<package::Finding> findings(base::limits::kFindings - 2, {"inf.not-copied", package::Severity::note, "a.dll", 0, "not copied", "none"});
  findings.push_back({"inspection.findings-left-out", package::Severity::note, "", 0, "100 more findings than can be shown", "resolve the ones shown"});
  rules.blocking = {"pe.no-nx"};
  EXPECT_TRUE(rules.expect_findings(findings));   // it was full, and holds the first of every id
  findings.erase(findings.begin());
  expect_error(rules.expect_findings(findings), Errc::refused, "inspection.findings-left-out: 100 more");
  rules.blocking.clear();
  EXPECT_TRUE(rules.expect_findings(findings));
}

TEST(ProfileRules, ACertificateMustStillLiveSoManyDays) {
  ProfileRules rules;
  rules.certificate_days = 30;
  const tests::Vendor vendor;   // until 2035
  EXPECT_TRUE(rules.expect_certificates(vendor.identity(), tests::at("2034-11-30T00:00:00Z")));
  expect_error(rules.expect_certificates(vendor.identity(), tests::at("2034-12-03T00:00:00Z")), Errc::unavailable, "valid for 30 days more");
}

TEST(ProfileRules, AChainMustLeadToItsRootBySignaturesAndNotOnlyByNames) {
  const ProfileRules rules;
  const tests::Vendor vendor;
  const crypto::PublicKey key = must(vendor.leaf().public_key());
  const auto without_root = must(crypto::SigningIdentity::assemble({vendor.leaf()}, key));
  expect_error(rules.expect_certificates(without_root, tests::kNow), Errc::unavailable, "certificate.chain-incomplete: the root is missing");
  // A root of the same name that has another key.
  const crypto::Certificate impostor = tests::issue({.subject = "C=DE,O=Coldseal Example,CN=Test Root", .is_ca = true, .code_signing = false},
                                                    tests::key_pem(tests::Vendor::Kind::rsa3072), "C=DE,O=Coldseal Example,CN=Test Root",
                                                    tests::key_pem(tests::Vendor::Kind::rsa3072));
  ASSERT_TRUE(std::ranges::equal(impostor.subject_der(), vendor.root().subject_der()));
  const auto forged = must(crypto::SigningIdentity::assemble({vendor.leaf(), impostor}, key));
  expect_error(rules.expect_certificates(forged, tests::kNow), Errc::unavailable, "certificate.chain-incomplete");
  EXPECT_TRUE(rules.expect_certificates(vendor.identity(), tests::kNow));
}

TEST(ProfileRules, ADaysSignaturesAreCounted) {
  ProfileRules rules;
  rules.signatures_a_day = 10;
  EXPECT_TRUE(rules.expect_room(7, 3));
  expect_error(rules.expect_room(7, 4), Errc::unavailable, "allows 10 signatures in 24 hours; 7 were made and this request wants 4");
}

}  // namespace
}  // namespace appliance
