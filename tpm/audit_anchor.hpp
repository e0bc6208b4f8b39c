// The audit log's anchor in the TPM: EXT, a digest that every anchored line is extended into, and CNT, a counter that goes up
// with each. Both can be written only through the firmware gate, and neither can be set back. BASELINE, which only
// administrators write, says from where on the log must match: {count, EXT, head of the log} at that time.
#pragma once

#include "tpm/firmware_gate.hpp"

namespace tpm {

struct AnchorState {
  std::uint64_t count = 0;
  crypto::Digest extended;
};
struct AnchorBaseline {
  std::uint64_t count = 0;
  crypto::Digest extended;
  crypto::Digest head;   // SHA-256 of the log's last line then; zeros for an empty log
};
Bytes baseline_bytes(const AnchorBaseline& baseline);
// What EXT becomes: SHA-256 of what it was and the line's digest (Part 3 section 31.9).
crypto::Digest extended_by(const crypto::Digest& before, const crypto::Digest& line);

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
