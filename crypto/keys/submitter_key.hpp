// A submitter's key: ECDSA P-256 in a PKCS#8 file. It signs requests, never code.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/secret_bytes.hpp"
#include "crypto/signer.hpp"

namespace keys {

class SubmitterKey final : public crypto::Signer {
 public:
  static SubmitterKey generate();
  // Errors as keys::private_key_info_from_pem; Errc::unsupported for a key that is not P-256.
  static base::Result<SubmitterKey> from_pem(std::string_view pem, const base::SecretBytes* pass_phrase);
  // With a pass phrase the file is encrypted; without one it is plain.
  std::string pem(const base::SecretBytes* pass_phrase) const;
  std::string public_key_pem() const;

  crypto::KeyAlgorithm algorithm() const override { return crypto::KeyAlgorithm::ecdsa_p256; }
  base::ByteView public_key_der() const override { return public_key_; }
  base::Result<base::Bytes> sign(const crypto::Digest& digest) override;

 private:
  SubmitterKey(base::SecretBytes scalar, base::Bytes public_key)
      : scalar_(std::move(scalar)), public_key_(std::move(public_key)) {}
  base::SecretBytes scalar_;   // 32 bytes, big-endian
  base::Bytes public_key_;     // SubjectPublicKeyInfo
};

}  // namespace keys
