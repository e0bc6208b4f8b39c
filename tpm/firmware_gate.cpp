#include "tpm/firmware_gate.hpp"

#include <fmt/format.h>
#include <tss2/tss2_mu.h>

#include "crypto/attest/sign_command.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/words.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

using base::Errc;
using base::fail;

TPML_PCR_SELECTION firmware_pcrs() {
  TPML_PCR_SELECTION selection{};
  selection.count = 1;
  selection.pcrSelections[0].hash = TPM2_ALG_SHA256;
  selection.pcrSelections[0].sizeofSelect = 3;
  for (const unsigned pcr : attest::kFirmwarePcrs) {
    BYTE& octet = selection.pcrSelections[0].pcrSelect[pcr / 8];
    octet = static_cast<BYTE>(octet | (1U << (pcr % 8)));
  }
  return selection;
}

struct Verified {
  attest::Name vendor;
  Owned<TPMT_TK_VERIFIED> ticket;
};

// The TPM's answer for one vendor key.
Result<Verified> verified_by(Context& context, const attest::ExternalKey& vendor, const crypto::Digest& message,
                             const attest::EcdsaNumbers& numbers) {
  TPM2B_PUBLIC area{};
  std::size_t used = 0;
  TRY(check(Tss2_MU_TPMT_PUBLIC_Unmarshal(vendor.area.data(), vendor.area.size(), &used, &area.publicArea), Step::vendor));
  ESYS_TR handle = kNone;
  TRY(check(Esys_LoadExternal(context.esys(), kNone, kNone, kNone, nullptr, &area, ESYS_TR_RH_OWNER, &handle), Step::vendor));
  const Loaded key(context, handle);
  const Bytes name = TRY(name_of(context, handle));
  if (name != vendor.name) return fail(Errc::mismatch, "the TPM gives the vendor's key another Name than the one computed");
  TPMT_SIGNATURE signature{};
  signature.sigAlg = TPM2_ALG_ECDSA;
  signature.signature.ecdsa.hash = TPM2_ALG_SHA256;
  signature.signature.ecdsa.signatureR = sized_from(numbers.r, &TPM2B_ECC_PARAMETER::buffer);
  signature.signature.ecdsa.signatureS = sized_from(numbers.s, &TPM2B_ECC_PARAMETER::buffer);
  const TPM2B_DIGEST digest = to_digest(message.bytes());
  Owned<TPMT_TK_VERIFIED> ticket = TRY(answer<TPMT_TK_VERIFIED>(Step::vendor, [&](TPMT_TK_VERIFIED** out) {
    return Esys_VerifySignature(context.esys(), handle, kNone, kNone, kNone, &digest, &signature, out);
  }));
  return Verified{vendor.name, std::move(ticket)};
}

}  // namespace

Result<crypto::Digest> firmware_measurements(Device& device) {
  const TPML_PCR_SELECTION selection = firmware_pcrs();
  Context& context = device.context();
  const Loaded session = TRY(hmac_session(context));
  (void)Esys_TRSess_SetAttributes(context.esys(), session.handle(), TPMA_SESSION_AUDIT, TPMA_SESSION_AUDIT);
  const auto values = TRY(answer<TPML_DIGEST>(Step::other, [&](TPML_DIGEST** out) {
    return Esys_PCR_Read(context.esys(), session.handle(), kNone, kNone, &selection, nullptr, nullptr, out);
  }));
  if (values->count != attest::kFirmwarePcrs.size())
    return fail(Errc::tpm, fmt::format("TPM tells {} of {} PCRs", UINT32{values->count}, attest::kFirmwarePcrs.size()));
  base::ByteWriter all;
  for (std::size_t i = 0; i < values->count; ++i) all.put(bytes_of(values->digests[i]));
  return crypto::sha256(all.bytes());
}

Result<FirmwareGate> FirmwareGate::load(Device& device, attest::FirmwareMap map, FirmwareApproval approval) {
  Context& context = device.context();
  NvIndex floor = TRY(base::within("FLOOR", NvIndex::open(context, attest::floor_index())));
  NvIndex gate = TRY(base::within("GATE_FW", NvIndex::open(context, map.gate())));
  FirmwareGate loaded(device, std::move(map), std::move(approval), std::move(floor), std::move(gate));
  const attest::FirmwareTrust& trust = loaded.map_.trust();
  const crypto::Digest message = crypto::sha256(attest::firmware_message(loaded.approval_.policy, trust.mode));
  const attest::EcdsaNumbers numbers =
      TRY(base::within("signature of the firmware approval", attest::ecdsa_numbers(loaded.approval_.signature)));
  for (const attest::ExternalKey& vendor : trust.vendors) {
    const Result<Verified> verified = verified_by(context, vendor, message, numbers);
    if (!verified && verified.error().code() != Errc::refused) return tl::unexpected<base::Error>(verified.error());
    if (!verified) continue;
    loaded.vendor_ = verified->vendor;
    loaded.ticket_tag_ = verified->ticket->tag;
    loaded.ticket_hierarchy_ = verified->ticket->hierarchy;
    loaded.ticket_digest_ = base::to_bytes(bytes_of(verified->ticket->digest));
    return loaded;
  }
  return fail(Errc::refused, fmt::format("firmware approval for version {} is signed by neither vendor key of this {} appliance; "
                                         "get one from the vendor, then coldseal-admin firmware approve",
                                         loaded.approval_.version, attest::mode_name(trust.mode)));
}

Result<void> FirmwareGate::satisfy(const Loaded& session) const {
  Context& context = device_->context();
  ESYS_CONTEXT* const esys = context.esys();
  const TPML_PCR_SELECTION pcrs = firmware_pcrs();
  const TPM2B_DIGEST as_they_are{};
  TRY(check(Esys_PolicyPCR(esys, session.handle(), kNone, kNone, kNone, &as_they_are, &pcrs), Step::other));
  const Bytes version = base::ByteWriter().u64be(approval_.version).bytes();
  const TPM2B_OPERAND operand = sized_from(version, &TPM2B_OPERAND::buffer);
  TRY(check(Esys_PolicyNV(esys, floor_.handle(), floor_.handle(), session.handle(), ESYS_TR_PASSWORD, kNone, kNone, &operand, 0,
                          TPM2_EO_UNSIGNED_LE),
            Step::floor));
  const TPM2B_DIGEST approved = to_digest(approval_.policy.bytes());
  const ByteView label_bytes = attest::firmware_label(map_.trust().mode);
  const TPM2B_NONCE label = to_digest(label_bytes);
  const TPM2B_NAME vendor = to_name(vendor_);
  TPMT_TK_VERIFIED ticket{};
  ticket.tag = ticket_tag_;
  ticket.hierarchy = ticket_hierarchy_;
  ticket.digest = to_digest(ticket_digest_);
  TRY(check(Esys_PolicyAuthorize(esys, session.handle(), kNone, kNone, kNone, &approved, &label, &vendor, &ticket),
            Step::firmware));
  return policy_or(context, session, branches_);
}

Result<void> policy_auth_value(Context& context, const Loaded& session) {
  return check(Esys_PolicyAuthValue(context.esys(), session.handle(), kNone, kNone, kNone), Step::other);
}

Result<void> open_gate(Context& context, const NvIndex& gate, const Loaded& main, const Loaded& gate_session,
                       const crypto::Digest& cp_hash, ByteView nonce_bytes) {
  TRY(policy_auth_value(context, gate_session));
  TRY(policy_command(context, gate_session, attest::CommandCode::policy_secret));
  const TPM2B_NONCE nonce = to_digest(nonce_bytes);
  const TPM2B_DIGEST bound = to_digest(cp_hash.bytes());
  const TPM2B_NONCE no_label{};
  TPM2B_TIMEOUT* timeout_raw = nullptr;
  TPMT_TK_AUTH* ticket_raw = nullptr;
  const TSS2_RC code = Esys_PolicySecret(context.esys(), gate.handle(), main.handle(), gate_session.handle(), kNone, kNone,
                                         &nonce, &bound, &no_label, 0, &timeout_raw, &ticket_raw);
  const Owned<TPM2B_TIMEOUT> timeout(timeout_raw);
  const Owned<TPMT_TK_AUTH> ticket(ticket_raw);
  return check(code, Step::gate);
}

Result<void> FirmwareGate::open_for(const Loaded& main, const Loaded& session, const crypto::Digest& cp_hash) const {
  return pass(session, [&] { return base::within("firmware gate", open_gate(device_->context(), gate_, main, session, cp_hash, {})); });
}

Result<void> FirmwareGate::pass(const Loaded& session, const std::function<Result<void>()>& use) const {
  const auto once = [&]() -> Result<void> {
    TRY(satisfy(session));
    return use();
  };
  const Result<void> first = once();
  // Every code that means unavailable says that the command was not carried out, so that a second try is the first one.
  if (first || first.error().code() != base::Errc::unavailable) return first;
  TRY(restart(device_->context(), session));
  return once();
}

Result<void> FirmwareGate::test() const {
  const Loaded session = TRY(policy_session(device_->context()));
  return satisfy(session);
}

Result<std::string> FirmwareGate::words() const {
  Context& context = device_->context();
  const NvIndex index = TRY(base::within("WORDS", NvIndex::open(context, map_.words())));
  const Loaded session = TRY(policy_session(context));
  // They come back encrypted: whoever listens on the bus must not learn them and show them on a box of their own.
  TRY(check(Esys_TRSess_SetAttributes(context.esys(), session.handle(), TPMA_SESSION_ENCRYPT, TPMA_SESSION_ENCRYPT), Step::other));
  Owned<TPM2B_MAX_NV_BUFFER> data;
  TRY(pass(session, [&]() -> Result<void> {
    TRY(policy_command(context, session, attest::CommandCode::nv_read));
    data = TRY(answer<TPM2B_MAX_NV_BUFFER>(Step::gate, [&](TPM2B_MAX_NV_BUFFER** out) {
      return Esys_NV_Read(context.esys(), index.handle(), index.handle(), session.handle(), kNone, kNone, attest::kWordsBytes, 0, out);
    }));
    return {};
  }));
  if (data->size != attest::kWordsBytes) return fail(Errc::tpm, "WORDS has another size than it was made with");
  const std::string eight = base::fingerprint_words(bytes_of(*data));
  std::size_t end = eight.find(' ');
  end = eight.find(' ', end + 1);
  return eight.substr(0, end);
}

}  // namespace tpm
