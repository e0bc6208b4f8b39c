#include "tpm/officers.hpp"

#include <fmt/format.h>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

using base::Errc;
using base::fail;

constexpr std::uint32_t kMostTries = 16;

Result<void> expect_sensible(const Officer& officer, std::uint32_t tries) {
  if (!attest::is_person(officer.nv_index))
    return fail(Errc::usage, fmt::format("officer's index 0x{:08x}; 0x{:08x} to 0x{:08x} wanted", officer.nv_index,
                                         attest::kFirstOfficer, attest::kLastOfficer));
  if (tries < 1 || tries > kMostTries)
    return fail(Errc::usage, fmt::format("limit of {} PIN tries; 1 to {} wanted", tries, kMostTries));
  return {};
}

// TPMS_NV_PIN_COUNTER_PARAMETERS (Part 2 section 13.3): wrong tries so far, and the limit. An index without one lets
// nobody in.
Result<void> arm(Context& context, const NvIndex& index, std::uint32_t tries) {
  const Loaded session = TRY(hmac_session(context));
  const TPM2B_MAX_NV_BUFFER state = to_nv_buffer(base::ByteWriter().u32be(0).u32be(tries).bytes());
  return check(Esys_NV_Write(context.esys(), ESYS_TR_RH_OWNER, index.handle(), session.handle(), ESYS_TR_NONE,
                             ESYS_TR_NONE, &state, 0),
               Step::nv);
}

Result<void> undefine(Context& context, const NvIndex& index) {
  const Loaded session = TRY(hmac_session(context));
  return check(Esys_NV_UndefineSpace(context.esys(), ESYS_TR_RH_OWNER, index.handle(), session.handle(), ESYS_TR_NONE,
                                     ESYS_TR_NONE),
               Step::nv);
}

}  // namespace

Result<void> define_officer(Device& device, const Officer& officer, const base::SecretBytes& pin, std::uint32_t tries) {
  TRY(expect_sensible(officer, tries));
  const base::SecretBytes auth = TRY(officer_auth(officer, pin));
  Context& context = device.context();
  const attest::NvPublic wanted = attest::person_index(officer.nv_index);
  TPM2B_NV_PUBLIC area{};
  area.nvPublic.nvIndex = wanted.index;
  area.nvPublic.nameAlg = TPM2_ALG_SHA256;
  area.nvPublic.attributes = wanted.attributes & ~attest::nv::kWritten;
  area.nvPublic.authPolicy = to_digest(wanted.policy);
  area.nvPublic.dataSize = wanted.size;
  {
    const Loaded session = TRY(hmac_session(context, Encrypt::first_parameter));
    const Auth value(auth);
    ESYS_TR handle = ESYS_TR_NONE;
    TRY(check(Esys_NV_DefineSpace(context.esys(), ESYS_TR_RH_OWNER, session.handle(), ESYS_TR_NONE, ESYS_TR_NONE,
                                  value.get(), &area, &handle),
              Step::nv));
    const NvIndex close_at_end(context, handle);   // ESYS's copy of the value goes with it
  }
  const NvIndex index = TRY(NvIndex::open(context, officer.nv_index));
  if (const Result<void> armed = arm(context, index, tries); !armed) {
    (void)undefine(context, index);   // best effort; an index without a limit lets nobody in
    return armed;
  }
  TRY(NvIndex::open(context, wanted));
  return {};
}

Result<void> remove_officer(Device& device, const Officer& officer) {
  const NvIndex index = TRY(NvIndex::open(device.context(), officer.nv_index));
  return undefine(device.context(), index);
}

Result<void> unlock_officer(Device& device, const Officer& officer, std::uint32_t tries) {
  TRY(expect_sensible(officer, tries));
  const NvIndex index = TRY(NvIndex::open(device.context(), attest::person_index(officer.nv_index)));
  return arm(device.context(), index, tries);
}

Result<OfficerState> officer_state(Device& device, const Officer& officer) {
  TRY(NvIndex::open(device.context(), attest::person_index(officer.nv_index)));
  const Loaded session = TRY(policy_session(device.context()));
  return officer_state_in(device.context(), officer, session);
}

Result<OfficerState> officer_state_in(Context& context, const Officer& officer, const Loaded& session) {
  const NvIndex index = TRY(NvIndex::open(context, attest::person_index(officer.nv_index)));
  const NvIndex self = TRY(base::within("SELF", NvIndex::open(context, attest::self_index())));
  TRY(policy_command(context, session, attest::CommandCode::nv_read));
  for (const auto& list : attest::self_tree().path(attest::self_reading_position())) TRY(policy_or(context, session, list));
  TRY(policy_roster(context, session, self));
  const auto data = TRY(answer<TPM2B_MAX_NV_BUFFER>(Step::nv, [&](TPM2B_MAX_NV_BUFFER** out) {
    return Esys_NV_Read(context.esys(), index.handle(), index.handle(), session.handle(), ESYS_TR_NONE, ESYS_TR_NONE,
                        attest::kPersonBytes, 0, out);
  }));
  base::ByteReader in(bytes_of(*data));
  OfficerState state;
  state.tries_used = TRY(in.u32be());
  state.tries = TRY(in.u32be());
  TRY(in.expect_end());
  return state;
}

Result<void> prove_officer(Device& device, const Officer& officer, const base::SecretBytes& pin) {
  const auto entry = TRY(PinEntry::open(device, officer, pin));
  return entry->prove();
}

namespace {

// SELF: PolicySecret with the old value, for this index only, for NV_ChangeAuth only.
Result<void> change_auth(Device& device, const Officer& officer, const base::SecretBytes& old_auth,
                         const base::SecretBytes& new_auth) {
  Context& context = device.context();
  const attest::NvPublic area = attest::person_index(officer.nv_index);
  const NvIndex index = TRY(NvIndex::open(context, area));
  const NvIndex self = TRY(base::within("SELF", NvIndex::open(context, attest::self_index())));
  const Loaded policy = TRY(policy_session(context));
  {
    const Loaded hmac = TRY(hmac_session(context));
    TSS2_RC code = TSS2_RC_SUCCESS;
    {
      const WithAuth with_auth(context, index, old_auth);
      const TPM2B_NONCE nothing{};
      TPM2B_TIMEOUT* timeout_raw = nullptr;
      TPMT_TK_AUTH* ticket_raw = nullptr;
      code = Esys_PolicySecret(context.esys(), index.handle(), policy.handle(), hmac.handle(), ESYS_TR_NONE, ESYS_TR_NONE,
                               &nothing, &nothing, &nothing, 0, &timeout_raw, &ticket_raw);
      const Owned<TPM2B_TIMEOUT> timeout(timeout_raw);
      const Owned<TPMT_TK_AUTH> ticket(ticket_raw);
    }
    {
      const Loaded scratch = TRY(policy_session(context));
      overwrite_auth_in(context, hmac, scratch);
    }
    if (code != TSS2_RC_SUCCESS) return tl::unexpected<base::Error>(officer_error(device, officer, code, policy));
  }
  const crypto::Digest own = crypto::sha256(attest::name_of(area));
  const TPM2B_DIGEST names = to_digest(own.bytes());
  TRY(check(Esys_PolicyNameHash(context.esys(), policy.handle(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &names), Step::other));
  TRY(policy_command(context, policy, attest::CommandCode::nv_change_auth));
  for (const auto& list : attest::self_tree().path(attest::self_position(officer.nv_index)))
    TRY(policy_or(context, policy, list));
  TRY(policy_roster(context, policy, self));
  const Loaded cover = TRY(hmac_session(context, Encrypt::first_parameter));
  const Auth value(new_auth);
  const TSS2_RC code = Esys_NV_ChangeAuth(context.esys(), index.handle(), policy.handle(), cover.handle(), ESYS_TR_NONE, value.get());
  const TPM2B_AUTH none{};   // ESYS remembers the new value with its handle, and with the session that its answer was checked with
  (void)Esys_TR_SetAuth(context.esys(), index.handle(), &none);
  if (const Result<Loaded> scratch = policy_session(context)) overwrite_auth_in(context, policy, *scratch);
  return check(code, Step::pin_change);
}

}  // namespace

Result<void> change_pin(Device& device, const Officer& officer, const base::SecretBytes& old_pin,
                        const base::SecretBytes& new_pin) {
  const base::SecretBytes old_auth = TRY(officer_auth(officer, old_pin));
  const base::SecretBytes new_auth = TRY(officer_auth(officer, new_pin));
  return change_auth(device, officer, old_auth, new_auth);
}

Result<void> set_first_pin(Device& device, const Officer& officer, const base::SecretBytes& pin) {
  const base::SecretBytes auth = TRY(officer_auth(officer, pin));
  const Result<void> set = change_auth(device, officer, base::SecretBytes(), auth);
  if (!set && set.error().code() == Errc::refused)
    return fail(Errc::refused, fmt::format("{}: the new index does not have the empty PIN it was made with; somebody else has "
                                           "set one: remove it again", officer.name));
  return set;
}

}  // namespace tpm
