// A key of the TPM as it lies on disk between uses: TPM2B_PUBLIC and TPM2B_PRIVATE, the form tpm2-tools also reads. The
// private part is encrypted by the one TPM that made it, so the file is no secret, and useless elsewhere.
#pragma once

#include "crypto/base/bytes.hpp"

namespace tpm {

struct KeyBlob {
  base::Bytes public_part;
  base::Bytes private_part;
};

// A TPM's word about itself: TPMS_ATTEST and the AK's signature over it (DER ECDSA, SHA-256).
struct Attestation {
  base::Bytes statement;
  base::Bytes signature;
};

struct NewKey {
  KeyBlob blob;
  Attestation birth;   // TPM2_CertifyCreation, or empty without an AK
};

}  // namespace tpm
