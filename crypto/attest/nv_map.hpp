// The map of everything that stands in the TPM's NV memory, and the policies that hold it together. Names and policies
// follow from the mode and the vendor's two keys alone, so the appliance, its tests and an auditor without a TPM compute
// the same ones. docs/custody.md explains each.
//
//   signing key   = PolicySecret(GATE_k) and PolicySecret(GATE_FW) and only TPM2_Sign
//   GATE_k        opens for the policy that ROSTER_k holds; GATE_FW for what a vendor key signed, at or above FLOOR
//   persons       PIN_FAIL indices: the TPM counts wrong PINs. SELF lets each change the own PIN, and no other
//   the owner     is whoever satisfies ADMIN_ROSTER, once the ceremony has closed the hierarchies
// Nothing in here talks to a TPM.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "crypto/attest/names.hpp"
#include "crypto/attest/policy.hpp"
#include "crypto/attest/quorum_tree.hpp"

namespace attest {

// Fixed at birth: it stands in the policy of GATE_FW, so a development TPM can never pass for another.
enum class Mode : std::uint8_t { production, development };
std::string_view mode_name(Mode mode);               // "production", "development"
std::optional<Mode> mode_from_name(std::string_view name);
ByteView firmware_label(Mode mode);                  // the policyRef of vendors' approvals

// A P-256 public key from outside, as a TPM loads it to check signatures.
struct ExternalKey {
  static Result<ExternalKey> of(ByteView spki);   // Errc::unsupported for anything but P-256
  Bytes area;   // TPMT_PUBLIC
  Name name;
};

struct FirmwareTrust {
  Mode mode = Mode::development;
  std::array<ExternalKey, 2> vendors;   // either may approve firmware
};

inline constexpr std::uint32_t kFirstOfficer = 0x01800001;
inline constexpr std::uint32_t kLastOfficer = 0x0180001F;
inline constexpr std::uint32_t kFirstAdministrator = 0x01800100;
inline constexpr std::uint32_t kLastAdministrator = 0x0180010F;
inline constexpr unsigned kKeyClasses = 8;
inline constexpr std::uint16_t kPersonBytes = 8;    // wrong tries, limit
inline constexpr std::uint16_t kRosterBytes = 34;   // 0x000B and a policy digest
inline constexpr std::uint16_t kWordsBytes = 32;
inline constexpr std::uint16_t kBaselineBytes = 72;   // count, EXT, head of the log
inline const PcrNumbers kFirmwarePcrs = {7, 11};    // secure boot state; unified kernel image

// A person's index: officer or administrator. The same on every TPM but for its number.
NvPublic person_index(std::uint32_t index);
bool is_person(std::uint32_t index);
NvPublic self_index();
NvPublic floor_index();
NvPublic config_index();
NvPublic baseline_index();
NvPublic administrators_index();                 // ADMIN_ROSTER
NvPublic roster_index(unsigned key_class);       // key classes are numbered from 0
NvPublic quorum_gate(unsigned key_class);        // never written
// Fresh from NV_DefineSpace: the same without WRITTEN.
NvPublic unwritten(NvPublic area);

// What SELF holds: each person, by the own PIN, may change the own PIN; and anybody may read how many tries are left, which
// the last branch is for.
OrTree self_tree();
std::size_t self_reading_position();
crypto::Digest self_branch(std::uint32_t person);
std::size_t self_position(std::uint32_t person);

// Commands that administrators may run as the owner (or as lockout: lockout_reset, clear; policy_secret is for the
// endorsement hierarchy, which attestation of the identity key will need). Order of the branches in ADMIN_ROSTER.
inline constexpr std::array kOwnerCommands = {
    CommandCode::nv_write,      CommandCode::nv_define, CommandCode::nv_undefine,   CommandCode::evict_control,
    CommandCode::set_primary_policy, CommandCode::clock_set, CommandCode::lockout_reset, CommandCode::clear,
    CommandCode::policy_secret};
OrTree owner_tree(const QuorumTree& administrators);
std::size_t owner_position(CommandCode command);
crypto::Digest owner_roster(const QuorumTree& administrators);   // what ADMIN_ROSTER holds
crypto::Digest owner_policy();                                   // of the owner and the lockout hierarchy
Bytes roster_bytes(const crypto::Digest& policy);

class FirmwareMap {  // what depends on mode and vendor keys
 public:
  explicit FirmwareMap(FirmwareTrust trust) : trust_(std::move(trust)) {}
  const FirmwareTrust& trust() const { return trust_; }
  // PolicyOR over PolicyAuthorize of each vendor key.
  std::vector<crypto::Digest> branches() const;
  crypto::Digest policy() const;
  NvPublic gate() const;          // GATE_FW, never written
  NvPublic words() const;         // readable under the firmware gate only
  NvPublic audit_extend() const;
  NvPublic audit_count() const;
  crypto::Digest signing_key_policy(unsigned key_class) const;
  crypto::Digest receipt_key_policy() const;

 private:
  FirmwareTrust trust_;
};

// What a vendor signs for one version of the firmware: PCR values as above, and FLOOR not above the version.
crypto::Digest firmware_policy(const crypto::Digest& pcr_values, std::uint64_t version);
// The message of the vendor's ECDSA signature (over its SHA-256): policy and label.
Bytes firmware_message(const crypto::Digest& policy, Mode mode);

}  // namespace attest
