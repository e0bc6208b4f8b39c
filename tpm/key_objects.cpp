#include "tpm/key_objects.hpp"

#include <fmt/format.h>
#include <tss2/tss2_mu.h>

#include <algorithm>
#include <array>

#include "crypto/attest/policy.hpp"
#include "crypto/attest/sign_command.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "tpm/attestation.hpp"

namespace tpm {
namespace {

using base::Errc;
using base::fail;
namespace object = attest::object;

constexpr std::uint32_t kStorageRootAttributes = object::kFixedTpm | object::kFixedParent |
                                                 object::kSensitiveDataOrigin | object::kUserWithAuth |
                                                 object::kNoDictionaryAttack | object::kRestricted | object::kDecrypt;

TPMS_ECC_PARMS ecc_parameters(TPM2_ECC_CURVE curve) {
  TPMS_ECC_PARMS parameters{};
  parameters.symmetric.algorithm = TPM2_ALG_NULL;
  parameters.scheme.scheme = TPM2_ALG_NULL;
  parameters.curveID = curve;
  parameters.kdf.scheme = TPM2_ALG_NULL;
  return parameters;
}

TPM2B_PUBLIC signing_template(const KeyForm& form) {
  TPM2B_PUBLIC sized{};
  TPMT_PUBLIC& area = sized.publicArea;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = form.attributes;
  area.authPolicy = to_digest(form.policy);
  switch (form.algorithm) {
    case crypto::KeyAlgorithm::rsa_pkcs1:
      area.type = TPM2_ALG_RSA;
      area.parameters.rsaDetail = rsa3072_parameters().parameters.rsaDetail;
      break;
    case crypto::KeyAlgorithm::ecdsa_p256:
      area.type = TPM2_ALG_ECC;
      area.parameters.eccDetail = ecc_parameters(TPM2_ECC_NIST_P256);
      break;
    case crypto::KeyAlgorithm::ecdsa_p384:
      area.type = TPM2_ALG_ECC;
      area.parameters.eccDetail = ecc_parameters(TPM2_ECC_NIST_P384);
      break;
  }
  return sized;
}

// What the stack's marshalling functions have in common: they append to a buffer of known size.
template <class T, class Marshal>
Result<Bytes> marshalled(const T& value, Marshal marshal) {
  std::array<std::uint8_t, base::limits::kKeyBlobBytes> buffer{};
  std::size_t used = 0;
  TRY(check(marshal(&value, buffer.data(), buffer.size(), &used), Step::other));
  return Bytes(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(used));
}

template <class T, class Unmarshal>
Result<T> unmarshalled(ByteView bytes, const char* what, Unmarshal unmarshal) {
  if (bytes.size() > base::limits::kKeyBlobBytes)
    return fail(Errc::too_large, fmt::format("{} of {} bytes; at most {} wanted", what, bytes.size(),
                                             base::limits::kKeyBlobBytes));
  T value{};
  std::size_t used = 0;
  if (unmarshal(bytes.data(), bytes.size(), &used, &value) != TSS2_RC_SUCCESS || used != bytes.size())
    return fail(Errc::malformed, fmt::format("{} of {} bytes is not one TPM structure", what, bytes.size()));
  return value;
}

Result<attest::ObjectPublic> parsed(const TPM2B_PUBLIC& area) {
  const Bytes bytes = TRY(marshalled(area, Tss2_MU_TPM2B_PUBLIC_Marshal));
  return attest::ObjectPublic::parse_sized(bytes);
}

Result<void> expect_form(const attest::ObjectPublic& area, std::uint32_t attributes, ByteView policy) {
  if (area.attributes() != attributes)
    return fail(Errc::refused, fmt::format("key has attributes 0x{:08x}, 0x{:08x} wanted; it could leave the TPM, or be "
                                           "used in other ways than its policy says", area.attributes(), attributes));
  if (!std::equal(policy.begin(), policy.end(), area.policy().begin(), area.policy().end()))
    return fail(Errc::mismatch, "key has the policy of another quorum; the officers, their order or their number differ");
  return {};
}

}  // namespace

TPMT_PUBLIC_PARMS rsa3072_parameters() {
  TPMT_PUBLIC_PARMS parameters{};
  parameters.type = TPM2_ALG_RSA;
  TPMS_RSA_PARMS& rsa = parameters.parameters.rsaDetail;
  rsa.symmetric.algorithm = TPM2_ALG_NULL;
  rsa.scheme.scheme = TPM2_ALG_NULL;   // the scheme is in every TPM2_Sign, and so in every approval
  rsa.keyBits = 3072;
  return parameters;
}

namespace {

// Makes the primary key and keeps it at that handle.
Result<ESYS_TR> create_primary_at(Context& context, ESYS_TR hierarchy, const TPM2B_PUBLIC& area, TPM2_HANDLE persistent) {
  const TPM2B_SENSITIVE_CREATE no_auth{};
  const TPM2B_DATA no_data{};
  const TPML_PCR_SELECTION no_pcrs{};
  ESYS_TR transient = ESYS_TR_NONE;
  TRY(check(Esys_CreatePrimary(context.esys(), hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, &area, &no_data,
                               &no_pcrs, &transient, nullptr, nullptr, nullptr, nullptr),
            Step::create_key));
  const Loaded primary(context, transient);
  ESYS_TR kept = ESYS_TR_NONE;
  TRY(check(Esys_EvictControl(context.esys(), ESYS_TR_RH_OWNER, transient, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                              persistent, &kept),
            Step::nv));
  return kept;
}

}  // namespace

Result<ESYS_TR> create_storage_root(Context& context, TPM2_HANDLE persistent) {
  TPM2B_PUBLIC sized{};
  TPMT_PUBLIC& area = sized.publicArea;
  area.type = TPM2_ALG_ECC;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = kStorageRootAttributes;
  TPMS_ECC_PARMS& ecc = area.parameters.eccDetail;
  ecc = ecc_parameters(TPM2_ECC_NIST_P256);
  ecc.symmetric.algorithm = TPM2_ALG_AES;
  ecc.symmetric.keyBits.aes = 128;
  ecc.symmetric.mode.aes = TPM2_ALG_CFB;
  // TCG EK Credential Profile, template L-2: the unique field is zeros of the curve's size.
  area.unique.ecc.x.size = 32;
  area.unique.ecc.y.size = 32;
  return create_primary_at(context, ESYS_TR_RH_OWNER, sized, persistent);
}

Result<void> expect_storage_root(Context& context, ESYS_TR key) {
  const auto area = TRY(answer<TPM2B_PUBLIC>(Step::open, [&](TPM2B_PUBLIC** out) {
    return Esys_ReadPublic(context.esys(), key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, out, nullptr, nullptr);
  }));
  const attest::ObjectPublic root = TRY(parsed(*area));
  if (root.attributes() != kStorageRootAttributes || root.algorithm() != crypto::KeyAlgorithm::ecdsa_p256 ||
      !root.policy().empty())
    return fail(Errc::tpm, "not a P-256 storage root key; clear the TPM, or remove that key");
  return {};
}

Result<NewKey> create_key(Context& context, const KeyForm& form) {
  const TPM2B_PUBLIC wanted = signing_template(form);
  const TPM2B_SENSITIVE_CREATE no_auth{};
  const TPM2B_DATA no_data{};
  const TPML_PCR_SELECTION no_pcrs{};
  Owned<TPM2B_PRIVATE> private_part;
  Owned<TPM2B_PUBLIC> public_part;
  Owned<TPM2B_DIGEST> creation_hash;
  Owned<TPMT_TK_CREATION> creation_ticket;
  {
    const Loaded session = TRY(hmac_session(context));
    TPM2B_PRIVATE* private_raw = nullptr;
    TPM2B_PUBLIC* public_raw = nullptr;
    TPM2B_DIGEST* hash_raw = nullptr;
    TPMT_TK_CREATION* ticket_raw = nullptr;
    const TSS2_RC code = Esys_Create(context.esys(), context.storage_root(), session.handle(), ESYS_TR_NONE, ESYS_TR_NONE,
                                     &no_auth, &wanted, &no_data, &no_pcrs, &private_raw, &public_raw, nullptr, &hash_raw,
                                     &ticket_raw);
    private_part.reset(private_raw);
    public_part.reset(public_raw);
    creation_hash.reset(hash_raw);
    creation_ticket.reset(ticket_raw);
    TRY(check(code, Step::create_key));
  }
  const attest::ObjectPublic made = TRY(parsed(*public_part));
  TRY(expect_form(made, form.attributes, form.policy));
  NewKey key;
  key.blob.public_part = TRY(marshalled(*public_part, Tss2_MU_TPM2B_PUBLIC_Marshal));
  key.blob.private_part = TRY(marshalled(*private_part, Tss2_MU_TPM2B_PRIVATE_Marshal));
  const bool certifiable = TRY(is_persistent(context, kIdentityKeyHandle));
  if (!certifiable) return key;
  const LoadedKey loaded = TRY(load_key(context, key.blob, form.attributes, form.policy));
  key.birth = TRY(certify_creation(context, loaded.object.handle(), *creation_hash, *creation_ticket));
  return key;
}

Result<LoadedKey> load_key(Context& context, const KeyBlob& blob, std::uint32_t attributes, ByteView policy) {
  const attest::ObjectPublic area =
      TRY(base::within("key's public part", attest::ObjectPublic::parse_sized(blob.public_part)));
  TRY(expect_form(area, attributes, policy));
  const auto public_part = TRY(unmarshalled<TPM2B_PUBLIC>(blob.public_part, "key's public part",
                                                          Tss2_MU_TPM2B_PUBLIC_Unmarshal));
  const auto private_part = TRY(unmarshalled<TPM2B_PRIVATE>(blob.private_part, "key's private part",
                                                            Tss2_MU_TPM2B_PRIVATE_Unmarshal));
  const Loaded session = TRY(hmac_session(context));
  ESYS_TR handle = ESYS_TR_NONE;
  TRY(check(Esys_Load(context.esys(), context.storage_root(), session.handle(), ESYS_TR_NONE, ESYS_TR_NONE, &private_part,
                      &public_part, &handle),
            Step::load_key));
  Loaded loaded(context, handle);
  const Bytes name = TRY(name_of(context, handle));
  if (name != area.name()) return fail(Errc::mismatch, "the TPM loaded another key than the one it was given");
  return LoadedKey{std::move(loaded), area};
}

Result<Bytes> sign_digest(Context& context, const LoadedKey& key, const Loaded& session, const crypto::Digest& digest) {
  const bool rsa = key.area.algorithm() == crypto::KeyAlgorithm::rsa_pkcs1;
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = rsa ? TPM2_ALG_RSASSA : TPM2_ALG_ECDSA;
  scheme.details.any.hashAlg = attest::algorithm_id(digest.algorithm());
  TPMT_TK_HASHCHECK no_ticket{};   // the key is not restricted, so it signs digests of others' making
  no_ticket.tag = TPM2_ST_HASHCHECK;
  no_ticket.hierarchy = TPM2_RH_NULL;
  const TPM2B_DIGEST input = to_digest(digest.bytes());
  const auto signature = TRY(answer<TPMT_SIGNATURE>(Step::sign, [&](TPMT_SIGNATURE** out) {
    return Esys_Sign(context.esys(), key.object.handle(), session.handle(), ESYS_TR_NONE, ESYS_TR_NONE, &input, &scheme,
                     &no_ticket, out);
  }));
  if (signature->sigAlg != scheme.scheme) return fail(Errc::tpm, "the TPM signed with another scheme than it was told");
  if (rsa) return base::to_bytes(bytes_of(signature->signature.rsassa.sig));
  const TPMS_SIGNATURE_ECDSA& ecdsa = signature->signature.ecdsa;
  return attest::ecdsa_signature(bytes_of(ecdsa.signatureR), bytes_of(ecdsa.signatureS));
}

Result<bool> is_persistent(Context& context, TPM2_HANDLE handle) {
  const auto data = TRY(answer<TPMS_CAPABILITY_DATA>(Step::open, [&](TPMS_CAPABILITY_DATA** out) {
    TPMI_YES_NO more = TPM2_NO;
    return Esys_GetCapability(context.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES, handle, 1, &more, out);
  }));
  return data->data.handles.count == 1 && data->data.handles.handle[0] == handle;
}

Result<ESYS_TR> persistent_key(Context& context, TPM2_HANDLE handle) {
  ESYS_TR key = ESYS_TR_NONE;
  TRY(base::within(fmt::format("persistent key 0x{:08x}", handle),
                   check(Esys_TR_FromTPMPublic(context.esys(), handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &key),
                         Step::open)));
  return key;
}

Result<Bytes> public_area(Context& context, ESYS_TR key) {
  const auto area = TRY(answer<TPM2B_PUBLIC>(Step::open, [&](TPM2B_PUBLIC** out) {
    return Esys_ReadPublic(context.esys(), key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, out, nullptr, nullptr);
  }));
  return marshalled(area->publicArea, Tss2_MU_TPMT_PUBLIC_Marshal);
}

namespace {

Result<void> create_persistent(Context& context, const TPM2B_PUBLIC& area, TPM2_HANDLE at) {
  const bool there = TRY(is_persistent(context, at));
  if (there) return {};
  ESYS_TR kept = TRY(create_primary_at(context, ESYS_TR_RH_ENDORSEMENT, area, at));
  (void)Esys_TR_Close(context.esys(), &kept);
  return {};
}

}  // namespace

Result<void> create_identity_keys(Context& context) {
  TPM2B_PUBLIC identity{};
  identity.publicArea.type = TPM2_ALG_ECC;
  identity.publicArea.nameAlg = TPM2_ALG_SHA256;
  identity.publicArea.objectAttributes = object::kFixedTpm | object::kFixedParent | object::kSensitiveDataOrigin |
                                         object::kUserWithAuth | object::kNoDictionaryAttack | object::kRestricted | object::kSign;
  identity.publicArea.parameters.eccDetail = ecc_parameters(TPM2_ECC_NIST_P256);
  identity.publicArea.parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
  identity.publicArea.parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
  TRY(base::within("identity key", create_persistent(context, identity, kIdentityKeyHandle)));

  // TCG EK Credential Profile, template L-2: its policy is PolicySecret of the endorsement hierarchy.
  TPM2B_PUBLIC endorsement{};
  const Bytes hierarchy = base::ByteWriter().u32be(TPM2_RH_ENDORSEMENT).bytes();
  const crypto::Digest policy = attest::Policy().secret(hierarchy).digest();
  endorsement.publicArea.type = TPM2_ALG_ECC;
  endorsement.publicArea.nameAlg = TPM2_ALG_SHA256;
  endorsement.publicArea.objectAttributes = object::kFixedTpm | object::kFixedParent | object::kSensitiveDataOrigin |
                                            object::kAdminWithPolicy | object::kRestricted | object::kDecrypt;
  endorsement.publicArea.authPolicy = to_digest(policy.bytes());
  TPMS_ECC_PARMS& ecc = endorsement.publicArea.parameters.eccDetail;
  ecc = ecc_parameters(TPM2_ECC_NIST_P256);
  ecc.symmetric.algorithm = TPM2_ALG_AES;
  ecc.symmetric.keyBits.aes = 128;
  ecc.symmetric.mode.aes = TPM2_ALG_CFB;
  endorsement.publicArea.unique.ecc.x.size = 32;
  endorsement.publicArea.unique.ecc.y.size = 32;
  return base::within("endorsement key", create_persistent(context, endorsement, kEndorsementKeyHandle));
}

}  // namespace tpm
