// What the TPM says about itself, signed by the identity key (AK): that a key was born in it, what an index holds, which
// firmware runs. crypto/attest/attestation.hpp reads and judges it without a TPM.
// Functions with Context are internal to tpm/.
#pragma once

#include <optional>

#include "crypto/attest/nv_map.hpp"
#include "tpm/device.hpp"
#include "tpm/esys.hpp"
#include "tpm/key_blob.hpp"
#include "tpm/provisioning.hpp"

namespace tpm {

// TPMT_PUBLIC of the identity key, and of the endorsement key. Errc::not_found before the ceremony.
Result<Bytes> identity_public(Device& device);
Result<Bytes> endorsement_public(Device& device);
// The manufacturer's certificate of the endorsement key (DER), when the TPM came with one.
Result<std::optional<Bytes>> endorsement_certificate(Device& device);

// That the identity key and the endorsement key are in one TPM: it opens a credential that was made for both outside of it
// (TPM2_ActivateCredential). The endorsement hierarchy must still be open. Errc::refused when the TPM cannot.
Result<void> prove_identity(Device& device, const FillRandom& fill_random);

// TPM2_NV_Certify of all of an index, read as the owner with an empty authorisation: at the ceremony only, because persons'
// indices are nobody else's to read.
Result<Attestation> certify_index(Device& device, const attest::NvPublic& area, ByteView nonce);
// The same of an index that everybody may read (AUTHREAD, empty authorisation), at any time.
Result<Attestation> certify_readable_index(Device& device, const attest::NvPublic& area, ByteView nonce);
// TPM2_Quote of the firmware's PCRs.
Result<Attestation> quote(Device& device, ByteView nonce);

Result<Attestation> certify_creation(Context& context, ESYS_TR key, const TPM2B_DIGEST& creation_hash,
                                     const TPMT_TK_CREATION& ticket);

}  // namespace tpm
