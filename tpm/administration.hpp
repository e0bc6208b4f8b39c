// What administrators do: commands of the owner, each approved by m of n of them with its own cpHash, counted by the TPM.
// The owner and lockout hierarchies have no password any more after the ceremony (close_hierarchies); the only way in is the
// policy that ADMIN_ROSTER holds. An approval lives 300 seconds and could be used again for the very same command meanwhile.
#pragma once

#include <memory>
#include <span>

#include "crypto/attest/owner_command.hpp"
#include "tpm/quorum.hpp"

namespace tpm {

// As the owner with an empty authorisation: at the ceremony, before the hierarchies are closed.
Result<void> run_as_owner(Device& device, const attest::OwnerCommand& command);

class Administration {  // move-only; the device must outlive it
 public:
  // Errc::mismatch when ADMIN_ROSTER is another quorum's.
  static Result<Administration> load(Device& device, const Quorum& administrators);
  const Quorum& administrators() const { return administrators_; }

  // One PIN entry for all the commands. As QuorumKey::approve.
  Result<Approval> approve(const std::string& administrator, base::SecretBytes pin,
                           std::span<const attest::OwnerCommand> commands);
  // Runs one of the approved commands. Errc::refused when the TPM says that they are not enough, or not for this.
  Result<void> run(const attest::OwnerCommand& command, std::span<const Approval> approvals);

 private:
  Administration(Device& device, Quorum administrators, attest::QuorumTree tree)
      : device_(&device), administrators_(std::move(administrators)), tree_(std::move(tree)) {}
  Device* device_;
  Quorum administrators_;
  attest::QuorumTree tree_;
};

}  // namespace tpm
