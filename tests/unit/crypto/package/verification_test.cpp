#include "crypto/package/verification.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "crypto/der/writer.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/pe_image.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/verdicts.hpp"

namespace {

using base::Bytes;
using base::MemorySource;
using package::Severity;
using package::Verdict;
using package::verify_catalog_signature;
using package::verify_pe;
using tests::has;
using tests::ids;
using tests::Vendor;
namespace oids = der::oids;

constexpr std::size_t kOptional = 0x80 + 24;
constexpr std::size_t kDirectoryEntry = kOptional + 144;

Bytes image() {
  return tests::build_pe(tests::driver_description());
}

Verdict judged(const Bytes& file, const Vendor& vendor, base::Time time = tests::kNow) {
  return verify_pe(MemorySource(file), {vendor.root()}, time);
}

// The image with a signature made of any SignedData.
Bytes with_signature(base::ByteView signed_data) {
  const Bytes file = image();
  const MemorySource source(file);
  const auto parsed = formats::PeImage::parse(source);
  base::MemorySink out;
  EXPECT_TRUE(formats::write_signed(source, *parsed, *parsed->measure(source, std::span<const crypto::DigestAlgorithm>()), signed_data, out));
  return out.bytes();
}

crypto::Digest image_digest() {
  const Bytes file = image();
  const MemorySource source(file);
  const crypto::DigestAlgorithm wanted[] = {crypto::DigestAlgorithm::sha256};
  return formats::PeImage::parse(source)->measure(source, wanted)->digest(wanted[0]);
}

void put32(Bytes& file, std::size_t at, std::size_t value) {
  for (std::size_t i = 0; i < 4; ++i) file.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
}
std::size_t get32(const Bytes& file, std::size_t at) {
  std::size_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | file.at(at + i);
  return value;
}

TEST(VerifyPe, TakesWhatWeSign) {
  for (const Vendor::Kind kind : {Vendor::Kind::p256, Vendor::Kind::rsa3072}) {
    Vendor vendor(kind);
    const Verdict verdict = judged(vendor.sign_pe(image()), vendor);
    EXPECT_TRUE(verdict.valid()) << ids(verdict);
    EXPECT_TRUE(verdict.findings.empty()) << ids(verdict);
    EXPECT_EQ(verdict.signer, vendor.leaf().subject());
    EXPECT_EQ(verdict.chain.size(), 2U);
    EXPECT_EQ(verdict.file_digest, image_digest());
    EXPECT_TRUE(verdict.signed_digest);
  }
}

TEST(VerifyPe, WithoutRootsSaysThatTheChainWasNotChecked) {
  Vendor vendor;
  const Bytes file = vendor.sign_pe(image());
  const Verdict verdict = verify_pe(MemorySource(file), {}, tests::kNow);
  EXPECT_TRUE(verdict.valid()) << ids(verdict);
  EXPECT_TRUE(has(verdict, "chain.not-checked", Severity::warning));
}

TEST(VerifyPe, WithoutRootsStillChecksTimeAndUse) {
  tests::CertificateWish wish;
  wish.not_after = "20260101000000";
  Vendor expired(Vendor::Kind::p256, wish);
  const Bytes file = expired.sign_pe(image());
  EXPECT_TRUE(has(verify_pe(MemorySource(file), {}, tests::kNow), "chain.validity"));
}

TEST(VerifyPe, NoChangedByteOfTheImageGoesUnnoticed) {
  Vendor vendor;
  const Bytes good = vendor.sign_pe(image());
  const std::size_t end = get32(good, kDirectoryEntry);
  for (std::size_t at = 0; at < end; at += 7) {
    if (at >= kOptional + 64 && at < kOptional + 68) continue;  // CheckSum: see below
    Bytes changed = good;
    changed[at] ^= 0x10;
    ASSERT_FALSE(judged(changed, vendor).valid()) << at;
  }
}

TEST(VerifyPe, WrongChecksumIsAWarning) {
  Vendor vendor;
  Bytes file = vendor.sign_pe(image());
  put32(file, kOptional + 64, 0x12345678);
  const Verdict verdict = judged(file, vendor);
  EXPECT_TRUE(verdict.valid()) << ids(verdict);
  EXPECT_TRUE(has(verdict, "pe.checksum", Severity::warning));
}

TEST(VerifyPe, NamesAChangedImage) {
  Vendor vendor;
  Bytes file = vendor.sign_pe(image());
  file[0x400] ^= 1;
  const Verdict verdict = judged(file, vendor);
  EXPECT_TRUE(has(verdict, "pe.digest-mismatch")) << ids(verdict);
  EXPECT_FALSE(has(verdict, "signature.wrong"));
}

TEST(VerifyPe, RefusesUnsignedAndUnreadableFiles) {
  const Vendor vendor;
  EXPECT_TRUE(has(judged(image(), vendor), "pe.not-signed"));
  EXPECT_TRUE(has(judged({}, vendor), "pe.not-readable"));
  EXPECT_TRUE(has(judged(base::to_bytes(base::as_bytes("MZ but nothing else")), vendor), "pe.not-readable"));
  EXPECT_TRUE(has(judged(with_signature(Bytes{0x30, 0x00}), vendor), "signature.malformed"));
}

TEST(VerifyPe, RefusesDataHiddenAfterTheSignature) {
  Vendor vendor;
  Bytes file = vendor.sign_pe(image());
  const std::size_t table = get32(file, kDirectoryEntry);
  file.resize(file.size() + 4096);
  put32(file, table, file.size() - table);
  put32(file, kDirectoryEntry + 4, file.size() - table);
  EXPECT_TRUE(has(judged(file, vendor), "pe.table-stuffed"));
}

TEST(VerifyPe, RefusesASignatureForAnotherImage) {
  Vendor vendor;
  const Bytes other = vendor.sign(formats::pe_content(crypto::sha256(base::as_bytes("another image"))));
  EXPECT_TRUE(has(judged(with_signature(other), vendor), "pe.digest-mismatch"));
}

TEST(VerifyPe, RefusesACatalogSignatureInAnImage) {
  Vendor vendor;
  const Bytes list = vendor.sign({oids::kCertificateTrustList, formats::pe_content(image_digest()).der});
  EXPECT_TRUE(has(judged(with_signature(list), vendor), "signature.malformed"));
}

TEST(VerifyPe, RefusesAContentTypeAttributeThatDoesNotFit) {
  // As osslsigncode 2.9's detached flow writes it: the CTL's type in the attribute, SpcIndirectData in the content.
  Vendor vendor(Vendor::Kind::rsa3072);
  const Bytes content = formats::pe_content(image_digest()).der;
  const Bytes der = vendor.sign({oids::kCertificateTrustList, content});
  const auto data = cms::SignedData::parse(der);
  const cms::SignerInfo& signer = data->signers().front();
  const base::ByteView attributes = base::ByteView(signer.signed_attributes_der);
  const auto attributes_element = der::expect_single(attributes, der::kSet);
  const Bytes signer_info = der::sequence(
      {der::integer(1), der::sequence({signer.issuer_der, der::element(der::kInteger, signer.serial)}),
       der::algorithm(crypto::DigestAlgorithm::sha256), der::element(der::context(0), attributes_element->value),
       der::algorithm(oids::kRsaEncryption), der::octet_string(signer.signature)});
  const Bytes inner =
      der::sequence({der::integer(1), der::set_of({der::algorithm(crypto::DigestAlgorithm::sha256)}),
                     der::sequence({der::oid(oids::kSpcIndirectData), der::element(der::context(0), content)}),
                     der::element(der::context(0), data->certificates().front()), der::set_of({signer_info})});
  const Verdict verdict = judged(
      with_signature(der::sequence({der::oid(oids::kSignedData), der::element(der::context(0), inner)})), vendor);
  EXPECT_TRUE(has(verdict, "signature.content-type")) << ids(verdict);
  EXPECT_FALSE(has(verdict, "signature.wrong")) << ids(verdict);  // only the attribute is at fault
}

TEST(VerifyPe, RefusesUntrustedExpiredAndUnfitSigners) {
  Vendor vendor;
  const Bytes file = vendor.sign_pe(image());
  const std::string p256 = tests::key_pem(Vendor::Kind::p256);
  const crypto::Certificate stranger =
      tests::issue({.subject = "CN=Stranger", .is_ca = true}, p256, "CN=Stranger", p256);
  EXPECT_TRUE(has(verify_pe(MemorySource(file), {stranger}, tests::kNow), "chain.untrusted"));
  EXPECT_TRUE(has(judged(file, vendor, tests::at("2035-06-01T00:00:00Z")), "chain.validity"));
  EXPECT_TRUE(has(judged(file, vendor, tests::at("2024-06-01T00:00:00Z")), "chain.validity"));
}

TEST(VerifyPe, ReportsSecondEntriesOfTheTable) {
  Vendor vendor(Vendor::Kind::rsa3072);
  Bytes file = vendor.sign_pe(image());
  const std::size_t table = get32(file, kDirectoryEntry);
  const Bytes entry(file.begin() + static_cast<std::ptrdiff_t>(table), file.end());
  base::append(file, entry);
  put32(file, kDirectoryEntry + 4, 2 * entry.size());
  const Verdict verdict = judged(file, vendor);
  EXPECT_TRUE(verdict.valid()) << ids(verdict);
  EXPECT_TRUE(has(verdict, "pe.several-entries", Severity::warning));
}

TEST(VerifyCatalogSignature, TakesWhatWeSignAndNothingElse) {
  Vendor vendor;
  const cms::Content list{oids::kCertificateTrustList,
                          der::sequence({der::octet_string(Bytes(70000, 7))})};  // over 64 KiB
  const Bytes good = vendor.sign(list);
  const std::vector<crypto::Certificate> roots = {vendor.root()};
  const Verdict verdict = verify_catalog_signature(good, roots, tests::kNow);
  EXPECT_TRUE(verdict.valid() && verdict.findings.empty()) << ids(verdict);
  EXPECT_TRUE(has(verify_catalog_signature(*cms::without_signer(list), roots, tests::kNow), "catalog.not-signed"));
  EXPECT_TRUE(has(verify_catalog_signature(vendor.sign(formats::pe_content(image_digest())), roots, tests::kNow),
                  "signature.malformed"));
  EXPECT_TRUE(has(verify_catalog_signature({}, roots, tests::kNow), "signature.malformed"));
  Bytes changed = good;
  changed[1000] ^= 1;
  EXPECT_TRUE(has(verify_catalog_signature(changed, roots, tests::kNow), "signature.message-digest"));
}

TEST(VerifyCatalogSignature, RefusesCertificatesOutOfOrder) {
  Vendor vendor(Vendor::Kind::rsa3072);
  const auto data =
      cms::SignedData::parse(vendor.sign({oids::kCertificateTrustList, der::sequence({der::integer(1)})}));
  const Bytes leaf = base::to_bytes(vendor.leaf().der());
  const Bytes root = base::to_bytes(vendor.root().der());
  const cms::SignerInfo& signer = data->signers().front();
  const auto attributes = der::expect_single(signer.signed_attributes_der, der::kSet);
  const auto rebuilt = [&](base::ByteView certificates) {
    const Bytes signer_info = der::sequence(
        {der::integer(1), der::sequence({signer.issuer_der, der::element(der::kInteger, signer.serial)}),
         der::algorithm(crypto::DigestAlgorithm::sha256), der::element(der::context(0), attributes->value),
         der::algorithm(oids::kRsaEncryption), der::octet_string(signer.signature)});
    const Bytes inner = der::sequence(
        {der::integer(1), der::set_of({der::algorithm(crypto::DigestAlgorithm::sha256)}),
         der::sequence({der::oid(oids::kCertificateTrustList), der::element(der::context(0), data->content_der())}),
         der::element(der::context(0), certificates), der::set_of({signer_info})});
    return der::sequence({der::oid(oids::kSignedData), der::element(der::context(0), inner)});
  };
  const bool leaf_first = der::set_of_less(leaf, root);
  const Bytes sorted = leaf_first ? der::concat({leaf, root}) : der::concat({root, leaf});
  const Bytes unsorted = leaf_first ? der::concat({root, leaf}) : der::concat({leaf, root});
  EXPECT_TRUE(verify_catalog_signature(rebuilt(sorted), {vendor.root()}, tests::kNow).valid());
  EXPECT_TRUE(has(verify_catalog_signature(rebuilt(unsorted), {vendor.root()}, tests::kNow), "signature.certificate-order"));
  EXPECT_TRUE(has(verify_catalog_signature(rebuilt(der::concat({leaf, leaf})), {vendor.root()}, tests::kNow),
                  "signature.certificate-order"));
}

// Genuine signatures: digest and signature fit; their certificates are self-signed or have expired.
TEST(VerifyPe, FindsNothingWrongWithGenuineFilesExceptTheirCertificates) {
  const char* const corpus = std::getenv("COLDSEAL_CORPUS");
  if (corpus == nullptr) {
    std::puts("COLDSEAL_CORPUS is not set: genuine files were not verified");
    GTEST_SKIP();
  }
  for (const char* const name : {"pegoat32-signtool-sha1.exe", "pegoat32-duplicated-entry.exe",
                                 "pegoat64-signtool-nested.exe", "forms-app.exe"}) {
    const Bytes file = tests::read_file(std::filesystem::path(corpus) / "signed" / name);
    const Verdict verdict = verify_pe(MemorySource(file), {}, tests::at("2020-06-20T00:00:00Z"));
    ASSERT_TRUE(verdict.file_digest) << name << "\n" << ids(verdict);
    ASSERT_TRUE(verdict.signed_digest) << name << "\n" << ids(verdict);
    for (const package::Finding& finding : verdict.findings)
      if (finding.severity == Severity::error) {
        // forms-app.exe is signed with RSA-1024, which is refused before its signature is looked at.
        EXPECT_TRUE(finding.id.starts_with("chain.") || finding.id == "signature.key-unsupported")
            << name << ": " << finding.id << ": " << finding.cause;
      }
    // One bit in the middle of the image: its digest is another.
    Bytes tampered = file;
    tampered[file.size() / 3] ^= 1U;
    EXPECT_TRUE(has(verify_pe(MemorySource(tampered), {}, tests::at("2020-06-20T00:00:00Z")), "pe.digest-mismatch")) << name;
  }
  const Bytes unsigned_program = tests::read_file(std::filesystem::path(corpus) / "signed" / "class-library.dll");
  EXPECT_TRUE(has(verify_pe(MemorySource(unsigned_program), {}, tests::kNow), "pe.not-signed"));
}

}  // namespace
