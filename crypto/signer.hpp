// A private key that can sign and cannot be read. Two implementations: the TPM's keys on the appliance,
// and a key file of the host tool's submitter (requests only) or of the tests.
#pragma once

#include <cstdint>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"

namespace crypto {

// SHA-1 is for the first of two signatures on files for Windows before 8, with an RSA key, and for nothing else.
enum class Sha1 : std::uint8_t { refused, for_old_windows };

enum class KeyAlgorithm : std::uint8_t { rsa_pkcs1, ecdsa_p256, ecdsa_p384 };

class Signer {
 public:
  virtual ~Signer() = default;
  virtual KeyAlgorithm algorithm() const = 0;
  // SubjectPublicKeyInfo (RFC 5280 section 4.1), DER.
  virtual ByteView public_key_der() const = 0;
  // RSASSA-PKCS1-v1_5 over the digest, or DER ECDSA-Sig-Value (RFC 3279 section 2.2.3).
  virtual Result<Bytes> sign(const Digest& digest) = 0;
};

}  // namespace crypto
