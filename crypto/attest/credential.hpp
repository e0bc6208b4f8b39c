// TPM2_MakeCredential without a TPM: a secret that only the TPM with that endorsement key can open, and only for an object
// with that Name that it holds. Whoever opens it has both keys in one TPM: so the identity key is tied to the manufacturer's
// certificate of the endorsement key. Source: TPM 2.0 Library Part 1, section 24 (credential protection) and C.6.1 (ECDH).
#pragma once

#include "crypto/attest/names.hpp"
#include "crypto/base/secret_bytes.hpp"

namespace attest {

struct Credential {
  Bytes blob;            // TPMS_ID_OBJECT, marshalled: what TPM2B_ID_OBJECT holds
  Bytes encrypted_seed;  // TPMS_ECC_POINT, marshalled: what TPM2B_ENCRYPTED_SECRET holds
};

// endorsement: TPMT_PUBLIC of a P-256 storage key with AES-128, as the TCG's template makes it; Errc::unsupported otherwise.
// secret: at most 32 bytes.
Result<Credential> make_credential(ByteView endorsement, const Name& object, const base::SecretBytes& secret);

}  // namespace attest
