// Officers, as the TPM knows them: one NV index each, whose authorisation value comes from the officer's PIN and whose
// wrong tries the TPM itself counts (TPM_NT_PIN_FAIL). Nothing outside the TPM can check a PIN, and one officer's wrong
// tries block nobody else. Wrong tries survive resets and power cuts; a right PIN sets them back to none.
// Officers approve signatures, administrators approve changes; in the TPM they are the same kind of index.
// define, remove and unlock act as the owner with an empty authorisation: they work until the ceremony has closed the
// hierarchies, and for good on a TPM where nobody did. Afterwards administrators do the same (administration.hpp).
#pragma once

#include <cstdint>
#include <string>

#include "crypto/base/result.hpp"
#include "crypto/base/secret_bytes.hpp"
#include "tpm/device.hpp"

namespace tpm {

struct Officer {
  std::string name;   // for people; the TPM does not know it
  std::uint32_t nv_index = 0;   // attest::kFirstOfficer, attest::kFirstAdministrator and following
};

struct OfficerState {
  std::uint32_t tries_used = 0;
  std::uint32_t tries = 0;   // allowed in a row
  std::uint32_t tries_left() const { return tries_used < tries ? tries - tries_used : 0; }
  bool blocked() const { return tries_left() == 0; }
};

inline constexpr std::uint32_t kPinTries = 5;

// The authorisation value is the first 32 characters of the lower-case hex SHA-256("officer" || nv_index as 4 big-endian
// bytes || PIN): never a raw hash, because a TPM strips zero bytes from the end. The PIN is limits::kPinDigits to
// limits::kPinBytes bytes long; Errc::usage otherwise. It does not cross the bus in clear.
// Errc::refused when there is such an index already.
Result<void> define_officer(Device& device, const Officer& officer, const base::SecretBytes& pin,
                            std::uint32_t tries = kPinTries);
Result<void> remove_officer(Device& device, const Officer& officer);   // Errc::not_found
// Wrong tries back to none; the PIN stays as it is.
Result<void> unlock_officer(Device& device, const Officer& officer, std::uint32_t tries = kPinTries);
// The own PIN, changed by its owner: a wrong old PIN counts as a try. No administrator takes part.
Result<void> change_pin(Device& device, const Officer& officer, const base::SecretBytes& old_pin,
                        const base::SecretBytes& new_pin);
// The first PIN of an index that administrators defined (its authorisation value is still empty). Errc::refused when
// somebody else was quicker: then it must be removed again.
Result<void> set_first_pin(Device& device, const Officer& officer, const base::SecretBytes& pin);
// Errc::not_found without such an index; Errc::refused when the index is not as define_officer makes it.
Result<OfficerState> officer_state(Device& device, const Officer& officer);
// That the person at the keypad is the officer, with nothing approved. A wrong PIN counts: Errc::refused, "PIN wrong, 4
// tries left".
Result<void> prove_officer(Device& device, const Officer& officer, const base::SecretBytes& pin);

}  // namespace tpm
