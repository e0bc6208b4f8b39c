// PKCS#7 SignedData (PKCS #7 v1.5) as Authenticode and catalogs use it: writing in two steps, because officers approve
// the digest before a key signs it, and reading. The form written is SignTool's: version 1, the content directly in
// [0], attributes contentType, SpcStatementType, messageDigest and SpcSpOpusInfo, no signing time. Deterministic.
// Nothing here judges trust; the reader only takes apart, and checks signatures when asked.
//
//   const UnsignedData data = TRY(UnsignedData::prepare(content, {}, identity));
//   const Bytes signature = TRY(key.sign(data.to_be_signed()));
//   const Bytes signed_data_der = TRY(data.with_signature(signature));
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/der/oids.hpp"
#include "crypto/digest.hpp"

namespace cms {

using base::Bytes;
using base::ByteView;
using base::Result;
using crypto::Sha1;

struct Content {
  der::Oid type;  // oids::kSpcIndirectData, oids::kCertificateTrustList
  Bytes der;      // exactly one SEQUENCE; its bytes are kept as they are
};

// What a person may have written beside the signature (SpcSpOpusInfo); UTF-8, empty for none.
struct SignedAttributes {
  std::string description;
  std::string url;  // ASCII
};

// SignedData with that content and no signer: how an unsigned catalog is stored.
Result<Bytes> without_signer(const Content& content);

class UnsignedData {  // everything but the signature
 public:
  // SHA-1 is Errc::refused unless asked for. Errc::malformed for content that is not one SEQUENCE, and for text that is
  // not UTF-8 or over limits::kAttributeTextBytes.
  static Result<UnsignedData> prepare(Content content, const SignedAttributes& attributes,
                                      const crypto::SigningIdentity& identity,
                                      crypto::DigestAlgorithm algorithm = crypto::DigestAlgorithm::sha256,
                                      Sha1 sha1 = Sha1::refused);
  // The digest of the signed attributes: what the key signs.
  const crypto::Digest& to_be_signed() const { return to_be_signed_; }
  // The DER of the attributes, as hashed (tag SET).
  ByteView signed_attributes() const { return signed_attributes_; }
  // The complete ContentInfo. Errc::mismatch, and no bytes, when the signature is not the leaf key's over
  // to_be_signed().
  Result<Bytes> with_signature(ByteView signature) const;

 private:
  UnsignedData(Content content, Bytes signed_attributes, crypto::Digest to_be_signed, crypto::SigningIdentity identity)
      : content_(std::move(content)),
        signed_attributes_(std::move(signed_attributes)),
        to_be_signed_(to_be_signed),
        identity_(std::move(identity)) {}
  Content content_;
  Bytes signed_attributes_;
  crypto::Digest to_be_signed_;
  crypto::SigningIdentity identity_;
};

struct Attribute {
  Bytes type;                 // content octets of the OID; compare with == der::oids::k...
  std::vector<Bytes> values;  // whole elements
};

struct SignerInfo {
  std::uint64_t version = 0;
  Bytes issuer_der;
  Bytes serial;  // content octets of the INTEGER
  crypto::DigestAlgorithm digest_algorithm{};
  Bytes signed_attributes_der;  // re-tagged SET, as hashed; empty when there are none
  std::vector<Attribute> signed_attributes;
  Bytes signature_algorithm;  // content octets of the OID
  Bytes signature;
  std::vector<Attribute> unsigned_attributes;  // nested signatures and timestamps among them, not taken apart

  // One SignerInfo by itself, as a PKCS#9 countersignature is one. deviations: as in SignedData.
  static Result<SignerInfo> parse(ByteView der, std::vector<std::string>& deviations);
  const Attribute* signed_attribute(const der::Oid& type) const;  // null when there is none
  const Attribute* unsigned_attribute(const der::Oid& type) const;
  // Errc::mismatch unless the messageDigest attribute is the digest of those octets.
  Result<void> expect_message_digest(ByteView octets) const;
  // Errc::mismatch unless the signature is the key's over the signed attributes.
  Result<void> expect_signature(const crypto::PublicKey& key) const;
};

class SignedData {
 public:
  // A complete ContentInfo, nothing after it. Version 3 and content wrapped in an OCTET STRING (CMS form) are read, and
  // listed in deviations(). Limits: kCatalogBytes, kCertificates, kSigners, kAttributes.
  static Result<SignedData> parse(ByteView der);

  std::uint64_t version() const { return version_; }
  const std::vector<crypto::DigestAlgorithm>& digest_algorithms() const { return digest_algorithms_; }
  ByteView content_type() const { return content_type_; }  // content octets of the OID
  // The content element, and its octets without tag and length: what messageDigest is over.
  ByteView content_der() const { return content_der_; }
  ByteView content_octets() const;
  const std::vector<Bytes>& certificates() const { return certificates_; }   // DER, in the order of the file
  bool certificates_are_sorted() const { return certificates_are_sorted_; }  // X.690 section 11.6, no duplicates
  const std::vector<SignerInfo>& signers() const { return signers_; }
  // Where the form is not SignTool's but Windows takes it; sentences for people.
  const std::vector<std::string>& deviations() const { return deviations_; }

  // The certificate that a signer names by issuer and serial. Errc::not_found; Errc::malformed if it cannot be read.
  Result<crypto::Certificate> signer_certificate(const SignerInfo& signer) const;
  // Errc::mismatch unless the messageDigest attribute is the digest of content_octets(). A signature without signed
  // attributes, which PKCS#7 allows and Authenticode does not, is a mismatch too.
  Result<void> expect_message_digest(const SignerInfo& signer) const;
  // Errc::mismatch unless contentType attribute and content type agree.
  Result<void> expect_content_type(const SignerInfo& signer) const;
  // Errc::mismatch unless the signature is the key's over the signed attributes.
  Result<void> expect_signature(const SignerInfo& signer, const crypto::PublicKey& key) const;

 private:
  SignedData() = default;
  std::uint64_t version_ = 0;
  std::vector<crypto::DigestAlgorithm> digest_algorithms_;
  Bytes content_type_;
  Bytes content_der_;
  std::size_t content_header_size_ = 0;
  std::vector<Bytes> certificates_;
  bool certificates_are_sorted_ = true;
  std::vector<SignerInfo> signers_;
  std::vector<std::string> deviations_;
};

}  // namespace cms
