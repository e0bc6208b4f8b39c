#include "tpm/attestation.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/attest/credential.hpp"
#include "crypto/attest/sign_command.hpp"
#include "crypto/base/secret_bytes.hpp"
#include "tpm/key_objects.hpp"

namespace tpm {
namespace {

using base::Errc;
using base::fail;

constexpr TPM2_HANDLE kEndorsementCertificate = 0x01C0000A;   // TCG EK Credential Profile, section 2.2.1.4

TPMT_SIG_SCHEME keys_own_scheme() {
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = TPM2_ALG_NULL;
  return scheme;
}

Result<Attestation> attestation_of(const TPM2B_ATTEST& statement, const TPMT_SIGNATURE& signature) {
  if (signature.sigAlg != TPM2_ALG_ECDSA) return fail(Errc::tpm, "identity key signed with another scheme than ECDSA");
  const TPMS_SIGNATURE_ECDSA& ecdsa = signature.signature.ecdsa;
  const ByteView bytes = ByteView(statement.attestationData).first(statement.size);
  return Attestation{base::to_bytes(bytes), attest::ecdsa_signature(bytes_of(ecdsa.signatureR), bytes_of(ecdsa.signatureS))};
}

// Esys_... with a statement and a signature as answers.
template <class Call>
Result<Attestation> attested(Call call) {
  TPM2B_ATTEST* statement_raw = nullptr;
  TPMT_SIGNATURE* signature_raw = nullptr;
  const TSS2_RC code = call(&statement_raw, &signature_raw);
  const Owned<TPM2B_ATTEST> statement(statement_raw);
  const Owned<TPMT_SIGNATURE> signature(signature_raw);
  TRY(check(code, Step::other));
  return attestation_of(*statement, *signature);
}

Result<Bytes> public_of(Device& device, TPM2_HANDLE handle) {
  const ESYS_TR key = TRY(persistent_key(device.context(), handle));
  const NvIndex close_at_end(device.context(), key);
  return public_area(device.context(), key);
}

}  // namespace

Result<Bytes> identity_public(Device& device) { return public_of(device, kIdentityKeyHandle); }
Result<Bytes> endorsement_public(Device& device) { return public_of(device, kEndorsementKeyHandle); }

Result<void> prove_identity(Device& device, const FillRandom& fill_random) {
  Context& context = device.context();
  const NvIndex identity(context, TRY(persistent_key(context, kIdentityKeyHandle)));
  const NvIndex endorsement(context, TRY(persistent_key(context, kEndorsementKeyHandle)));
  const attest::Name name = TRY(name_of(context, identity.handle()));
  const Bytes area = TRY(public_area(context, endorsement.handle()));
  base::SecretBytes secret(32);
  fill_random(secret.writable());
  const attest::Credential credential = TRY(attest::make_credential(area, name, secret));
  // The endorsement key's policy: PolicySecret of the endorsement hierarchy.
  const Loaded session = TRY(policy_session(context));
  const TPM2B_NONCE nothing{};
  TRY(check(Esys_PolicySecret(context.esys(), ESYS_TR_RH_ENDORSEMENT, session.handle(), ESYS_TR_PASSWORD, kNone, kNone, &nothing, &nothing,
                              &nothing, 0, nullptr, nullptr),
            Step::owner));
  const TPM2B_ID_OBJECT blob = sized_from(credential.blob, &TPM2B_ID_OBJECT::credential);
  const TPM2B_ENCRYPTED_SECRET seed = sized_from(credential.encrypted_seed, &TPM2B_ENCRYPTED_SECRET::secret);
  const auto opened = TRY(base::within("opening a credential for both keys", answer<TPM2B_DIGEST>(Step::other, [&](TPM2B_DIGEST** out) {
    return Esys_ActivateCredential(context.esys(), identity.handle(), endorsement.handle(), ESYS_TR_PASSWORD, session.handle(), kNone, &blob,
                                   &seed, out);
  })));
  if (!base::equal_secrets(bytes_of(*opened), secret.reveal()))
    return fail(Errc::refused, "the TPM opened a credential for both keys and found something else in it");
  return {};
}

Result<std::optional<Bytes>> endorsement_certificate(Device& device) {
  Context& context = device.context();
  const Result<NvIndex> index = NvIndex::open(context, kEndorsementCertificate);
  if (!index && index.error().code() == Errc::not_found) return std::optional<Bytes>();
  if (!index) return tl::unexpected<base::Error>(index.error());
  const auto area = TRY(answer<TPM2B_NV_PUBLIC>(Step::nv, [&](TPM2B_NV_PUBLIC** out) {
    return Esys_NV_ReadPublic(context.esys(), index->handle(), kNone, kNone, kNone, out, nullptr);
  }));
  Bytes certificate;
  while (certificate.size() < area->nvPublic.dataSize) {
    const auto offset = static_cast<UINT16>(certificate.size());
    const auto piece = static_cast<UINT16>(std::min<std::size_t>(512, area->nvPublic.dataSize - certificate.size()));
    const auto data = TRY(answer<TPM2B_MAX_NV_BUFFER>(Step::nv, [&](TPM2B_MAX_NV_BUFFER** out) {
      return Esys_NV_Read(context.esys(), index->handle(), index->handle(), ESYS_TR_PASSWORD, kNone, kNone, piece, offset, out);
    }));
    const ByteView bytes = bytes_of(*data);
    if (bytes.empty()) return fail(Errc::tpm, "endorsement certificate ends before its size");
    certificate.insert(certificate.end(), bytes.begin(), bytes.end());
  }
  return std::optional<Bytes>(std::move(certificate));
}

namespace {

// As the owner, or with the index's own empty authorisation.
enum class Reader : std::uint8_t { owner, anybody };

Result<Attestation> certify(Device& device, const attest::NvPublic& area, Reader reader, ByteView nonce) {
  Context& context = device.context();
  const NvIndex index = TRY(NvIndex::open(context, area));
  const ESYS_TR identity = TRY(persistent_key(context, kIdentityKeyHandle));
  const NvIndex close_identity(context, identity);
  const ESYS_TR authority = reader == Reader::owner ? ESYS_TR_RH_OWNER : index.handle();
  const TPM2B_DATA qualifying = sized_from(nonce, &TPM2B_DATA::buffer);
  const TPMT_SIG_SCHEME scheme = keys_own_scheme();
  return base::within(fmt::format("certifying index 0x{:08x}", area.index),
                      attested([&](TPM2B_ATTEST** statement, TPMT_SIGNATURE** signature) {
                        return Esys_NV_Certify(context.esys(), identity, authority, index.handle(), ESYS_TR_PASSWORD,
                                               ESYS_TR_PASSWORD, kNone, &qualifying, &scheme, area.size, 0, statement, signature);
                      }));
}

}  // namespace

Result<Attestation> certify_index(Device& device, const attest::NvPublic& area, ByteView nonce) {
  return certify(device, area, Reader::owner, nonce);
}

Result<Attestation> certify_readable_index(Device& device, const attest::NvPublic& area, ByteView nonce) {
  return certify(device, area, Reader::anybody, nonce);
}

Result<Attestation> quote(Device& device, ByteView nonce) {
  Context& context = device.context();
  const ESYS_TR identity = TRY(persistent_key(context, kIdentityKeyHandle));
  const NvIndex close_identity(context, identity);
  const TPM2B_DATA qualifying = sized_from(nonce, &TPM2B_DATA::buffer);
  const TPMT_SIG_SCHEME scheme = keys_own_scheme();
  TPML_PCR_SELECTION selection{};
  selection.count = 1;
  selection.pcrSelections[0].hash = TPM2_ALG_SHA256;
  selection.pcrSelections[0].sizeofSelect = 3;
  for (const unsigned pcr : attest::kFirmwarePcrs) {
    BYTE& octet = selection.pcrSelections[0].pcrSelect[pcr / 8];
    octet = static_cast<BYTE>(octet | (1U << (pcr % 8)));
  }
  return base::within("quote", attested([&](TPM2B_ATTEST** statement, TPMT_SIGNATURE** signature) {
                        return Esys_Quote(context.esys(), identity, ESYS_TR_PASSWORD, kNone, kNone, &qualifying, &scheme,
                                          &selection, statement, signature);
                      }));
}

Result<Attestation> certify_creation(Context& context, ESYS_TR key, const TPM2B_DIGEST& creation_hash,
                                     const TPMT_TK_CREATION& ticket) {
  const ESYS_TR identity = TRY(persistent_key(context, kIdentityKeyHandle));
  const NvIndex close_identity(context, identity);
  const TPM2B_DATA nothing{};
  const TPMT_SIG_SCHEME scheme = keys_own_scheme();
  return base::within("certifying the key's birth", attested([&](TPM2B_ATTEST** statement, TPMT_SIGNATURE** signature) {
                        return Esys_CertifyCreation(context.esys(), identity, key, ESYS_TR_PASSWORD, kNone, kNone, &nothing,
                                                    &creation_hash, &scheme, &ticket, statement, signature);
                      }));
}

}  // namespace tpm
