// Making a new TPM ours, step by step: what the ceremony does (appliance/admin). Every step looks at what is there already and
// does what is left, so that a ceremony that lost power goes on where it was. Nobody has a password of the owner afterwards.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "crypto/attest/nv_map.hpp"
#include "tpm/device.hpp"

namespace tpm {

// What speaks against this TPM, in words; empty when it will do. In production mode also: software TPM, platform hierarchy
// still open, firmware with known flaws. A PIN_FAIL index is tried out, so the owner must still be open.
Result<std::vector<std::string>> objections(Device& device, attest::Mode mode);
// The same as far as it can be seen at every start, with the hierarchies closed.
Result<std::vector<std::string>> objections_at_start(Device& device, attest::Mode mode);
// "Infineon firmware 7.61 ... (ROCA, ...)" for firmware with published flaws that matter here; empty otherwise. firmware: as
// Device::firmware(): four numbers of 16 bits. Only what the makers' own advisories say.
std::string known_flaw(const std::string& manufacturer, std::uint64_t firmware);

// Errc::refused, with the handle, when hierarchies have passwords or the TPM holds an index or a persistent key that an owner made,
// wherever it is. Ours and the makers' are allowed: the storage root key, endorsement keys (0x8101xxxx) and the certificates
// beside them (0x01C0xxxx). What the machine's own firmware keeps (platform hierarchy, outside the owner's range) is not an
// owner's and a clear does not remove it: it is told, as "index 0x01400001".
Result<std::vector<std::string>> expect_empty(Device& device);

Result<void> make_identity_keys(Device& device);
// Defines the index unless it is there, and writes data unless it holds it already. Never-written indices (gates): no data.
Result<void> establish(Device& device, const attest::NvPublic& area, ByteView data = {});

// All of an index that anybody may read: FLOOR, CONFIG, rosters.
Result<Bytes> read_public_index(Device& device, const attest::NvPublic& area);

// Owner, lockout and endorsement: their policy becomes ADMIN_ROSTER's, their passwords random and forgotten.
using FillRandom = std::function<void(std::span<std::uint8_t>)>;   // keys::fill_random
Result<void> close_hierarchies(Device& device, const FillRandom& fill_random);
// Proof by trying: defining an index with an empty password is answered with TPM_RC_BAD_AUTH (0x9a2), and the TPM says that
// all three have passwords. A clear is not tried: a wrong password for lockout blocks it for a day. Errc::refused otherwise.
Result<void> expect_closed(Device& device);

}  // namespace tpm
