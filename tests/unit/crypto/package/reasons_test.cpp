// Reasons of docs/verification.md that need a signature made by hand: odd forms that Windows takes, signatures inside
// signatures, certificates that are not what they should be, timestamps of the old kind and of the new.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "crypto/cms/counter_signature.hpp"
#include "crypto/cms/signature_edit.hpp"
#include "crypto/der/writer.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/pe_image.hpp"
#include "crypto/package/verification.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/support/verdicts.hpp"

namespace {

using base::Bytes;
using base::ByteView;
using base::MemorySource;
using crypto::DigestAlgorithm;
using package::Policy;
using package::Severity;
using package::Verdict;
using tests::has;
using tests::ids;
using tests::Vendor;
namespace oids = der::oids;

const base::Time kLater = tests::at("2036-01-01T00:00:00Z");   // every leaf has expired

Bytes image_for(std::uint16_t subsystem = 1) {
  tests::PeDescription description = tests::driver_description();
  description.subsystem = subsystem;
  return tests::build_pe(description);
}
crypto::Digest image_digest(const Bytes& file) {
  const MemorySource source(file);
  const DigestAlgorithm wanted[] = {DigestAlgorithm::sha256};
  return formats::PeImage::parse(source)->measure(source, wanted)->digest(wanted[0]);
}
Bytes with_signatures(const Bytes& file, const std::vector<Bytes>& signatures) {
  const MemorySource source(file);
  const auto parsed = formats::PeImage::parse(source);
  base::MemorySink out;
  EXPECT_TRUE(formats::write_with_table(source, *parsed, *parsed->measure(source, std::span<const DigestAlgorithm>()), signatures, out));
  return out.bytes();
}
Verdict judged_signature(const Bytes& signature, const Vendor& vendor, base::Time time = tests::kNow, Policy policy = Policy::authenticode,
               std::uint16_t subsystem = 1) {
  const Bytes file = with_signatures(image_for(subsystem), {signature});
  return package::verify_pe(MemorySource(file), {vendor.root()}, time, policy);
}

Bytes attribute(const der::Oid& type, ByteView value) { return der::sequence({der::oid(type), der::element(der::kSet, value)}); }

// A SignerInfo by that vendor's key over attributes in the order given.
Bytes signer_info(Vendor& vendor, const std::vector<Bytes>& signed_attributes, const std::vector<Bytes>& unsigned_attributes = {}) {
  Bytes attributes;
  for (const Bytes& each : signed_attributes) base::append(attributes, each);
  const Bytes set = der::element(der::kSet, attributes);
  const Bytes signature = *vendor.key().sign(crypto::sha256(set));
  const bool is_rsa = vendor.leaf().public_key()->algorithm() == crypto::KeyAlgorithm::rsa_pkcs1;
  Bytes more;
  if (!unsigned_attributes.empty()) more = der::set_of(der::context(1), unsigned_attributes);
  return der::sequence({der::integer(1), der::sequence({vendor.leaf().issuer_der(), der::element(der::kInteger, vendor.leaf().serial())}),
                        der::algorithm(DigestAlgorithm::sha256), der::element(der::context(0), attributes),
                        is_rsa ? der::algorithm(oids::kRsaEncryption) : der::sequence({der::oid(oids::kEcdsaWithSha256)}),
                        der::octet_string(signature), more});
}

struct Form {
  std::uint64_t version = 1;
  bool is_wrapped = false;            // content in an OCTET STRING, as CMS has it
  bool is_sorted = true;              // signed attributes
  std::vector<Bytes> certificates = {};          // in this order; empty for the leaf
  std::vector<Bytes> unsigned_attributes = {};
};

Bytes hand_made(Vendor& vendor, const Form& form, std::uint16_t subsystem = 1) {
  const Bytes content = formats::pe_content(image_digest(image_for(subsystem))).der;
  const auto element = der::expect_single(content, der::kSequence);
  const ByteView digested = form.is_wrapped ? ByteView(content) : element->value;
  std::vector<Bytes> attributes = {attribute(oids::kContentType, der::oid(oids::kSpcIndirectData)),
                                   attribute(oids::kMessageDigest, der::octet_string(crypto::sha256(digested).bytes()))};
  std::sort(attributes.begin(), attributes.end(), [](const Bytes& a, const Bytes& b) { return der::set_of_less(a, b); });
  if (!form.is_sorted) std::reverse(attributes.begin(), attributes.end());
  Bytes certificates;
  if (form.certificates.empty()) certificates = base::to_bytes(vendor.leaf().der());
  for (const Bytes& each : form.certificates) base::append(certificates, each);
  const Bytes inner = der::sequence(
      {der::integer(form.version), der::set_of({der::algorithm(DigestAlgorithm::sha256)}),
       der::sequence({der::oid(oids::kSpcIndirectData),
                      der::element(der::context(0), form.is_wrapped ? der::octet_string(content) : content)}),
       der::element(der::context(0), certificates), der::set_of({signer_info(vendor, attributes, form.unsigned_attributes)})});
  return der::sequence({der::oid(oids::kSignedData), der::element(der::context(0), inner)});
}

TEST(Reasons, FormsThatWindowsTakesAreTakenWithAWarning) {
  Vendor vendor(Vendor::Kind::rsa3072);
  EXPECT_TRUE(judged_signature(hand_made(vendor, {}), vendor).findings.empty());
  for (const Form& form : {Form{.version = 3}, Form{.is_wrapped = true}, Form{.version = 3, .is_wrapped = true}}) {
    const Verdict verdict = judged_signature(hand_made(vendor, form), vendor);
    EXPECT_TRUE(verdict.valid()) << ids(verdict);
    EXPECT_TRUE(has(verdict, "signature.form", Severity::warning)) << ids(verdict);
  }
  // What is not in DER order is not what was signed for a reader that sorts; it is said, and the octets count.
  const Verdict unsorted = judged_signature(hand_made(vendor, {.is_sorted = false}), vendor);
  EXPECT_TRUE(unsorted.valid()) << ids(unsorted);
  EXPECT_TRUE(has(unsorted, "signature.form", Severity::warning)) << ids(unsorted);
}

TEST(Reasons, CertificatesOutOfOrderAreAWarningInAnImage) {
  Vendor vendor(Vendor::Kind::rsa3072);
  Bytes leaf = base::to_bytes(vendor.leaf().der());
  Bytes root = base::to_bytes(vendor.root().der());
  if (der::set_of_less(leaf, root)) std::swap(leaf, root);
  const Verdict verdict = judged_signature(hand_made(vendor, {.certificates = {leaf, root}}), vendor);
  EXPECT_TRUE(verdict.valid()) << ids(verdict);
  EXPECT_TRUE(has(verdict, "signature.certificate-order", Severity::warning)) << ids(verdict);
  EXPECT_TRUE(judged_signature(hand_made(vendor, {.certificates = {root, leaf}}), vendor).findings.empty());
}

TEST(Reasons, ASignatureWithoutItsCertificateIsRefused) {
  Vendor vendor(Vendor::Kind::rsa3072);
  const Verdict verdict = judged_signature(hand_made(vendor, {.certificates = {base::to_bytes(vendor.root().der())}}), vendor);
  EXPECT_TRUE(has(verdict, "signature.no-certificate", Severity::error)) << ids(verdict);
}

TEST(Reasons, SignaturesNestedTooDeepOrTooManyAreRefused) {
  Vendor vendor(Vendor::Kind::rsa3072);
  const Bytes plain = hand_made(vendor, {});
  Bytes deep = plain;
  for (std::size_t depth = 1; depth <= 5; ++depth) {
    deep = *cms::with_nested_signatures(plain, {deep});
    const Verdict verdict = judged_signature(deep, vendor);
    EXPECT_EQ(has(verdict, "signature.nested", Severity::error), depth > 4) << depth << "\n" << ids(verdict);
  }
  const Bytes many = der::sequence({der::oid(oids::kSpcNestedSignature), der::set_of([&] {
                                      std::vector<Bytes> values;
                                      for (std::uint64_t i = 0; i < 17; ++i) values.push_back(der::integer(i));
                                      return values;
                                    }())});
  const Verdict verdict = judged_signature(hand_made(vendor, {.unsigned_attributes = {many}}), vendor);
  EXPECT_TRUE(has(verdict, "signature.nested", Severity::error)) << ids(verdict);
}

TEST(Reasons, ANestedSignatureThatIsNoneIsRefusedAndNamed) {
  Vendor vendor(Vendor::Kind::rsa3072);
  const Verdict verdict = judged_signature(hand_made(vendor, {.unsigned_attributes = {attribute(oids::kSpcNestedSignature, der::integer(1))}}), vendor);
  EXPECT_TRUE(has(verdict, "signature.malformed", Severity::error)) << ids(verdict);
  EXPECT_NE(ids(verdict).find("nested signature 1"), std::string::npos) << ids(verdict);
}

TEST(Reasons, CertificatesForSomethingElseAreRefused) {
  tests::CertificateWish no_purpose;
  no_purpose.code_signing = false;
  tests::CertificateWish no_signing;
  no_signing.digital_signature = false;
  tests::CertificateWish time_stamping;
  time_stamping.code_signing = false;
  time_stamping.time_stamping = true;
  for (const tests::CertificateWish& wish : {no_purpose, no_signing, time_stamping}) {
    Vendor vendor(Vendor::Kind::rsa3072, wish);
    const Verdict verdict = judged_signature(hand_made(vendor, {}), vendor);
    EXPECT_TRUE(has(verdict, "chain.use", Severity::error)) << ids(verdict);
  }
}

TEST(Reasons, WeakDigestsInAChainAreRefused) {
  tests::CertificateWish wish;
  wish.sha1 = true;
  Vendor vendor(Vendor::Kind::rsa3072, wish);
  EXPECT_TRUE(has(judged_signature(hand_made(vendor, {}), vendor), "chain.weak", Severity::error));
}

TEST(Reasons, AChainLongerThanIsFollowedIsRefused) {
  Vendor vendor(Vendor::Kind::p256);
  const std::string key = tests::key_pem(Vendor::Kind::p256);
  std::string issuer = "C=DE,O=Coldseal Example,CN=Test Root";
  std::string issuer_key = tests::root_key_pem();
  std::vector<crypto::Certificate> others;
  for (std::uint64_t i = 0; i < 12; ++i) {
    tests::CertificateWish wish{.subject = "CN=Issuer " + std::to_string(i), .is_ca = true, .code_signing = false, .serial = 10 + i};
    others.push_back(tests::issue(wish, key, issuer, issuer_key));
    issuer = wish.subject;
    issuer_key = key;
  }
  const crypto::Certificate leaf = tests::issue({}, key, issuer, issuer_key);
  const auto chain = verify_chain(leaf, others, {vendor.root()}, tests::kNow, crypto::CertificateUse::code_signing);
  ASSERT_FALSE(chain.trusted());
  EXPECT_EQ(chain.problems.front().kind, crypto::ChainProblem::Kind::unreadable) << chain.problems.front().text;   // "chain.unreadable"
  // The same in a file: a leaf under one of them, signed by its key.
  Vendor signer(Vendor::Kind::p256);
  std::vector<Bytes> certificates = {base::to_bytes(leaf.der())};
  for (const crypto::Certificate& each : others) certificates.push_back(base::to_bytes(each.der()));
  std::sort(certificates.begin(), certificates.end(), [](const Bytes& a, const Bytes& b) { return der::set_of_less(a, b); });
  const auto data = cms::SignedData::parse(signer.sign(formats::pe_content(image_digest(image_for()))));
  const cms::SignerInfo& info = data->signers().front();
  const auto attributes = der::expect_single(info.signed_attributes_der, der::kSet);
  Bytes all;
  for (const Bytes& each : certificates) base::append(all, each);
  const Bytes inner = der::sequence(
      {der::integer(1), der::set_of({der::algorithm(DigestAlgorithm::sha256)}),
       der::sequence({der::oid(oids::kSpcIndirectData), der::element(der::context(0), data->content_der())}),
       der::element(der::context(0), all),
       der::set_of({der::sequence({der::integer(1), der::sequence({leaf.issuer_der(), der::element(der::kInteger, leaf.serial())}),
                                   der::algorithm(DigestAlgorithm::sha256), der::element(der::context(0), attributes->value),
                                   der::sequence({der::oid(oids::kEcdsaWithSha256)}), der::octet_string(info.signature)})})});
  const Verdict verdict = judged_signature(der::sequence({der::oid(oids::kSignedData), der::element(der::context(0), inner)}), vendor);
  EXPECT_TRUE(has(verdict, "chain.unreadable", Severity::error)) << ids(verdict);
}

TEST(Reasons, FirmwareLoadsEfiImagesAndLooksAtNoTime) {
  Vendor vendor(Vendor::Kind::rsa3072);
  const Verdict driver = judged_signature(hand_made(vendor, {}), vendor, tests::kNow, Policy::uefi);
  EXPECT_TRUE(has(driver, "uefi.subsystem", Severity::error)) << ids(driver);
  for (const std::uint16_t subsystem : std::initializer_list<std::uint16_t>{10, 11, 12, 13}) {
    const Verdict efi = judged_signature(hand_made(vendor, {}, subsystem), vendor, kLater, Policy::uefi, subsystem);
    EXPECT_TRUE(efi.valid()) << ids(efi);
    EXPECT_TRUE(has(efi, "uefi.time-not-judged", Severity::note)) << ids(efi);
    EXPECT_TRUE(has(judged_signature(hand_made(vendor, {}, subsystem), vendor, kLater, Policy::authenticode, subsystem), "chain.validity", Severity::error));
  }
}

TEST(Reasons, FirmwareTriesEveryEntryOfTheTable) {
  Vendor vendor(Vendor::Kind::rsa3072);
  const Bytes good = hand_made(vendor, {}, 11);
  Bytes bad = good;
  bad.at(bad.size() - 20) ^= 1;   // in the signature
  const Bytes file = with_signatures(image_for(11), {good, bad});
  const Verdict windows = package::verify_pe(MemorySource(file), {vendor.root()}, tests::kNow);
  EXPECT_TRUE(windows.valid()) << ids(windows);
  EXPECT_EQ(windows.signatures, 1U);
  EXPECT_TRUE(has(windows, "pe.several-entries", Severity::warning));
  const Verdict firmware = package::verify_pe(MemorySource(file), {vendor.root()}, tests::kNow, Policy::uefi);
  EXPECT_TRUE(has(firmware, "signature.wrong", Severity::error)) << ids(firmware);
  EXPECT_EQ(firmware.signatures, 2U);
  EXPECT_FALSE(has(firmware, "pe.several-entries", Severity::warning));
}

// PKCS#9 countersignatures: what SignTool /t made.
tests::CertificateWish authority_wish() {
  tests::CertificateWish wish{.subject = "CN=Old Authority", .not_after = "20400101000000", .code_signing = false, .serial = 77};
  wish.time_stamping = true;
  return wish;
}
Bytes counter_signature(Vendor& authority, ByteView signature, const std::vector<Bytes>& more) {
  std::vector<Bytes> attributes = {attribute(oids::kContentType, der::oid(oids::kData)),
                                   attribute(oids::kMessageDigest, der::octet_string(crypto::sha256(signature).bytes()))};
  attributes.insert(attributes.end(), more.begin(), more.end());
  return signer_info(authority, attributes);
}
// RSA signatures are deterministic: the countersigned octets are the same whatever the unsigned attributes are.
Bytes signature_octets(const Bytes& signed_data) { return cms::SignedData::parse(signed_data)->signers().front().signature; }

TEST(Reasons, ACountersignatureOfATrustedAuthorityCountsAndIsNoted) {
  Vendor vendor(Vendor::Kind::rsa3072);
  Vendor authority(Vendor::Kind::p256, authority_wish());
  std::vector<Bytes> certificates = {base::to_bytes(vendor.leaf().der()), base::to_bytes(authority.leaf().der())};
  std::sort(certificates.begin(), certificates.end(), [](const Bytes& a, const Bytes& b) { return der::set_of_less(a, b); });
  const Bytes bare = hand_made(vendor, {.certificates = certificates});
  const Bytes time = attribute(oids::kSigningTime, der::utc_time(tests::kNow));
  const auto with = [&](const Bytes& counter) {
    return hand_made(vendor, {.certificates = certificates, .unsigned_attributes = {attribute(oids::kCounterSignature, counter)}});
  };
  EXPECT_TRUE(has(judged_signature(bare, vendor, kLater), "chain.validity", Severity::error));
  const Bytes good = counter_signature(authority, signature_octets(bare), {time});
  const Verdict verdict = judged_signature(with(good), vendor, kLater);
  EXPECT_TRUE(verdict.valid()) << ids(verdict);
  EXPECT_EQ(verdict.timestamp, tests::kNow);
  EXPECT_TRUE(has(verdict, "timestamp.legacy", Severity::note)) << ids(verdict);

  const Verdict other = judged_signature(with(counter_signature(authority, base::as_bytes("another signature"), {time})), vendor, kLater);
  EXPECT_TRUE(has(other, "timestamp.mismatch", Severity::error)) << ids(other);
  const Verdict no_time = judged_signature(with(counter_signature(authority, signature_octets(bare), {})), vendor, kLater);
  EXPECT_TRUE(has(no_time, "timestamp.malformed", Severity::error)) << ids(no_time);
  EXPECT_TRUE(has(judged_signature(with(der::integer(1)), vendor, kLater), "timestamp.malformed", Severity::error));
  Bytes tampered = good;
  tampered.at(tampered.size() - 5) ^= 1;
  const Verdict wrong = judged_signature(with(tampered), vendor, kLater);
  EXPECT_TRUE(has(wrong, "timestamp.wrong", Severity::error)) << ids(wrong);
  for (const Verdict& each : {other, no_time, wrong}) {
    EXPECT_FALSE(each.timestamp);
    EXPECT_TRUE(has(each, "chain.validity", Severity::error));
  }
  // Without the authority's certificate in the signature nothing says who it was.
  const Bytes missing = hand_made(vendor, {.unsigned_attributes = {attribute(oids::kCounterSignature, good)}});
  EXPECT_TRUE(has(judged_signature(missing, vendor, kLater), "timestamp.wrong", Severity::error));
}

TEST(Reasons, ACountersignatureByACertificateForSomethingElseDoesNotCount) {
  Vendor vendor(Vendor::Kind::rsa3072);
  tests::CertificateWish wish = authority_wish();
  wish.time_stamping = false;
  wish.code_signing = true;
  Vendor authority(Vendor::Kind::p256, wish);
  std::vector<Bytes> certificates = {base::to_bytes(vendor.leaf().der()), base::to_bytes(authority.leaf().der())};
  const Bytes octets = signature_octets(hand_made(vendor, {.certificates = certificates}));
  const Bytes counter = counter_signature(authority, octets, {attribute(oids::kSigningTime, der::utc_time(tests::kNow))});
  const Verdict verdict = judged_signature(
      hand_made(vendor, {.certificates = certificates, .unsigned_attributes = {attribute(oids::kCounterSignature, counter)}}), vendor, kLater);
  EXPECT_TRUE(has(verdict, "timestamp.chain", Severity::warning)) << ids(verdict);
  EXPECT_TRUE(has(verdict, "chain.validity", Severity::error)) << ids(verdict);
}

TEST(Reasons, ATimestampThatIsNoneIsRefused) {
  Vendor vendor(Vendor::Kind::rsa3072);
  const Verdict verdict = judged_signature(
      hand_made(vendor, {.unsigned_attributes = {attribute(oids::kSpcRfc3161Timestamp, der::sequence({der::integer(1)}))}}), vendor);
  EXPECT_TRUE(has(verdict, "timestamp.malformed", Severity::error)) << ids(verdict);
}

}  // namespace
