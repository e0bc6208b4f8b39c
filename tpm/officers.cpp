#include "tpm/officers.hpp"

#include <fmt/format.h>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

using base::Errc;
using base::fail;

// Owner-defined indices (TCG Registry of Reserved TPM 2.0 Handles, section 2.2.4).
constexpr std::uint32_t kFirstIndex = 0x01800000;
constexpr std::uint32_t kLastIndex = 0x01BFFFFF;
constexpr std::uint32_t kMostTries = 16;

Result<void> expect_sensible(const Officer& officer, std::uint32_t tries) {
  if (officer.nv_index < kFirstIndex || officer.nv_index > kLastIndex)
    return fail(Errc::usage, fmt::format("officer's index 0x{:08x}; 0x{:08x} to 0x{:08x} wanted", officer.nv_index,
                                         kFirstIndex, kLastIndex));
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
  const attest::NvPublic wanted = attest::officer_index(officer.nv_index);
  TPM2B_NV_PUBLIC area{};
  area.nvPublic.nvIndex = wanted.index;
  area.nvPublic.nameAlg = TPM2_ALG_SHA256;
  area.nvPublic.attributes = wanted.attributes & ~attest::nv::kWritten;
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
  const NvIndex index = TRY(NvIndex::open(device.context(), attest::officer_index(officer.nv_index)));
  return arm(device.context(), index, tries);
}

Result<OfficerState> officer_state(Device& device, const Officer& officer) {
  Context& context = device.context();
  const NvIndex index = TRY(NvIndex::open(context, attest::officer_index(officer.nv_index)));
  const Loaded session = TRY(hmac_session(context));
  const auto data = TRY(answer<TPM2B_MAX_NV_BUFFER>(Step::nv, [&](TPM2B_MAX_NV_BUFFER** out) {
    return Esys_NV_Read(context.esys(), ESYS_TR_RH_OWNER, index.handle(), session.handle(), ESYS_TR_NONE, ESYS_TR_NONE,
                        attest::kOfficerBytes, 0, out);
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

}  // namespace tpm
