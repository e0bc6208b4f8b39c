// What an officer does in the TPM, command by command. Internal to tpm/; the tests that show what the TPM itself refuses
// drive these steps one by one, in ways that quorum.cpp never does.
#pragma once

#include <chrono>

#include "crypto/attest/nv_map.hpp"
#include "crypto/attest/policy.hpp"
#include "crypto/attest/quorum_tree.hpp"
#include "tpm/esys.hpp"
#include "tpm/officers.hpp"
#include "tpm/quorum.hpp"

namespace tpm {

// See officers.hpp. Errc::usage for a PIN that is too short or too long.
Result<base::SecretBytes> officer_auth(const Officer& officer, const base::SecretBytes& pin);

// What a failed command of an officer means; for a wrong PIN the TPM is asked how many tries are left, in that session: a
// policy session of no further use, because there may be no room for another.
base::Error officer_error(Device& device, const Officer& officer, TSS2_RC code, const Loaded& session);
Result<OfficerState> officer_state_in(Context& context, const Officer& officer, const Loaded& session);

class PinEntry {  // one officer at the keypad: the PIN is known to ESYS while this lives
 public:
  static Result<std::unique_ptr<PinEntry>> open(Device& device, const Officer& officer, const base::SecretBytes& pin);
  PinEntry(const PinEntry&) = delete;
  PinEntry& operator=(const PinEntry&) = delete;
  ~PinEntry();
  // PolicySecret with that cpHash: the officer's consent to one command, within the time. A wrong PIN counts.
  Result<Ticket> ticket(const crypto::Digest& cp_hash, std::chrono::seconds lifetime);
  // NV_Read of the officer's own index.
  Result<void> prove();

 private:
  PinEntry(Device& device, Officer officer, NvIndex index, base::SecretBytes auth, Loaded hmac, Loaded scratch);
  Device& device_;
  Officer officer_;
  NvIndex index_;
  base::SecretBytes auth_;
  Loaded hmac_;
  Loaded scratch_;   // a policy session that tickets are made in, and nothing else
  WithAuth with_auth_;
};

// A quorum's tickets in its roster's order, then the PolicyOR calls of its tree: after it, the session's policy is the tree's
// digest. tickets: by position in the roster, nullptr for who gave none. Nothing in here counts: with too few the TPM
// says no.
Result<void> satisfy_quorum(Context& context, const Loaded& session, const attest::QuorumTree& tree,
                            const std::vector<Officer>& roster, const std::vector<const Ticket*>& tickets,
                            const crypto::Digest& cp_hash);
// TPM2_PolicyAuthorizeNV: the policy so far is the one that the roster index holds.
Result<void> policy_roster(Context& context, const Loaded& session, const NvIndex& roster);
// The tree of a quorum. Errc::mismatch when the roster index holds another.
Result<attest::QuorumTree> tree_of(const Quorum& quorum);

Result<void> redeem(Context& context, const Loaded& session, const attest::Name& officer, const crypto::Digest& cp_hash,
                    const Ticket& ticket);
Result<void> policy_or(Context& context, const Loaded& session, const std::vector<crypto::Digest>& branches);
Result<void> policy_command(Context& context, const Loaded& session, attest::CommandCode command);

}  // namespace tpm
