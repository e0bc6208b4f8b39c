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
inline constexpr std::uint32_t kReceiptKeyAttributes =
    attest::object::kFixedTpm | attest::object::kFixedParent | attest::object::kSensitiveDataOrigin |
    attest::object::kUserWithAuth | attest::object::kNoDictionaryAttack | attest::object::kSign;

TPMT_PUBLIC_PARMS rsa3072_parameters();

// The TCG ECC P-256 storage key, made persistent at that handle; and whether a key already there is one.
Result<ESYS_TR> create_storage_root(Context& context, TPM2_HANDLE persistent);
Result<void> expect_storage_root(Context& context, ESYS_TR key);

struct KeyForm {
  crypto::KeyAlgorithm algorithm{};   // rsa_pkcs1 is RSA-3072
  std::uint32_t attributes = 0;
  Bytes policy;   // empty for none
};

// A child of the storage root key. What the TPM made is held against form.
Result<KeyBlob> create_key(Context& context, const KeyForm& form);

struct LoadedKey {
  Loaded object;
  attest::ObjectPublic area;
};
// Errc::mismatch when the policy is another than wanted; Errc::refused when the attributes are, or the TPM says no.
Result<LoadedKey> load_key(Context& context, const KeyBlob& blob, std::uint32_t attributes, ByteView policy);

// TPM2_Sign in that session: PKCS#1 v1.5, or DER ECDSA-Sig-Value. Not verified here.
Result<Bytes> sign_digest(Context& context, const LoadedKey& key, const Loaded& session, const crypto::Digest& digest);

}  // namespace tpm
