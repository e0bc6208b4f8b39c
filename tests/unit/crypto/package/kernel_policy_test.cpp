// What the kernel policy makes of chains. The roots have Microsoft's names and our keys: that they were given as trusted is what counts.
#include "crypto/package/kernel_policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/cms/signature_edit.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/pe_image.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/support/verdicts.hpp"

namespace {

using base::Bytes;
using base::MemorySource;
using crypto::Certificate;
using package::Policy;
using package::Severity;
using package::Verdict;
using tests::issue;
using tests::has;
using tests::ids;
using tests::Vendor;

constexpr const char* k2010 = "C=US,O=Microsoft Corporation,CN=Microsoft Root Certificate Authority 2010";
constexpr const char* kCrossRoot = "C=US,O=Microsoft Corporation,CN=Microsoft Code Verification Root";
constexpr der::Oid kTested("1.3.6.1.4.1.311.10.3.5");
constexpr der::Oid kAttested("1.3.6.1.4.1.311.10.3.5.1");

Certificate root_named(const char* name) {
  return issue({.subject = name, .not_before = "20050101000000", .not_after = "20400101000000", .is_ca = true, .code_signing = false, .serial = 1},
               tests::root_key_pem(), name, tests::root_key_pem());
}

// A leaf with the P-256 key below one of those roots, directly or with an authority (RSA key) between.
struct Chain {
  Certificate root;
  std::vector<Certificate> certificates;   // leaf first
};

Chain by_microsoft(std::vector<der::Oid> uses) {
  return {root_named(k2010), {issue({.more_uses = std::move(uses)}, tests::key_pem(Vendor::Kind::p256), k2010, tests::root_key_pem())}};
}

Chain cross_signed(const std::string& leaf_from, const std::string& cross_until = "20210415000000") {
  constexpr const char* kAuthority = "C=US,O=Some Authority,CN=Some Authority Root";
  const Certificate leaf = issue({.not_before = leaf_from, .not_after = "20220101000000"}, tests::key_pem(Vendor::Kind::p256), kAuthority,
                                 tests::key_pem(Vendor::Kind::rsa3072));
  const Certificate cross = issue({.subject = kAuthority, .not_before = "20110415000000", .not_after = cross_until, .is_ca = true, .code_signing = false, .serial = 7},
                                  tests::key_pem(Vendor::Kind::rsa3072), kCrossRoot, tests::root_key_pem());
  return {root_named(kCrossRoot), {leaf, cross}};
}

Bytes signed_data(const Chain& chain, const cms::Content& content) {
  auto key = tests::SoftwareKey::from_pem(tests::key_pem(Vendor::Kind::p256));
  const auto identity = crypto::SigningIdentity::assemble(chain.certificates, *chain.certificates.front().public_key());
  base::require(identity.has_value(), "the test's chain is one");
  const auto data = cms::UnsignedData::prepare(content, {}, *identity);
  return *data->with_signature(*key->sign(data->to_be_signed()));
}

cms::Content content_of(base::ByteView image) {
  const MemorySource source(image);
  const crypto::DigestAlgorithm wanted[] = {crypto::DigestAlgorithm::sha256};
  return formats::pe_content(formats::PeImage::parse(source)->measure(source, wanted)->digest(wanted[0]));
}

Bytes with_signature(base::ByteView image, base::ByteView signature) {
  const MemorySource source(image);
  const auto parsed = formats::PeImage::parse(source);
  base::MemorySink out;
  base::require(formats::write_signed(source, *parsed, *parsed->measure(source, std::span<const crypto::DigestAlgorithm>()), signature, out).has_value(),
                "the test's image takes a signature");
  return out.bytes();
}

Bytes driver() { return tests::build_pe(tests::driver_description()); }
Bytes driver_by(const Chain& chain) { return with_signature(driver(), signed_data(chain, content_of(driver()))); }

Verdict judged(const Bytes& image, const std::vector<Certificate>& roots, const char* time, Policy policy = Policy::kernel) {
  return package::verify_pe(MemorySource(image), roots, tests::at(time), policy);
}

TEST(KernelPolicy, TakesWhatMicrosoftSignedForDrivers) {
  const Chain chain = by_microsoft({kTested});
  const Verdict verdict = judged(driver_by(chain), {chain.root}, "2026-11-23T12:00:00Z");
  EXPECT_TRUE(verdict.findings.empty()) << ids(verdict);
  EXPECT_TRUE(verdict.is_kernel_image);
  ASSERT_EQ(verdict.chain.size(), 2U);
}

TEST(KernelPolicy, NotesThatServersRefuseAttestation) {
  const Chain chain = by_microsoft({kAttested});
  const Verdict verdict = judged(driver_by(chain), {chain.root}, "2026-11-23T12:00:00Z");
  EXPECT_TRUE(verdict.valid()) << ids(verdict);
  EXPECT_TRUE(has(verdict, "kernel.attested", Severity::note)) << ids(verdict);
}

TEST(KernelPolicy, WarnsOfMicrosoftsCertificatesForOtherThings) {
  const Chain chain = by_microsoft({});
  EXPECT_TRUE(has(judged(driver_by(chain), {chain.root}, "2026-11-23T12:00:00Z"), "kernel.not-for-drivers", Severity::warning));
}

TEST(KernelPolicy, RefusesAnyOtherRootHoweverTrusted) {
  Vendor vendor;
  const Bytes image = vendor.sign_pe(driver());
  EXPECT_TRUE(judged(image, {vendor.root()}, "2026-11-23T12:00:00Z", Policy::authenticode).valid());
  const Verdict verdict = judged(image, {vendor.root()}, "2026-11-23T12:00:00Z");
  EXPECT_FALSE(verdict.valid());
  EXPECT_TRUE(has(verdict, "kernel.not-microsoft", Severity::error)) << ids(verdict);
  // Also when Microsoft's own is among the roots.
  EXPECT_TRUE(has(judged(image, {vendor.root(), root_named(k2010)}, "2026-11-23T12:00:00Z"), "kernel.not-microsoft", Severity::error));
}

// The name alone is nobody's: the root must have been given.
TEST(KernelPolicy, RefusesARootOfMicrosoftsNameThatWasNotGiven) {
  const Chain chain = by_microsoft({kTested});
  Vendor vendor;
  const Verdict verdict = judged(driver_by(chain), {vendor.root()}, "2026-11-23T12:00:00Z");
  EXPECT_TRUE(has(verdict, "kernel.not-microsoft", Severity::error)) << ids(verdict);
  const Verdict without = judged(driver_by(chain), {}, "2026-11-23T12:00:00Z");
  EXPECT_TRUE(has(without, "chain.not-checked", Severity::warning)) << ids(without);
  EXPECT_FALSE(has(without, "kernel.not-microsoft", Severity::error)) << ids(without);
}

TEST(KernelPolicy, TakesCrossSignedDriversWhoseCertificateIsOlderThanTheRule) {
  const Chain chain = cross_signed("20150728235959");
  const Verdict verdict = judged(driver_by(chain), {chain.root}, "2018-01-01T00:00:00Z");
  EXPECT_TRUE(verdict.valid()) << ids(verdict);
  EXPECT_TRUE(has(verdict, "kernel.cross-signed", Severity::note)) << ids(verdict);
  EXPECT_EQ(verdict.chain.size(), 3U);
}

TEST(KernelPolicy, RefusesCrossSignedDriversWithANewerCertificate) {
  const Chain chain = cross_signed("20150729000000");
  const Verdict verdict = judged(driver_by(chain), {chain.root}, "2018-01-01T00:00:00Z");
  EXPECT_FALSE(verdict.valid());
  EXPECT_TRUE(has(verdict, "kernel.cross-signed-too-late", Severity::error)) << ids(verdict);
}

TEST(KernelPolicy, RefusesSignaturesThatMayBeYoungerThanTheCrossCertificatesEnd) {
  const Chain chain = cross_signed("20140101000000");
  EXPECT_TRUE(judged(driver_by(chain), {chain.root}, "2021-04-15T00:00:00Z").valid());
  const Verdict late = judged(driver_by(chain), {chain.root}, "2021-04-15T00:00:01Z");
  EXPECT_FALSE(late.valid());
  EXPECT_TRUE(has(late, "kernel.cross-certificate-expired", Severity::error)) << ids(late);
  EXPECT_FALSE(has(late, "chain.validity", Severity::error)) << ids(late);
  // The leaf has an end of its own.
  const Chain longer = cross_signed("20140101000000", "20300101000000");
  EXPECT_TRUE(has(judged(driver_by(longer), {longer.root}, "2026-01-01T00:00:00Z"), "chain.validity", Severity::error));
}

TEST(KernelPolicy, FindsMicrosoftsChainBesideTheAuthoritysOwn) {
  const Chain chain = cross_signed("20140101000000");
  constexpr const char* kAuthority = "C=US,O=Some Authority,CN=Some Authority Root";
  const Certificate own_root = issue({.subject = kAuthority, .not_before = "20050101000000", .not_after = "20400101000000", .is_ca = true, .code_signing = false},
                                     tests::key_pem(Vendor::Kind::rsa3072), kAuthority, tests::key_pem(Vendor::Kind::rsa3072));
  const Verdict verdict = judged(driver_by(chain), {own_root, chain.root}, "2018-01-01T00:00:00Z");
  EXPECT_TRUE(verdict.valid()) << ids(verdict);
  EXPECT_TRUE(has(verdict, "kernel.cross-signed", Severity::note)) << ids(verdict);
}

TEST(KernelPolicy, IsContentWithOneOfSeveralSignatures) {
  Vendor vendor;
  const Chain chain = by_microsoft({kTested});
  const Bytes both = *cms::with_nested_signatures(vendor.sign(content_of(driver())), {signed_data(chain, content_of(driver()))});
  const Verdict verdict = judged(with_signature(driver(), both), {vendor.root(), chain.root}, "2026-11-23T12:00:00Z");
  EXPECT_TRUE(verdict.valid()) << ids(verdict);
  EXPECT_TRUE(has(verdict, "kernel.not-microsoft", Severity::note)) << ids(verdict);
  const Bytes neither = *cms::with_nested_signatures(vendor.sign(content_of(driver())), {vendor.sign(content_of(driver()))});
  EXPECT_FALSE(judged(with_signature(driver(), neither), {vendor.root(), chain.root}, "2026-11-23T12:00:00Z").valid());
}

TEST(KernelPolicy, IsAboutImagesThatTheKernelLoads) {
  Vendor vendor;
  const Bytes program = vendor.sign_pe(tests::build_pe(tests::program_description()));
  const Verdict verdict = judged(program, {vendor.root()}, "2026-11-23T12:00:00Z");
  EXPECT_TRUE(verdict.valid()) << ids(verdict);
  EXPECT_FALSE(verdict.is_kernel_image);
}

TEST(KernelPolicy, MakesAWrongChecksumAnError) {
  const Chain chain = by_microsoft({kTested});
  Bytes image = driver_by(chain);
  image[0x80 + 24 + 64] ^= 1;   // CheckSum, which no signature covers
  EXPECT_TRUE(has(judged(image, {chain.root}, "2026-11-23T12:00:00Z"), "pe.checksum", Severity::error));
  EXPECT_TRUE(has(judged(image, {chain.root}, "2026-11-23T12:00:00Z", Policy::authenticode), "pe.checksum", Severity::warning));
}

TEST(KernelPolicy, JudgesCatalogsLikeDrivers) {
  Vendor vendor;
  const Bytes list = {0x30, 0x00};
  const Bytes by_vendor = vendor.sign({der::oids::kCertificateTrustList, list});
  const auto verdict_of = [&](const Bytes& catalog, const std::vector<Certificate>& roots) {
    return package::verify_catalog_signature(catalog, roots, tests::at("2026-11-23T12:00:00Z"), Policy::kernel);
  };
  EXPECT_TRUE(has(verdict_of(by_vendor, {vendor.root()}), "kernel.not-microsoft", Severity::error));
  const Chain chain = by_microsoft({kTested});
  EXPECT_TRUE(verdict_of(signed_data(chain, {der::oids::kCertificateTrustList, list}), {chain.root}).valid());
}

}  // namespace
