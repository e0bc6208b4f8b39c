// Whether a signature over a digest was made by a public key. RSA PKCS#1 v1.5 of 2048 to 4096 bits, ECDSA
// P-256 and P-384; anything else is Errc::unsupported.
#pragma once

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"
#include "crypto/signer.hpp"

namespace crypto {

class PublicKey {
 public:
  // spki: SubjectPublicKeyInfo in DER, nothing after it.
  static Result<PublicKey> parse(ByteView spki);
  // A PEM file with one "PUBLIC KEY" block.
  static Result<PublicKey> parse_pem(std::string_view pem);
  KeyAlgorithm algorithm() const { return algorithm_; }
  unsigned bits() const { return bits_; }
  ByteView der() const { return der_; }
  std::string pem() const;
  // Lower-case hex SHA-256 of the SubjectPublicKeyInfo: how DSSE envelopes and people name this key.
  std::string keyid() const;
  // Errc::mismatch when the signature is not this key's over digest.
  Result<void> verify(const Digest& digest, ByteView signature) const;
  friend bool operator==(const PublicKey& a, const PublicKey& b) { return a.der_ == b.der_; }

 private:
  PublicKey() = default;
  Bytes der_;
  KeyAlgorithm algorithm_{};
  unsigned bits_ = 0;
};

}  // namespace crypto
