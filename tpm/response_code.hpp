// What a response code of the TPM software stack means, in words with a cause and what to do next. The same code means
// different things at different commands, so the caller says which step it was at. No tss2 types.
// Source: TPM 2.0 Library Part 2 section 6.6; TCG TSS 2.0 Overview, section "Response codes" (layers).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crypto/base/result.hpp"

namespace tpm {

enum class Step : std::uint8_t {
  other,
  open,         // start-up, capabilities, storage root key
  create_key,
  load_key,
  nv,           // defining, writing, reading an index as the owner
  officer,      // anything authorised by an officer's PIN
  ticket,       // TPM2_PolicyTicket
  policy_or,
  sign,
  roster,       // TPM2_PolicyAuthorizeNV on a roster
  gate,         // TPM2_PolicySecret on a gate
  floor,        // TPM2_PolicyNV on FLOOR
  firmware,     // TPM2_PolicyAuthorize with a vendor's approval
  vendor,       // TPM2_VerifySignature of a vendor's approval
  owner,        // a command of the administrators
  pin_change,   // TPM2_NV_ChangeAuth
};

// One code at one step, for people: what it means, what follows from it, and what to do next.
struct Advice {
  base::Errc errc{};
  std::string cause;
  std::string consequence;
  std::string next_step;
  std::string recovery;   // how the same screen begins it: at the prompt, in the console's list, or "coldseal-admin unlock"
};
Advice advice(std::uint32_t code, Step step);

struct KnownCode {   // without parameter, handle or session number; Step::other for any step
  std::uint32_t code = 0;
  Step step = Step::other;
};
std::vector<KnownCode> known_codes();   // the table, for its tests

// The advice as an error: "cause; consequence; next step: recovery". Errc::refused where people's credentials or approvals are not accepted, Errc::unavailable where trying again helps,
// Errc::tpm otherwise.
base::Error explain(std::uint32_t code, Step step);

// The TPM's own error number, without parameter, handle or session number, and without the layer of a resource
// manager: TPM_RC as in Part 2. Zero for success and for errors of other layers (TSS, transport).
std::uint32_t tpm_error(std::uint32_t code);

}  // namespace tpm
