#include "tests/support/osslsigncode_form.hpp"

#include "crypto/der/writer.hpp"

namespace tests {
namespace {

using base::Bytes;
using base::Result;
namespace oids = der::oids;

Bytes attribute(const der::Oid& type, base::ByteView value) {
  return der::sequence({der::oid(type), der::element(der::kSet, value)});
}

Bytes obsolete_link() {
  const Bytes name = *base::utf16be_from_utf8("<<<Obsolete>>>");
  return der::element(der::context(2), der::element(der::context_primitive(0), name));
}

}  // namespace

cms::Content pe_content_like_osslsigncode(const crypto::Digest& digest,
                                          const std::optional<formats::PageHashes>& pages) {
  const Bytes link = pages ? formats::page_hash_link(*pages) : obsolete_link();
  const std::uint8_t flags[] = {0x80};
  Bytes data = der::sequence({der::bit_string(flags, 7), der::element(der::context(0), link)});
  return {oids::kSpcIndirectData, formats::spc_indirect_data(oids::kSpcPeImageData, std::move(data), digest)};
}

cms::Content cab_content_like_osslsigncode(const crypto::Digest& digest) {
  return {oids::kSpcIndirectData, formats::spc_indirect_data(oids::kSpcLink, obsolete_link(), digest)};
}

Result<Bytes> sign_like_osslsigncode(const cms::Content& content, const crypto::SigningIdentity& identity,
                                     crypto::DigestAlgorithm algorithm, base::Time signing_time, crypto::Signer& key) {
  const bool is_ecdsa = key.algorithm() != crypto::KeyAlgorithm::rsa_pkcs1;
  if (is_ecdsa && algorithm != crypto::DigestAlgorithm::sha256 && algorithm != crypto::DigestAlgorithm::sha384)
    return base::fail(base::Errc::unsupported, "ECDSA with another digest than SHA-256 or SHA-384");
  const der::Element element = TRY(der::expect_single(content.der, der::kSequence));
  const crypto::Digest message_digest = crypto::digest_of(algorithm, element.value);
  const Bytes attributes = der::set_of({
      attribute(oids::kContentType, der::oid(content.type)),
      attribute(oids::kSigningTime, der::utc_time(signing_time)),
      attribute(oids::kSpcStatementType, der::sequence({der::oid(oids::kSpcIndividualPurpose)})),
      attribute(oids::kMessageDigest, der::octet_string(message_digest.bytes())),
  });
  const Bytes signature = TRY(key.sign(crypto::digest_of(algorithm, attributes)));
  const der::Element attribute_set = TRY(der::expect_single(attributes, der::kSet));
  const crypto::Certificate& leaf = identity.leaf();
  const der::Oid& ecdsa = algorithm == crypto::DigestAlgorithm::sha384 ? oids::kEcdsaWithSha384 : oids::kEcdsaWithSha256;
  const Bytes key_algorithm = is_ecdsa ? der::sequence({der::oid(ecdsa)}) : der::algorithm(oids::kRsaEncryption);
  const Bytes signer_info = der::sequence(
      {der::integer(1), der::sequence({leaf.issuer_der(), der::element(der::kInteger, leaf.serial())}),
       der::algorithm(algorithm), der::element(der::context(0), attribute_set.value), key_algorithm,
       der::octet_string(signature)});
  std::vector<Bytes> certificates;
  for (const crypto::Certificate& certificate : identity.chain())
    certificates.push_back(base::to_bytes(certificate.der()));
  const Bytes content_info = der::sequence({der::oid(content.type), der::element(der::context(0), content.der)});
  const Bytes inner =
      der::sequence({der::integer(1), der::set_of({der::algorithm(algorithm)}), content_info,
                     der::set_of(der::context(0), std::move(certificates)), der::set_of({signer_info})});
  return der::sequence({der::oid(oids::kSignedData), der::element(der::context(0), inner)});
}

}  // namespace tests
