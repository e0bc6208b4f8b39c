// The reading half of signed_data.hpp.
#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/cms/signed_data.hpp"
#include "crypto/der/writer.hpp"

namespace cms {
namespace {

using base::Errc;
using base::fail;
using crypto::DigestAlgorithm;
using crypto::KeyAlgorithm;
using der::Element;
using der::Reader;
namespace oids = der::oids;
namespace limits = base::limits;

const Attribute* find(const std::vector<Attribute>& attributes, const der::Oid& type) {
  const auto found =
      std::find_if(attributes.begin(), attributes.end(), [&](const Attribute& a) { return a.type == type; });
  return found == attributes.end() ? nullptr : &*found;
}

// Attributes ::= SET OF SEQUENCE { type OID, values SET OF ANY }.
Result<std::vector<Attribute>> read_attributes(ByteView content) {
  std::vector<Attribute> attributes;
  std::size_t values = 0;
  Reader in(content);
  while (!in.at_end()) {
    Reader pair = TRY(in.expect_inside(der::kSequence));
    const ByteView type = TRY(pair.expect_any_oid());
    Reader set = TRY(pair.expect_inside(der::kSet));
    TRY(pair.expect_end());
    Attribute attribute{base::to_bytes(type), {}};
    for (; !set.at_end(); ++values) {
      if (values == limits::kAttributes)
        return fail(Errc::too_large, fmt::format("more than {} attribute values", values));
      const Element value = TRY(set.expect_element());
      attribute.values.push_back(base::to_bytes(value.whole));
    }
    const bool repeated =
        std::any_of(attributes.begin(), attributes.end(), [&](const Attribute& a) { return a.type == attribute.type; });
    if (repeated) return fail(Errc::malformed, fmt::format("attribute {} is there twice", der::dotted(attribute.type)));
    if (attributes.size() == limits::kAttributes)
      return fail(Errc::too_large, fmt::format("more than {} attributes", limits::kAttributes));
    attributes.push_back(std::move(attribute));
  }
  return attributes;
}

// The one value of a signed attribute that may have only one.
Result<Element> single_value(const SignerInfo& signer, const der::Oid& type, std::string_view name, std::uint8_t tag) {
  const Attribute* const found = signer.signed_attribute(type);
  if (found == nullptr) return fail(Errc::mismatch, fmt::format("no {} among the signed attributes", name));
  if (found->values.size() != 1)
    return fail(Errc::malformed, fmt::format("{} attribute with {} values, one wanted", name, found->values.size()));
  return base::within(name, der::expect_single(found->values.front(), tag));
}

}  // namespace

Result<SignerInfo> SignerInfo::parse(ByteView der, std::vector<std::string>& deviations) {
  const Element whole = TRY(der::expect_single(der, der::kSequence));
  Reader in(whole.value);
  SignerInfo signer;
  signer.version = TRY(in.expect_unsigned());
  if (signer.version != 1)
    return fail(Errc::unsupported, fmt::format("signer info version {}, 1 wanted", signer.version));
  Reader name = TRY(in.expect_inside(der::kSequence));
  const Element issuer = TRY(name.expect_element(der::kSequence));
  const ByteView serial = TRY(name.expect(der::kInteger));
  TRY(name.expect_end());
  signer.issuer_der = base::to_bytes(issuer.whole);
  signer.serial = base::to_bytes(serial);
  signer.digest_algorithm = TRY(in.expect_digest_algorithm());
  if (const auto attributes = TRY(in.match(der::context(0)))) {
    signer.signed_attributes_der = der::element(der::kSet, attributes->value);
    signer.signed_attributes = TRY(base::within("signed attributes", read_attributes(attributes->value)));
    const bool sorted = TRY(der::is_der_sorted(attributes->value));
    if (!sorted) deviations.emplace_back("signed attributes are not in DER order");
  }
  Reader algorithm = TRY(in.expect_inside(der::kSequence));
  const ByteView algorithm_oid = TRY(algorithm.expect_any_oid());
  signer.signature_algorithm = base::to_bytes(algorithm_oid);
  const ByteView signature = TRY(in.expect(der::kOctetString));
  signer.signature = base::to_bytes(signature);
  if (const auto attributes = TRY(in.match(der::context(1))))
    signer.unsigned_attributes = TRY(base::within("unsigned attributes", read_attributes(attributes->value)));
  TRY(in.expect_end());
  return signer;
}

namespace {

// Whether the algorithm identifier in a SignerInfo is one for that kind of key and digest.
bool fits(ByteView oid, KeyAlgorithm key, DigestAlgorithm digest) {
  if (key == KeyAlgorithm::rsa_pkcs1) {
    switch (digest) {
      case DigestAlgorithm::sha1:
        return oid == oids::kRsaEncryption || oid == oids::kSha1WithRsa;
      case DigestAlgorithm::sha256:
        return oid == oids::kRsaEncryption || oid == oids::kSha256WithRsa;
      case DigestAlgorithm::sha384:
        return oid == oids::kRsaEncryption || oid == oids::kSha384WithRsa;
      case DigestAlgorithm::sha512:
        return oid == oids::kRsaEncryption || oid == oids::kSha512WithRsa;
    }
    return false;
  }
  if (oid == oids::kEcdsaWithSha256) return digest == DigestAlgorithm::sha256;
  if (oid == oids::kEcdsaWithSha384) return digest == DigestAlgorithm::sha384;
  return oid == oids::kEcPublicKey;  // some signers name only the key
}

}  // namespace

const Attribute* SignerInfo::signed_attribute(const der::Oid& type) const {
  return find(signed_attributes, type);
}
const Attribute* SignerInfo::unsigned_attribute(const der::Oid& type) const {
  return find(unsigned_attributes, type);
}

Result<SignedData> SignedData::parse(ByteView der) {
  if (der.size() > limits::kCatalogBytes)
    return fail(Errc::too_large, fmt::format("SignedData of {} bytes", der.size()));
  Reader outer(der);
  Reader content_info = TRY(outer.expect_inside(der::kSequence));
  TRY(outer.expect_end());
  TRY(content_info.expect_oid(oids::kSignedData));
  Reader wrapper = TRY(content_info.expect_inside(der::context(0)));
  TRY(content_info.expect_end());
  Reader in = TRY(wrapper.expect_inside(der::kSequence));
  TRY(wrapper.expect_end());

  SignedData data;
  data.version_ = TRY(in.expect_unsigned());
  if (data.version_ != 1 && data.version_ != 3)
    return fail(Errc::unsupported, fmt::format("SignedData version {}, 1 wanted", data.version_));
  if (data.version_ == 3) data.deviations_.emplace_back("SignedData has version 3 (CMS), Authenticode writes 1");
  Reader algorithms = TRY(in.expect_inside(der::kSet));
  while (!algorithms.at_end()) {
    if (data.digest_algorithms_.size() == limits::kSigners)
      return fail(Errc::too_large, fmt::format("more than {} digest algorithms", limits::kSigners));
    const DigestAlgorithm algorithm = TRY(algorithms.expect_digest_algorithm());
    data.digest_algorithms_.push_back(algorithm);
  }

  Reader inner = TRY(in.expect_inside(der::kSequence));
  const ByteView type = TRY(inner.expect_any_oid());
  data.content_type_ = base::to_bytes(type);
  Reader explicit_content = TRY(base::within("content", inner.expect_inside(der::context(0))));
  TRY(inner.expect_end());
  Element content = TRY(base::within("content", explicit_content.expect_element()));
  TRY(explicit_content.expect_end());
  // RFC 5652 section 5.2.1: CMS wraps the content in an OCTET STRING and digests all of what is inside.
  const bool wrapped = content.tag == der::kOctetString;
  if (wrapped) {
    data.deviations_.emplace_back("content is wrapped in an OCTET STRING (CMS), Authenticode has it bare");
    content = TRY(base::within("content", der::expect_single(content.value, der::kSequence)));
  }
  if (content.tag != der::kSequence)
    return fail(Errc::malformed, fmt::format("content with tag {:#04x}, SEQUENCE wanted", content.tag));
  data.content_der_ = base::to_bytes(content.whole);
  data.content_header_size_ = wrapped ? 0 : content.whole.size() - content.value.size();

  if (const auto certificates = TRY(in.match(der::context(0)))) {
    data.certificates_are_sorted_ = TRY(base::within("certificates", der::is_der_sorted(certificates->value)));
    Reader list(certificates->value);
    while (!list.at_end()) {
      if (data.certificates_.size() == limits::kCertificates)
        return fail(Errc::too_large, fmt::format("more than {} certificates", limits::kCertificates));
      const Element certificate = TRY(base::within("certificates", list.expect_element(der::kSequence)));
      data.certificates_.push_back(base::to_bytes(certificate.whole));
    }
  }
  TRY(in.match(der::context(1)));  // revocation lists: nothing here uses them
  Reader signers = TRY(base::within("signers", in.expect_inside(der::kSet)));
  TRY(in.expect_end());
  while (!signers.at_end()) {
    if (data.signers_.size() == limits::kSigners)
      return fail(Errc::too_large, fmt::format("more than {} signers", limits::kSigners));
    const Element signer_der = TRY(signers.expect_element(der::kSequence));
    SignerInfo signer = TRY(base::within("signer", SignerInfo::parse(signer_der.whole, data.deviations_)));
    data.signers_.push_back(std::move(signer));
  }
  return data;
}

ByteView SignedData::content_octets() const {
  return ByteView(content_der_).subspan(content_header_size_);
}

Result<crypto::Certificate> SignedData::signer_certificate(const SignerInfo& signer) const {
  for (const Bytes& der : certificates_) {
    const auto certificate = crypto::Certificate::parse(der);
    if (certificate && std::ranges::equal(certificate->issuer_der(), signer.issuer_der) &&
        std::ranges::equal(certificate->serial(), signer.serial))
      return *certificate;
  }
  return fail(Errc::not_found, fmt::format("certificate with serial number {} is not among the {} in the signature",
                                           base::hex(signer.serial), certificates_.size()));
}

Result<void> SignerInfo::expect_message_digest(ByteView octets) const {
  const Element attribute = TRY(single_value(*this, oids::kMessageDigest, "messageDigest", der::kOctetString));
  const crypto::Digest stated =
      TRY(base::within("messageDigest", crypto::Digest::from_bytes(digest_algorithm, attribute.value)));
  const crypto::Digest actual = crypto::digest_of(digest_algorithm, octets);
  if (stated != actual)
    return fail(Errc::mismatch,
                fmt::format("messageDigest is {}, the content's digest is {}", stated.hex(), actual.hex()));
  return {};
}

Result<void> SignedData::expect_message_digest(const SignerInfo& signer) const {
  return signer.expect_message_digest(content_octets());
}

Result<void> SignedData::expect_content_type(const SignerInfo& signer) const {
  const Element type = TRY(single_value(signer, oids::kContentType, "contentType", der::kOid));
  if (!std::ranges::equal(type.value, content_type_))
    return fail(Errc::mismatch, fmt::format("contentType is {}, the content has {}", der::dotted(type.value),
                                            der::dotted(content_type_)));
  return {};
}

Result<void> SignerInfo::expect_signature(const crypto::PublicKey& key) const {
  if (signed_attributes_der.empty()) return fail(Errc::mismatch, "signature without signed attributes");
  if (!fits(signature_algorithm, key.algorithm(), digest_algorithm))
    return fail(Errc::unsupported, fmt::format("signature algorithm {} with that key and {}",
                                               der::dotted(signature_algorithm), crypto::digest_name(digest_algorithm)));
  return key.verify(crypto::digest_of(digest_algorithm, signed_attributes_der), signature);
}

Result<void> SignedData::expect_signature(const SignerInfo& signer, const crypto::PublicKey& key) const {
  return signer.expect_signature(key);
}

}  // namespace cms
