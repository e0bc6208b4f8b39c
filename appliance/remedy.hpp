// What administrators put right at the console, while coldseald runs: people who are blocked, and the TPM's own lockout.
// One act is one sitting: a list of the owner's commands, approved by m of n administrators, one PIN each, counted by the
// TPM. Everything else that administrators do is coldseal-admin's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "appliance/custody.hpp"
#include "appliance/layout.hpp"
#include "appliance/sitting.hpp"
#include "crypto/attest/owner_command.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/secret_bytes.hpp"
#include "tpm/administration.hpp"

namespace appliance {

// Gives a person all tries back. The PIN stays. where: "key class release", for whoever approves it.
attest::OwnerCommand unlock_command(const tpm::Officer& person, const std::string& where);
attest::OwnerCommand lockout_reset_command();

class Remedy {
 public:
  // Unlocks this person wherever it is blocked: as an officer of key classes, as an administrator. Errc::refused when it is not
  // blocked, Errc::not_found when nobody has that name.
  static base::Result<std::unique_ptr<Remedy>> unlock(const Layout& layout, Custody& custody, const std::string& person,
                                                      Sitting::Ends ends);
  static base::Result<std::unique_ptr<Remedy>> reset_lockout(Custody& custody, Sitting::Ends ends);

  const std::string& what() const { return what_; }      // as the audit log has it
  std::vector<std::string> lines() const;                // what is approved, command by command, and as words
  crypto::Digest commands_digest() const;                // over the commands' cpHashes
  Sitting::Ends ends() const { return ends_; }
  std::vector<std::string> approved() const;
  std::vector<std::string> may_still_approve() const;
  unsigned needed() const;
  bool is_administrator(const std::string& name) const;

  // As Sitting::approve. Errc::refused also for a last try that must not be lost.
  base::Result<void> approve(const std::string& administrator, base::SecretBytes pin);
  // Runs the commands, once enough have approved. What fails half way leaves the commands before it done.
  base::Result<void> run();

 private:
  static base::Result<std::unique_ptr<Remedy>> begin(Custody& custody, std::string what, std::vector<attest::OwnerCommand> commands,
                                                     Sitting::Ends ends);
  Remedy(tpm::Device& device, tpm::Administration administration, std::string what, std::vector<attest::OwnerCommand> commands,
         Sitting::Ends ends);
  base::Result<void> expect_can_be_spared(const std::string& name) const;
  tpm::Device* device_;
  tpm::Administration administration_;
  std::string what_;
  std::vector<attest::OwnerCommand> commands_;
  std::vector<tpm::Approval> approvals_;
  Sitting::Ends ends_;
};

}  // namespace appliance
