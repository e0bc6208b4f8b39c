// Key objects in the TPM: the templates they are born from, creating, loading, and one TPM2_Sign. Internal to tpm/.
#pragma once

#include "crypto/attest/names.hpp"
#include "crypto/signer.hpp"
#include "tpm/esys.hpp"
#include "tpm/key_blob.hpp"

namespace tpm {

// Attributes of keys that sign: all of them stay in the TPM that made them. Quorum keys can be used through their
// policy only, because userWithAuth is clear.
inline constexpr std::uint32_t kQuorumKeyAttributes =
    attest::object::kFixedTpm | attest::object::kFixedParent | attest::object::kSensitiveDataOrigin |
    attest::object::kAdminWithPolicy | attest::object::kSign;
// The receipt key likewise: its policy is the firmware's.
inline constexpr std::uint32_t kReceiptKeyAttributes = kQuorumKeyAttributes | attest::object::kNoDictionaryAttack;

TPMT_PUBLIC_PARMS rsa3072_parameters();

// The TCG ECC P-256 storage key, made persistent at that handle; and whether a key already there is one.
Result<ESYS_TR> create_storage_root(Context& context, TPM2_HANDLE persistent);
Result<void> expect_storage_root(Context& context, ESYS_TR key);

struct KeyForm {
  crypto::KeyAlgorithm algorithm{};   // rsa_pkcs1 is RSA-3072
  std::uint32_t attributes = 0;
  Bytes policy;   // empty for none
};

// A child of the storage root key. What the TPM made is held against form. Certified by the identity key, when there is
// one: that it was born in this TPM, with these attributes and this policy.
Result<NewKey> create_key(Context& context, const KeyForm& form);

struct LoadedKey {
  Loaded object;
  attest::ObjectPublic area;
};
// Errc::mismatch when the policy is another than wanted; Errc::refused when the attributes are, or the TPM says no.
Result<LoadedKey> load_key(Context& context, const KeyBlob& blob, std::uint32_t attributes, ByteView policy);

// The identity key (AK) at 0x81000010: P-256, restricted, signs what the TPM says about itself and nothing else. Made once,
// under the endorsement hierarchy, with the endorsement key kept beside it.
inline constexpr TPM2_HANDLE kStorageRootHandle = 0x81000001;   // TCG TPM v2.0 Provisioning Guidance, section 7.8
inline constexpr TPM2_HANDLE kIdentityKeyHandle = 0x81000010;
inline constexpr TPM2_HANDLE kEndorsementKeyHandle = 0x81010002;
Result<void> create_identity_keys(Context& context);
Result<bool> is_persistent(Context& context, TPM2_HANDLE handle);
Result<ESYS_TR> persistent_key(Context& context, TPM2_HANDLE handle);   // Errc::not_found
Result<Bytes> public_area(Context& context, ESYS_TR key);               // TPMT_PUBLIC

// TPM2_Sign in that session: PKCS#1 v1.5, or DER ECDSA-Sig-Value. Not verified here.
Result<Bytes> sign_digest(Context& context, const LoadedKey& key, const Loaded& session, const crypto::Digest& digest);

}  // namespace tpm
