// The smallest provisioned TPM: vendor keys, approved firmware, the indices of the NV map with the owner still open. For tests
// of tpm/ and benchmarks; the ceremony proper is in appliance/admin.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "crypto/attest/nv_map.hpp"
#include "crypto/keys/submitter_key.hpp"
#include "tpm/administration.hpp"
#include "tpm/audit_anchor.hpp"
#include "tpm/device.hpp"
#include "tpm/firmware_gate.hpp"
#include "tpm/provisioning.hpp"
#include "tpm/quorum.hpp"

namespace tests {

class TpmWorld {
 public:
  explicit TpmWorld(attest::Mode mode = attest::Mode::development);
  // FLOOR 1, SELF, CONFIG, WORDS, the anchor, the identity key; GATE_FW opens for the PCRs as they are.
  void found(tpm::Device& device);
  // The roster of a key class, and its gate. The owner must be open.
  void set_roster(tpm::Device& device, unsigned key_class, const tpm::Quorum& quorum);
  void set_administrators(tpm::Device& device, const tpm::Quorum& quorum);
  // A vendor's approval of the firmware that runs now.
  tpm::FirmwareApproval approve(tpm::Device& device, std::uint64_t version, unsigned vendor = 0);
  tpm::FirmwareApproval approve(const crypto::Digest& policy, std::uint64_t version, keys::SubmitterKey& vendor) const;

  attest::FirmwareMap map() const;
  attest::Mode mode;
  std::array<keys::SubmitterKey, 2> vendors;
};

}  // namespace tests
