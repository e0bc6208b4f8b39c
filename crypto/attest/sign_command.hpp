// The cpHash of one exact TPM2_Sign: this key, this digest, this scheme. An approval that carries it is good for that
// command and no other. Source: TPM 2.0 Library Part 1 section 16.7 (cpHash), Part 3 section 20.2 (TPM2_Sign).
#pragma once

#include "crypto/attest/names.hpp"
#include "crypto/digest.hpp"
#include "crypto/signer.hpp"

namespace attest {

// The scheme is RSASSA (PKCS#1 v1.5) or ECDSA, as the key's algorithm has it, with the digest's own hash.
// Errc::unsupported for digests other than SHA-256 and SHA-384, and for SHA-1 unless asked for.
Result<crypto::Digest> sign_cp_hash(const Name& key, crypto::KeyAlgorithm algorithm, const crypto::Digest& digest,
                                    crypto::Sha1 sha1 = crypto::Sha1::refused);

// TPM_ALG_ID of a digest (Part 2 section 6.3).
std::uint16_t algorithm_id(crypto::DigestAlgorithm algorithm);

// A TPM's pair of numbers as DER ECDSA-Sig-Value (RFC 3279 section 2.2.3).
Bytes ecdsa_signature(ByteView r, ByteView s);
// And back, 32 bytes each, for P-256. Errc::malformed.
struct EcdsaNumbers {
  Bytes r;
  Bytes s;
};
Result<EcdsaNumbers> ecdsa_numbers(ByteView der_signature);

}  // namespace attest
