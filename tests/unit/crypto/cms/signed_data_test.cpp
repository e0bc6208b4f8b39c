#include "crypto/cms/signed_data.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "crypto/der/writer.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/pe_image.hpp"
#include "tests/support/der_skeleton.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

using base::Bytes;
using base::Errc;
using cms::SignedData;
using tests::Vendor;
namespace oids = der::oids;

cms::Content pe_content() {
  return formats::pe_content(crypto::sha256(base::as_bytes("an image")));
}

// SignedData from its parts, so that tests can make bad ones.
struct Parts {
  Bytes version = der::integer(1);
  Bytes algorithms = der::set_of({der::algorithm(crypto::DigestAlgorithm::sha256)});
  Bytes content = der::sequence({der::oid(oids::kSpcIndirectData), der::element(der::context(0), pe_content().der)});
  Bytes certificates;  // with its [0], or nothing
  Bytes signers = der::element(der::kSet, base::ByteView());
  Bytes der() const {
    const Bytes inner = der::sequence({version, algorithms, content, certificates, signers});
    return der::sequence({der::oid(oids::kSignedData), der::element(der::context(0), inner)});
  }
};

TEST(SignedData, HasSignToolsFormFieldForField) {
  Vendor vendor(Vendor::Kind::rsa3072);
  EXPECT_EQ(tests::signature_skeleton(vendor.sign(pe_content())), tests::kSignToolSkeleton);
}

// The same against the genuine file. Left out of the comparison, and why: the certificates, issuer, serial number,
// digests and signature value (another key and file), the unsigned attributes (a nested signature and timestamps are
// added to a finished signature), and sequenceNumber (only on nested signatures).
TEST(SignedData, HasTheFormOfAGenuineSignToolSignature) {
  const char* const corpus = std::getenv("COLDSEAL_CORPUS");
  if (corpus == nullptr) {
    std::puts("COLDSEAL_CORPUS is not set: not compared with a genuine file");
    GTEST_SKIP();
  }
  const Bytes file = tests::read_file(std::filesystem::path(corpus) / "signed" / "pegoat64-signtool-nested.exe");
  const base::MemorySource source(file);
  const auto entries = formats::PeImage::parse(source)->certificates(source);
  const auto primary = SignedData::parse(entries->front().der);
  ASSERT_TRUE(primary) << primary.error().text();
  const cms::Attribute* const nested = primary->signers().front().unsigned_attribute(oids::kSpcNestedSignature);
  ASSERT_NE(nested, nullptr);
  std::string genuine = tests::signature_skeleton(nested->values.at(0));
  const std::string sequence_number =
      "          30\n            06 1.2.840.113549.1.9.25.4\n            31\n              02 01\n";
  const std::size_t at = genuine.find(sequence_number);
  ASSERT_NE(at, std::string::npos);
  genuine.erase(at, sequence_number.size());
  Vendor vendor(Vendor::Kind::rsa3072);
  EXPECT_EQ(tests::signature_skeleton(vendor.sign(pe_content())), genuine);
}

TEST(SignedData, ReadsWhatItWrites) {
  for (const Vendor::Kind kind : {Vendor::Kind::p256, Vendor::Kind::rsa3072}) {
    Vendor vendor(kind);
    const cms::Content content = pe_content();
    const auto data =
        SignedData::parse(vendor.sign(content, {.description = "Treiber für Ä", .url = "https://example.com/"}));
    ASSERT_TRUE(data) << data.error().text();
    EXPECT_EQ(data->version(), 1U);
    EXPECT_TRUE(data->content_type() == oids::kSpcIndirectData);
    EXPECT_EQ(base::to_bytes(data->content_der()), content.der);
    EXPECT_EQ(data->content_octets().size(), content.der.size() - 2);
    EXPECT_EQ(data->certificates(), std::vector<Bytes>{base::to_bytes(vendor.leaf().der())});
    EXPECT_TRUE(data->deviations().empty());
    ASSERT_EQ(data->signers().size(), 1U);
    const cms::SignerInfo& signer = data->signers().front();
    EXPECT_EQ(*data->signer_certificate(signer), vendor.leaf());
    EXPECT_TRUE(data->expect_message_digest(signer));
    EXPECT_TRUE(data->expect_content_type(signer));
    EXPECT_TRUE(data->expect_signature(signer, *vendor.leaf().public_key()));
    EXPECT_EQ(data->expect_signature(signer, *vendor.root().public_key()).error().code(),
              kind == Vendor::Kind::p256 ? Errc::mismatch : Errc::unsupported);
    // programName in UTF-16BE, moreInfo as an IA5 URL.
    const std::string opus = base::hex(signer.signed_attribute(oids::kSpcOpusInfo)->values.at(0));
    EXPECT_NE(opus.find("a01c801a"
                        "00540072006500690062006500720020006600fc0072002000c4"),
              std::string::npos)
        << opus;
    EXPECT_NE(opus.find("a1168014"
                        "68747470733a2f2f6578616d706c652e636f6d2f"),
              std::string::npos)
        << opus;
  }
}

TEST(SignedData, IsTheSameBytesEachTime) {
  Vendor vendor(Vendor::Kind::rsa3072);
  EXPECT_EQ(vendor.sign(pe_content()), vendor.sign(pe_content()));
}

TEST(SignedData, DigestsContentWithoutTagAndLength) {
  Vendor vendor;
  const cms::Content content = pe_content();
  const auto data = SignedData::parse(vendor.sign(content));
  const Bytes stated = data->signers().front().signed_attribute(oids::kMessageDigest)->values.at(0);
  EXPECT_EQ(base::to_bytes(base::ByteView(stated).subspan(2)),
            base::to_bytes(crypto::sha256(base::ByteView(content.der).subspan(2)).bytes()));
}

TEST(SignedData, EmbedsCertificatesInDerOrderOnceAndWithoutTheRoot) {
  const std::string p256 = tests::key_pem(Vendor::Kind::p256);
  const std::string rsa = tests::key_pem(Vendor::Kind::rsa3072);
  const crypto::Certificate root = Vendor().root();
  tests::CertificateWish ca{.subject = "CN=Test Intermediate", .is_ca = true, .code_signing = false, .serial = 3};
  const crypto::Certificate intermediate =
      tests::issue(ca, p256, "C=DE,O=Coldseal Example,CN=Test Root", tests::root_key_pem());
  const crypto::Certificate leaf = tests::issue({}, rsa, "CN=Test Intermediate", p256);
  const auto identity = crypto::SigningIdentity::assemble({leaf, root, intermediate, intermediate}, *leaf.public_key());
  ASSERT_TRUE(identity);
  auto key = tests::SoftwareKey::from_pem(rsa);
  const auto unsigned_data = cms::UnsignedData::prepare(pe_content(), {}, *identity);
  const auto data = SignedData::parse(*unsigned_data->with_signature(*key->sign(unsigned_data->to_be_signed())));
  ASSERT_TRUE(data);
  EXPECT_EQ(data->certificates().size(), 2U);
  EXPECT_TRUE(data->certificates_are_sorted());
}

TEST(UnsignedData, HashesTheAttributesThatAreWritten) {
  Vendor vendor;
  const auto unsigned_data = cms::UnsignedData::prepare(pe_content(), {}, vendor.identity());
  EXPECT_EQ(unsigned_data->to_be_signed(), crypto::sha256(unsigned_data->signed_attributes()));
  const auto data = SignedData::parse(vendor.sign(pe_content()));
  EXPECT_EQ(data->signers().front().signed_attributes_der, base::to_bytes(unsigned_data->signed_attributes()));
}

TEST(UnsignedData, RefusesASignatureThatIsNotTheLeafs) {
  Vendor vendor;
  Vendor other(Vendor::Kind::rsa3072);
  const auto data = cms::UnsignedData::prepare(pe_content(), {}, vendor.identity());
  EXPECT_EQ(data->with_signature({}).error().code(), Errc::mismatch);
  EXPECT_EQ(data->with_signature(*other.key().sign(data->to_be_signed())).error().code(), Errc::mismatch);
  EXPECT_EQ(data->with_signature(*vendor.key().sign(crypto::sha256({}))).error().code(), Errc::mismatch);
  EXPECT_TRUE(data->with_signature(*vendor.key().sign(data->to_be_signed())));
}

TEST(UnsignedData, RefusesSha1AndBadContentOrText) {
  const Vendor vendor;
  const auto prepare = [&](Bytes content, cms::SignedAttributes attributes,
                           crypto::DigestAlgorithm algorithm = crypto::DigestAlgorithm::sha256) {
    return cms::UnsignedData::prepare({oids::kSpcIndirectData, std::move(content)}, attributes, vendor.identity(),
                                      algorithm);
  };
  const Bytes good = pe_content().der;
  EXPECT_TRUE(prepare(good, {}));
  EXPECT_TRUE(prepare(good, {}, crypto::DigestAlgorithm::sha384));
  EXPECT_EQ(prepare(good, {}, crypto::DigestAlgorithm::sha1).error().code(), Errc::refused);
  EXPECT_EQ(prepare({}, {}).error().code(), Errc::malformed);
  EXPECT_EQ(prepare({0x30, 0x00, 0x00}, {}).error().code(), Errc::malformed);
  EXPECT_EQ(prepare(good, {.description = "\xff", .url = {}}).error().code(), Errc::malformed);
  EXPECT_EQ(prepare(good, {.description = {}, .url = "http://ä"}).error().code(), Errc::malformed);
  EXPECT_EQ(prepare(good, {.description = std::string(5000, 'x'), .url = {}}).error().code(), Errc::too_large);
}

TEST(SignedData, KeepsUnsignedCatalogsReadable) {
  const cms::Content list{oids::kCertificateTrustList, der::sequence({der::integer(7)})};
  const auto data = SignedData::parse(*cms::without_signer(list));
  ASSERT_TRUE(data) << data.error().text();
  EXPECT_TRUE(data->signers().empty());
  EXPECT_TRUE(data->certificates().empty());
  EXPECT_EQ(base::to_bytes(data->content_der()), list.der);
  // The form of MakeCat: empty SETs, no certificates.
  EXPECT_EQ(base::hex(*cms::without_signer(list)),
            "302a"
            "06092a864886f70d010702"  // signedData
            "a01d"
            "301b"
            "020101"
            "3100"  // version 1, no digest algorithms
            "3012"
            "06092b0601040182370a01"
            "a005"
            "3003020107"  // the list
            "3100");      // no signers
}

TEST(SignedData, ReadsCmsFormAndSaysSo) {
  Parts parts;
  parts.version = der::integer(3);
  parts.content = der::sequence(
      {der::oid(oids::kSpcIndirectData), der::element(der::context(0), der::octet_string(pe_content().der))});
  const auto data = SignedData::parse(parts.der());
  ASSERT_TRUE(data) << data.error().text();
  EXPECT_EQ(data->deviations().size(), 2U);
  // RFC 5652: all of what is inside the OCTET STRING is digested.
  EXPECT_EQ(base::to_bytes(data->content_octets()), pe_content().der);
}

TEST(SignedData, NoticesUnsortedAndRepeatedCertificates) {
  const Bytes a = base::to_bytes(Vendor().leaf().der());
  const Bytes b = base::to_bytes(Vendor().root().der());
  const Bytes& first = der::set_of_less(a, b) ? a : b;
  const Bytes& second = der::set_of_less(a, b) ? b : a;
  Parts parts;
  parts.certificates = der::element(der::context(0), der::concat({first, second}));
  EXPECT_TRUE(SignedData::parse(parts.der())->certificates_are_sorted());
  parts.certificates = der::element(der::context(0), der::concat({second, first}));
  EXPECT_FALSE(SignedData::parse(parts.der())->certificates_are_sorted());
  parts.certificates = der::element(der::context(0), der::concat({first, first}));
  EXPECT_FALSE(SignedData::parse(parts.der())->certificates_are_sorted());
}

TEST(SignedData, RefusesCutAndExtendedBytes) {
  Vendor vendor;
  Bytes der = vendor.sign(pe_content());
  for (std::size_t size = 0; size < der.size(); ++size)
    ASSERT_FALSE(SignedData::parse(base::ByteView(der).first(size))) << size;
  der.push_back(0);
  EXPECT_FALSE(SignedData::parse(der));
}

TEST(SignedData, RefusesMoreThanItsLimits) {
  Parts parts;
  Bytes many;
  for (int i = 0; i < 33; ++i) base::append(many, der::sequence({der::integer(static_cast<std::uint64_t>(i))}));
  parts.certificates = der::element(der::context(0), many);
  EXPECT_EQ(SignedData::parse(parts.der()).error().code(), Errc::too_large);
  EXPECT_EQ(SignedData::parse(Bytes((64U << 20) + 1)).error().code(), Errc::too_large);
}

TEST(SignedData, NoChangedBitGoesUnnoticed) {
  Vendor vendor;
  const Bytes good = vendor.sign(pe_content());
  const auto whole = SignedData::parse(good);
  const base::ByteView certificate = whole->certificates().front();
  const auto found = std::search(good.begin(), good.end(), certificate.begin(), certificate.end());
  const auto certificate_at = static_cast<std::size_t>(found - good.begin());
  const auto key = *vendor.leaf().public_key();
  const auto accepted = [&](const Bytes& der) {
    const auto data = SignedData::parse(der);
    if (!data || data->signers().size() != 1 || !data->deviations().empty()) return false;
    const cms::SignerInfo& signer = data->signers().front();
    const bool listed = data->digest_algorithms() == std::vector{signer.digest_algorithm};
    return listed && data->signer_certificate(signer) && data->expect_content_type(signer) &&
           data->expect_message_digest(signer) && data->expect_signature(signer, key);
  };
  ASSERT_TRUE(accepted(good));
  for (std::size_t at = 0; at < good.size(); ++at) {
    if (at >= certificate_at && at < certificate_at + certificate.size()) continue;  // the chain check's business
    Bytes changed = good;
    changed[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
    ASSERT_FALSE(accepted(changed)) << at;
  }
}

}  // namespace
