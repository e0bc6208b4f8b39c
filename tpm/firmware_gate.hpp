// The firmware gate: opens only while the machine runs firmware that a vendor key approved, at or above FLOOR. A vendor
// signs the policy "these PCR values, FLOOR not above this version" (attest::firmware_policy); the TPM checks the
// signature once and holds every use against its own PCRs and FLOOR. New firmware needs a new approval and no new keys.
// What it does not show: whether the firmware was taken over after it was measured.
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "crypto/attest/nv_map.hpp"
#include "tpm/device.hpp"
#include "tpm/esys.hpp"

namespace tpm {

struct FirmwareApproval {
  std::uint64_t version = 0;
  crypto::Digest policy;   // attest::firmware_policy of the approved values and version
  Bytes signature;         // DER ECDSA over SHA-256 of attest::firmware_message
};

// SHA-256 over the values of attest::kFirmwarePcrs, as they are now.
Result<crypto::Digest> firmware_measurements(Device& device);

class FirmwareGate {  // move-only; the device must outlive it
 public:
  // Errc::refused when neither vendor key made the signature, or the gate in the TPM is not the one of this mode and these
  // vendors. Whether the firmware that runs is the approved one shows when the gate is opened.
  static Result<FirmwareGate> load(Device& device, attest::FirmwareMap map, FirmwareApproval approval);
  const attest::FirmwareMap& map() const { return map_; }
  const FirmwareApproval& approval() const { return approval_; }

  // The steps of the firmware's policy in that session. Errc::refused, saying whether it is the measurements or the floor.
  Result<void> satisfy(const Loaded& session) const;
  // Satisfies it in `session`, a policy session of the caller's, and then `use` uses it. When something extends a PCR in between, the
  // TPM refuses with TPM_RC_PCR_CHANGED before it does anything, though what was approved may be as it was (a kernel that measures
  // files extends PCR 10 at any time): then both once more, in the session restarted.
  Result<void> pass(const Loaded& session, const std::function<Result<void>()>& use) const;
  // Opens GATE_FW for `main`, bound to one command by its cpHash; `session` is any fresh policy session and is fresh after.
  Result<void> open_for(const Loaded& main, const Loaded& session, const crypto::Digest& cp_hash) const;
  // That the running firmware passes, without using anything.
  Result<void> test() const;
  // The two words that only this box can show, while it runs approved firmware.
  Result<std::string> words() const;

 private:
  FirmwareGate(Device& device, attest::FirmwareMap map, FirmwareApproval approval, NvIndex floor, NvIndex gate)
      : device_(&device),
        map_(std::move(map)),
        approval_(std::move(approval)),
        branches_(map_.branches()),
        floor_(std::move(floor)),
        gate_(std::move(gate)) {}
  Device* device_;
  attest::FirmwareMap map_;
  FirmwareApproval approval_;
  std::vector<crypto::Digest> branches_;
  NvIndex floor_;
  NvIndex gate_;
  attest::Name vendor_;          // who signed
  std::uint16_t ticket_tag_ = 0;   // TPMT_TK_VERIFIED: the TPM's own word that the signature is good, until its next reset
  std::uint32_t ticket_hierarchy_ = 0;
  Bytes ticket_digest_;
};

// PolicySecret on a gate's index: `gate_session` satisfies the gate, `main` gains the step, bound to cp_hash. nonce: of
// `main`, or empty.
Result<void> open_gate(Context& context, const NvIndex& gate, const Loaded& main, const Loaded& gate_session,
                       const crypto::Digest& cp_hash, ByteView nonce);
Result<void> policy_auth_value(Context& context, const Loaded& session);

}  // namespace tpm
