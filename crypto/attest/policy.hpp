// The policy calculator: what a TPM's policy digest becomes, step by step, computed without a TPM. TPM2_PolicySecret wants
// the real PIN even in a trial session, so an officers' policy can only be made here; a test holds it against a TPM.
//   Policy().secret(alice).secret(bob).command(CommandCode::sign).digest()
// SHA-256 policies only. Source: TPM 2.0 Library Part 3 section 23 (the policy commands), Part 1 section 19.7.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crypto/attest/names.hpp"
#include "crypto/digest.hpp"

namespace attest {

enum class CommandCode : std::uint32_t {   // TPM_CC, Part 2 section 6.5.2
  evict_control = 0x120,
  nv_undefine = 0x122,
  clear = 0x126,
  clock_set = 0x128,
  nv_define = 0x12A,
  set_primary_policy = 0x12E,
  nv_increment = 0x134,
  nv_extend = 0x136,
  nv_write = 0x137,
  lockout_reset = 0x139,
  nv_change_auth = 0x13B,
  policy_nv = 0x149,
  nv_read = 0x14E,
  policy_secret = 0x151,
  sign = 0x15D,
  policy_signed = 0x160,
  policy_cp_hash = 0x16E,
  policy_authorize = 0x16A,
  policy_auth_value = 0x16B,
  policy_command_code = 0x16C,
  policy_name_hash = 0x170,
  policy_or = 0x171,
  policy_pcr = 0x17F,
  policy_authorize_nv = 0x192,
};

enum class Comparison : std::uint16_t {   // TPM_EO, Part 2 section 6.8: what PolicyNV compares, the index on the left
  equal = 0x0000,
  unsigned_at_least = 0x0007,
  unsigned_at_most = 0x0009,
};

// PCRs of the SHA-256 bank, by number (0 to 23), and TPML_PCR_SELECTION for them.
using PcrNumbers = std::vector<unsigned>;
Bytes pcr_selection(const PcrNumbers& pcrs);

inline constexpr std::size_t kLargestOr = 8;   // branches of one TPM2_PolicyOR (TPML_DIGEST)

class Policy {
 public:
  Policy();                                        // the empty policy: 32 zero bytes
  explicit Policy(crypto::Digest start);           // continues from a digest; it must be SHA-256
  Policy& secret(const Name& entity, ByteView label = {});   // label: the TPM's policyRef, fixed at birth
  Policy& signed_by(const Name& key, ByteView label = {});
  Policy& command(CommandCode only);
  Policy& auth_value();
  Policy& name_hash(std::span<const Name> handles);
  Policy& cp_hash(const crypto::Digest& command);
  // values: the SHA-256 of the PCRs' values, one after the other in rising order.
  Policy& pcr(const PcrNumbers& pcrs, const crypto::Digest& values);
  // What stands at that offset of an index, compared with operand.
  Policy& nv(const Name& index, ByteView operand, Comparison comparison, std::uint16_t offset = 0);
  Policy& any_of(std::span<const crypto::Digest> branches);   // PolicyOR: 2 to 8 branches
  Policy& authorize(const Name& key, ByteView label = {});
  Policy& authorize_nv(const Name& index);
  const crypto::Digest& digest() const { return digest_; }

 private:
  Policy& extend(CommandCode command, ByteView argument);
  Policy& extend_with_label(CommandCode command, ByteView argument, ByteView label);
  crypto::Digest digest_;
};

}  // namespace attest
