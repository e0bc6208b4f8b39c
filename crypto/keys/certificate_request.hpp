// A certification request (PKCS#10, RFC 2986) for a key that lives elsewhere, in two steps: what is to be signed, then
// the whole with its signature.
//   auto request = TRY(CertificateRequest::prepare({{.common_name = "Example Drivers"}, spki));
//   const Bytes der = TRY(request.with_signature(TRY(tpm_sign(request.digest()))));
#pragma once

#include <string>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"
#include "crypto/verify_signature.hpp"

namespace keys {

// UTF-8, without control characters; empty parts are left out, except the common name, which must be there.
struct SubjectName {
  std::string common_name;
  std::string organization;
  std::string organizational_unit;
  std::string country;   // two upper-case letters (ISO 3166)
};

class CertificateRequest {
 public:
  // spki: SubjectPublicKeyInfo, DER. The request asks for the extended key usage code signing. Errc::usage for a subject
  // part that is not allowed; the public key's errors are crypto::PublicKey::parse's.
  static base::Result<CertificateRequest> prepare(const SubjectName& subject, base::ByteView spki);
  // SHA-256 of the CertificationRequestInfo: what the key signs.
  const crypto::Digest& digest() const { return digest_; }
  // The PKCS#10 DER. signature: as crypto::Signer::sign returns it. Errc::mismatch when it is not the key's.
  base::Result<base::Bytes> with_signature(base::ByteView signature) const;

 private:
  CertificateRequest(base::Bytes info, crypto::PublicKey key);
  base::Bytes info_;   // CertificationRequestInfo
  crypto::PublicKey key_;
  crypto::Digest digest_;
};

std::string certificate_request_pem(base::ByteView der);

}  // namespace keys
