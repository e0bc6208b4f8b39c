// The audit log's anchor in the TPM: EXT, a digest that every anchored line is extended into, and CNT, a counter that goes up
// with each. Both can be written only through the firmware gate, and neither can be set back. BASELINE, which only
// administrators write, says from where on the log must match: {count, EXT, head of the log} at that time.
#pragma once

#include "crypto/attest/log_anchor.hpp"
#include "tpm/firmware_gate.hpp"

namespace tpm {

using attest::AnchorBaseline;
using attest::AnchorState;
using attest::baseline_bytes;
using attest::extended_by;

class AuditAnchor {  // device and gate must outlive it
 public:
  AuditAnchor(Device& device, const FirmwareGate& firmware) : device_(&device), firmware_(&firmware) {}
  // Gives both indices their first value: at the ceremony. Later calls do nothing.
  Result<void> begin();
  Result<AnchorState> state() const;
  Result<AnchorBaseline> baseline() const;
  Result<void> extend(const crypto::Digest& line);   // TPM2_NV_Extend
  Result<void> increment();                          // TPM2_NV_Increment

 private:
  Device* device_;
  const FirmwareGate* firmware_;
};

}  // namespace tpm
