#include "crypto/cms/signed_data.hpp"

#include <fmt/format.h>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/der/writer.hpp"

namespace cms {
namespace {

using base::Errc;
using base::fail;
using crypto::DigestAlgorithm;
using crypto::KeyAlgorithm;
namespace oids = der::oids;

Bytes attribute(const der::Oid& type, ByteView value) {
  return der::sequence({der::oid(type), der::element(der::kSet, value)});
}

// SpcSpOpusInfo { programName [0] EXPLICIT SpcString OPTIONAL, moreInfo [1] EXPLICIT SpcLink OPTIONAL }. SignTool
// writes the attribute even when nothing was given. Genuine SHA-256 signatures then have an empty sequence (30 00); an
// older SHA-1 one has both fields, empty (30 08 a0 02 80 00 a1 02 80 00).
Result<Bytes> opus_info(const SignedAttributes& attributes) {
  constexpr std::size_t kLongest = base::limits::kAttributeTextBytes;
  if (attributes.description.size() > kLongest || attributes.url.size() > kLongest)
    return fail(Errc::too_large, fmt::format("description or URL is over {} bytes", kLongest));
  for (const char c : attributes.url)
    if (c <= ' ' || c > '~') return fail(Errc::malformed, "URL has characters that are not printable ASCII");
  const Bytes description = TRY(base::within("description", base::utf16be_from_utf8(attributes.description)));
  Bytes fields;
  if (!description.empty())
    base::append(fields, der::element(der::context(0), der::element(der::context_primitive(0), description)));
  if (!attributes.url.empty())
    base::append(
        fields, der::element(der::context(1), der::element(der::context_primitive(0), base::as_bytes(attributes.url))));
  return der::element(der::kSequence, fields);
}

// SignTool names the bare key algorithm for RSA, and the combined one for ECDSA (which has no bare form).
Bytes signature_algorithm(KeyAlgorithm key, DigestAlgorithm digest) {
  if (key == KeyAlgorithm::rsa_pkcs1) return der::algorithm(oids::kRsaEncryption);
  return der::sequence({der::oid(digest == DigestAlgorithm::sha384 ? oids::kEcdsaWithSha384 : oids::kEcdsaWithSha256)});
}

Bytes content_info(const Content& content) {
  return der::sequence_around(der::oid(content.type), der::element(der::context(0), content.der));
}

Bytes signed_data(Bytes inner) {   // the whole SEQUENCE
  return der::sequence_around(der::oid(oids::kSignedData), der::element(der::context(0), std::move(inner)));
}

}  // namespace

Result<Bytes> without_signer(const Content& content) {
  TRY(base::within("content", der::expect_single(content.der, der::kSequence)));
  const Bytes empty_set = der::element(der::kSet, base::ByteView());
  return signed_data(der::sequence({der::integer(1), empty_set, content_info(content), empty_set}));
}

Result<UnsignedData> UnsignedData::prepare(Content content, const SignedAttributes& attributes,
                                           const crypto::SigningIdentity& identity, DigestAlgorithm algorithm,
                                           Sha1 sha1) {
  if (algorithm == DigestAlgorithm::sha1 && sha1 == Sha1::refused)
    return fail(Errc::refused, "signing with SHA-1 is not done");
  if (algorithm == DigestAlgorithm::sha1 && identity.key().algorithm() != KeyAlgorithm::rsa_pkcs1)
    return fail(Errc::unsupported, "ECDSA with SHA-1; systems that need SHA-1 know RSA only");
  if (algorithm == DigestAlgorithm::sha512 && identity.key().algorithm() != KeyAlgorithm::rsa_pkcs1)
    return fail(Errc::unsupported, "ECDSA with SHA-512; SHA-256 or SHA-384 wanted");
  if (content.der.size() > base::limits::kCatalogBytes)
    return fail(Errc::too_large, fmt::format("content of {} bytes", content.der.size()));
  const der::Element element = TRY(base::within("content", der::expect_single(content.der, der::kSequence)));
  const Bytes opus = TRY(opus_info(attributes));
  // PKCS #7 section 9.3: only the contents octets of the content are digested, not its tag and length.
  const crypto::Digest message_digest = crypto::digest_of(algorithm, element.value);
  Bytes signed_attributes = der::set_of({
      attribute(oids::kContentType, der::oid(content.type)),
      attribute(oids::kSpcStatementType, der::sequence({der::oid(oids::kSpcIndividualPurpose)})),
      attribute(oids::kMessageDigest, der::octet_string(message_digest.bytes())),
      attribute(oids::kSpcOpusInfo, opus),
  });
  const crypto::Digest to_be_signed = crypto::digest_of(algorithm, signed_attributes);
  return UnsignedData(std::move(content), std::move(signed_attributes), to_be_signed, identity);
}

Result<Bytes> UnsignedData::with_signature(ByteView signature) const {
  TRY(base::within(identity_.leaf().subject(), identity_.key().verify(to_be_signed_, signature)));
  const DigestAlgorithm digest = to_be_signed_.algorithm();
  const der::Element attributes = TRY(der::expect_single(signed_attributes_, der::kSet));
  const crypto::Certificate& leaf = identity_.leaf();
  // Issuer and serial number as they stand in the certificate: re-encoding a Name can change its bytes.
  const Bytes issuer_and_serial = der::sequence({leaf.issuer_der(), der::element(der::kInteger, leaf.serial())});
  const Bytes signer_info = der::sequence(
      {der::integer(1), issuer_and_serial, der::algorithm(digest), der::element(der::context(0), attributes.value),
       signature_algorithm(identity_.key().algorithm(), digest), der::octet_string(signature)});
  std::vector<Bytes> certificates;
  for (const crypto::Certificate& certificate : identity_.embedded())
    certificates.push_back(base::to_bytes(certificate.der()));
  // Certificates in DER order: Windows finds no signature at all in a catalog otherwise (KB4580358).
  const Bytes before = der::concat({der::integer(1), der::set_of({der::algorithm(digest)})});
  const Bytes after = der::concat({der::set_of(der::context(0), std::move(certificates)), der::set_of({signer_info})});
  return signed_data(der::sequence_around(before, content_info(content_), after));
}

}  // namespace cms
