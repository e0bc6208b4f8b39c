#include "crypto/certificate.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/keys/pem.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

using base::Errc;
using crypto::Certificate;
using crypto::CertificateUse;
using crypto::ChainProblem;
using crypto::SigningIdentity;
using tests::Vendor;

constexpr std::string_view kRootName = "C=DE,O=Coldseal Example,CN=Test Root";

bool has(const crypto::ChainVerdict& verdict, ChainProblem::Kind kind) {
  for (const ChainProblem& problem : verdict.problems)
    if (problem.kind == kind) return true;
  return false;
}

crypto::ChainVerdict judged(const Vendor& vendor, base::Time time = tests::kNow) {
  return verify_chain(vendor.leaf(), {}, {vendor.root()}, time, CertificateUse::code_signing);
}

tests::CertificateWish intermediate_wish() {
  tests::CertificateWish wish;
  wish.subject = "CN=Test Intermediate";
  wish.is_ca = true;
  wish.code_signing = false;
  wish.serial = 3;
  return wish;
}

TEST(Certificate, ReadsNamesTimesAndUses) {
  const Vendor vendor;
  EXPECT_EQ(vendor.leaf().subject(), "C=DE, O=Coldseal Example, CN=Test Leaf");
  EXPECT_EQ(vendor.leaf().display_name(), "Test Leaf");
  EXPECT_EQ(vendor.leaf().issuer(), vendor.root().subject());
  EXPECT_EQ(base::hex(vendor.leaf().serial()), "02");
  EXPECT_EQ(vendor.leaf().not_before(), tests::at("2025-01-01T00:00:00Z"));
  EXPECT_EQ(vendor.leaf().not_after(), tests::at("2035-01-01T00:00:00Z"));
  EXPECT_TRUE(vendor.leaf().allows_code_signing());
  EXPECT_FALSE(vendor.leaf().allows_time_stamping());
  EXPECT_FALSE(vendor.leaf().is_ca());
  EXPECT_TRUE(vendor.root().is_ca());
  EXPECT_FALSE(vendor.root().allows_digital_signature());  // it has keyCertSign only
  EXPECT_TRUE(vendor.root().is_self_issued());
  EXPECT_EQ(vendor.leaf().public_key()->algorithm(), crypto::KeyAlgorithm::ecdsa_p256);
}

TEST(Certificate, KeepsTheLeadingZeroOfASerialNumber) {
  tests::CertificateWish wish;
  wish.serial = 0x80;
  EXPECT_EQ(base::hex(Vendor(Vendor::Kind::p256, wish).leaf().serial()), "0080");
}

TEST(Certificate, EscapesNamesThatWouldFoolAReader) {
  tests::CertificateWish wish;
  wish.subject = "CN=Good\x1b[2JName";
  const Vendor vendor(Vendor::Kind::p256, wish);
  EXPECT_EQ(vendor.leaf().display_name().find('\x1b'), std::string::npos);
}

TEST(Certificate, RefusesCutAndExtendedBytes) {
  const Vendor vendor;
  const base::ByteView der = vendor.leaf().der();
  for (std::size_t size = 0; size < der.size(); ++size) ASSERT_FALSE(Certificate::parse(der.first(size))) << size;
  base::Bytes longer = base::to_bytes(der);
  longer.push_back(0);
  EXPECT_FALSE(Certificate::parse(longer));
  EXPECT_EQ(Certificate::parse(base::Bytes(1U << 20)).error().code(), Errc::too_large);
}

TEST(Certificate, PemMustHoldCertificatesOnly) {
  const Vendor vendor;
  const std::string one = keys::pem_block("CERTIFICATE", vendor.leaf().der());
  const auto two = crypto::certificates_from_pem(one + keys::pem_block("CERTIFICATE", vendor.root().der()));
  ASSERT_TRUE(two);
  EXPECT_EQ(*two, (std::vector<Certificate>{vendor.leaf(), vendor.root()}));
  EXPECT_FALSE(crypto::certificates_from_pem(""));
  EXPECT_FALSE(crypto::certificates_from_pem(one + tests::key_pem(Vendor::Kind::p256)));
  std::string many;
  for (int i = 0; i < 33; ++i) many += one;
  EXPECT_EQ(crypto::certificates_from_pem(many).error().code(), Errc::too_large);
}

TEST(CertificateChain, IsTrustedUpToTheGivenRoot) {
  const crypto::ChainVerdict verdict = judged(Vendor());
  EXPECT_TRUE(verdict.trusted()) << verdict.problems.front().text;
  EXPECT_EQ(verdict.path.size(), 2U);
}

TEST(CertificateChain, UsesIntermediatesGivenBeside) {
  const Certificate root = Vendor().root();
  const std::string p256 = tests::key_pem(Vendor::Kind::p256);
  const std::string rsa = tests::key_pem(Vendor::Kind::rsa3072);
  const Certificate intermediate = tests::issue(intermediate_wish(), p256, kRootName, tests::root_key_pem());
  const Certificate leaf = tests::issue({}, rsa, "CN=Test Intermediate", p256);
  EXPECT_TRUE(verify_chain(leaf, {intermediate}, {root}, tests::kNow, CertificateUse::code_signing).trusted());
  EXPECT_TRUE(has(verify_chain(leaf, {}, {root}, tests::kNow, CertificateUse::code_signing), ChainProblem::Kind::untrusted));
}

TEST(CertificateChain, IsJudgedAtTheGivenTimeAndNotAtTodays) {
  tests::CertificateWish past;
  past.not_before = "20100101000000";
  past.not_after = "20110101000000";
  const Vendor vendor(Vendor::Kind::p256, past);
  EXPECT_TRUE(has(judged(vendor), ChainProblem::Kind::validity));
  // The root is not valid yet in 2010, the leaf is.
  const crypto::ChainVerdict then = judged(vendor, tests::at("2010-06-01T00:00:00Z"));
  ASSERT_EQ(then.problems.size(), 1U);
  EXPECT_NE(then.problems.front().text.find("Test Root"), std::string::npos);
  // Both are valid in 2034, whatever the clock of this machine says.
  EXPECT_TRUE(judged(Vendor(), tests::at("2034-12-31T23:59:59Z")).trusted());
  EXPECT_TRUE(judged(Vendor(), tests::at("2025-01-01T00:00:00Z")).trusted());
  EXPECT_FALSE(judged(Vendor(), tests::at("2024-12-31T23:59:59Z")).trusted());
  EXPECT_FALSE(judged(Vendor(), tests::at("2035-01-01T00:00:01Z")).trusted());
}

TEST(CertificateChain, NeedsARoot) {
  const Vendor vendor;
  EXPECT_TRUE(has(verify_chain(vendor.leaf(), {vendor.root()}, {}, tests::kNow, CertificateUse::code_signing),
                  ChainProblem::Kind::untrusted));
}

TEST(CertificateChain, NeedsTheRightRootKeyAndNotOnlyItsName) {
  const std::string p256 = tests::key_pem(Vendor::Kind::p256);
  tests::CertificateWish wish;
  wish.subject = kRootName;
  wish.is_ca = true;
  const Certificate namesake = tests::issue(wish, p256, kRootName, p256);
  EXPECT_TRUE(has(verify_chain(Vendor().leaf(), {}, {namesake}, tests::kNow, CertificateUse::code_signing),
                  ChainProblem::Kind::untrusted));
}

TEST(CertificateChain, NeedsCodeSigningAndDigitalSignature) {
  tests::CertificateWish no_purpose;
  no_purpose.code_signing = false;
  EXPECT_TRUE(has(judged(Vendor(Vendor::Kind::p256, no_purpose)), ChainProblem::Kind::use));
  tests::CertificateWish no_signature;
  no_signature.digital_signature = false;
  EXPECT_TRUE(has(judged(Vendor(Vendor::Kind::p256, no_signature)), ChainProblem::Kind::use));
  EXPECT_TRUE(has(verify_chain(Vendor().leaf(), {}, {Vendor().root()}, tests::kNow, CertificateUse::time_stamping),
                  ChainProblem::Kind::use));
}

TEST(CertificateChain, RefusesALeafThatActsAsIssuer) {
  const std::string p256 = tests::key_pem(Vendor::Kind::p256);
  const Vendor vendor;  // its leaf is no CA, and has the P-256 key
  const Certificate below = tests::issue({.subject = "CN=Below"}, tests::key_pem(Vendor::Kind::rsa3072),
                                         "C=DE,O=Coldseal Example,CN=Test Leaf", p256);
  EXPECT_FALSE(verify_chain(below, {vendor.leaf()}, {vendor.root()}, tests::kNow, CertificateUse::code_signing).trusted());
}

TEST(SigningIdentity, EmbedsAllButTheRoot) {
  const Vendor vendor;
  const SigningIdentity identity = vendor.identity();
  EXPECT_EQ(identity.chain().size(), 2U);
  EXPECT_EQ(identity.embedded(), std::vector<Certificate>{vendor.leaf()});
  EXPECT_TRUE(identity.expect_valid_at(tests::kNow));
  EXPECT_EQ(identity.expect_valid_at(tests::at("2036-01-01T00:00:00Z")).error().code(), Errc::refused);
}

TEST(SigningIdentity, DropsRepeatedCertificates) {
  const Vendor vendor;
  const auto identity = SigningIdentity::assemble({vendor.leaf(), vendor.root(), vendor.leaf(), vendor.root()},
                                                  *vendor.leaf().public_key());
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->chain().size(), 2U);
}

TEST(SigningIdentity, RefusesAnotherKeyAndUnrelatedOrUnfitCertificates) {
  const Vendor vendor;
  const Vendor other(Vendor::Kind::rsa3072);
  EXPECT_EQ(SigningIdentity::assemble({}, *vendor.leaf().public_key()).error().code(), Errc::malformed);
  EXPECT_EQ(SigningIdentity::assemble({vendor.leaf()}, *other.leaf().public_key()).error().code(), Errc::mismatch);
  const Certificate stranger =
      tests::issue(intermediate_wish(), tests::root_key_pem(), kRootName, tests::root_key_pem());
  EXPECT_EQ(SigningIdentity::assemble({vendor.leaf(), stranger}, *vendor.leaf().public_key()).error().code(),
            Errc::mismatch);
  tests::CertificateWish no_purpose;
  no_purpose.code_signing = false;
  const Vendor unfit(Vendor::Kind::p256, no_purpose);
  EXPECT_EQ(SigningIdentity::assemble({unfit.leaf()}, *unfit.leaf().public_key()).error().code(), Errc::refused);
}

// A signature holds its certificates in DER order, whichever that is.
TEST(CertificateChain, FindsIssuersInWhateverOrderTheyAreGiven) {
  const std::string key = tests::key_pem(tests::Vendor::Kind::p256);
  const tests::Vendor vendor;
  std::vector<crypto::Certificate> issuers;
  std::string issuer = "C=DE,O=Coldseal Example,CN=Test Root";
  std::string issuer_key = tests::root_key_pem();
  for (std::uint64_t i = 0; i < 3; ++i) {
    issuers.push_back(tests::issue({.subject = "CN=Issuer " + std::to_string(i), .is_ca = true, .code_signing = false, .serial = 10 + i}, key,
                                   issuer, issuer_key));
    issuer = "CN=Issuer " + std::to_string(i);
    issuer_key = key;
  }
  const crypto::Certificate leaf = tests::issue({}, key, issuer, issuer_key);
  const base::Time now = tests::at("2026-11-23T12:00:00Z");
  std::vector<std::size_t> order = {0, 1, 2};
  do {
    std::vector<crypto::Certificate> others;
    for (const std::size_t i : order) others.push_back(issuers[i]);
    const auto chain = verify_chain(leaf, others, {vendor.root()}, now, crypto::CertificateUse::code_signing);
    EXPECT_TRUE(chain.trusted()) << order[0] << order[1] << order[2] << ": " << chain.problems.front().text;
    EXPECT_EQ(chain.path.size(), 5U);
  } while (std::next_permutation(order.begin(), order.end()));
}

}  // namespace
