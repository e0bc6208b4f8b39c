// A signing key that works only while the quorum gate of its class and the firmware gate are both open, for the very
// digest that m of n officers approved. The TPM counts them: ROSTER_k holds the tree of crypto/attest/quorum_tree.hpp, and
// every approval carries the cpHash of opening the gate, which carries the cpHash of the exact TPM2_Sign. Who the officers
// are can change without a new key; a removed one is out at once.
// An officer enters a PIN once per request; the TPM answers with one ticket per digest, good for 300 seconds, dead at a
// TPM reset and with this object. No PIN is kept.
// One digest: its approval is bound to the session's nonce and dies with the signature. Several: the binding is to the
// session's handle, and within the 300 seconds the same bytes could be signed twice.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "crypto/attest/quorum_tree.hpp"
#include "crypto/base/secret_bytes.hpp"
#include "crypto/digest.hpp"
#include "crypto/signer.hpp"
#include "crypto/verify_signature.hpp"
#include "tpm/device.hpp"
#include "tpm/key_blob.hpp"
#include "tpm/officers.hpp"

namespace tpm {
class FirmwareGate;   // tpm/firmware_gate.hpp
}

namespace tpm {

struct Quorum {
  unsigned m = 0;
  std::vector<Officer> officers;   // roster order; it is part of the key's policy
};

inline constexpr std::chrono::seconds kApprovalLifetime{300};

// TPMT_TK_AUTH and its timeout: the TPM's own word that an officer authorised one cpHash until then.
struct Ticket {
  Bytes timeout;
  std::uint16_t tag = 0;
  std::uint32_t hierarchy = 0;
  Bytes digest;
};

class Approval {  // one officer's consent to a list of digests; move-only
 public:
  Approval(Approval&&) = default;
  Approval& operator=(Approval&&) = default;
  const std::string& officer() const { return officer_; }
  bool covers(const crypto::Digest& digest) const;
  // Runs from just before the officer's PIN was given to the TPM.
  std::chrono::seconds lifetime() const { return kApprovalLifetime; }

 private:
  friend class QuorumKey;
  friend class Administration;
  struct Entry {
    crypto::Digest digest;   // QuorumKey: what is to be signed; Administration: the command's cpHash
    Ticket ticket;
  };
  Approval() = default;
  std::string officer_;
  std::uint32_t nv_index_ = 0;
  Bytes nonce_;   // of the session it is for; empty for several digests
  std::vector<Entry> entries_;
};

// What one digest costs on this TPM; guesses until the first approval and the first signature were measured.
struct Pace {
  double seconds_per_ticket = 0;      // each officer, each digest
  double seconds_per_signature = 0;   // each digest
};

class QuorumKey {  // loaded in the TPM while it lives; move-only; the device must outlive it
 public:
  // Makes a key in the TPM: rsa_pkcs1 is RSA-3072. It cannot leave this TPM. Its gates must be there (provisioning.hpp).
  static Result<NewKey> create(Device& device, const FirmwareGate& firmware, unsigned key_class, crypto::KeyAlgorithm algorithm);
  // Errc::mismatch when the roster in the TPM is another quorum's, or the key has another class's policy; Errc::refused for
  // a key that could leave the TPM, sign without its policy, or belongs to another TPM. `firmware` must outlive it.
  // sha1: whether approve() and sign() take SHA-1 digests.
  static Result<QuorumKey> load(Device& device, const FirmwareGate& firmware, unsigned key_class, const KeyBlob& blob,
                                const Quorum& quorum, crypto::Sha1 sha1 = crypto::Sha1::refused);
  QuorumKey(QuorumKey&&) noexcept;
  QuorumKey& operator=(QuorumKey&&) noexcept;
  ~QuorumKey();

  const Bytes& name() const;   // 34 bytes
  const crypto::PublicKey& public_key() const;
  const Quorum& quorum() const;

  // One PIN entry for all the digests (SHA-256, SHA-384, SHA-1 if asked for; at most limits::kSigningSet). Errc::refused for a wrong PIN
  // ("PIN wrong, 4 tries left") or a blocked officer, Errc::not_found for one who is not of the quorum. The PIN is
  // wiped before this returns, and long before anything is signed.
  Result<Approval> approve(const std::string& officer, base::SecretBytes pin, std::span<const crypto::Digest> digests);

  // The signature (PKCS#1 v1.5, or DER ECDSA-Sig-Value), verified before it is returned. Uses the approvals that cover
  // digest; whether they are enough is the TPM's to say: Errc::refused when it says no, "approval ran out" included.
  Result<Bytes> sign(const crypto::Digest& digest, std::span<const Approval> approvals);
  // Presents the approvals of one digest for a signature of another, or too few of them, and is content when the TPM itself refuses. Any
  // other failure is returned: it would prove nothing.
  Result<void> expect_refused(const crypto::Digest& digest, const crypto::Digest& approved, std::span<const Approval> approvals);

  // How long tickets and signatures for that many digests take, people's time not included: to be held against
  // kApprovalLifetime before the first PIN is asked for.
  std::chrono::milliseconds estimate(std::size_t digests) const;
  const Pace& pace() const;

 private:
  struct State;
  explicit QuorumKey(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tpm
