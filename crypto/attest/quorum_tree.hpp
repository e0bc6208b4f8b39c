// Who may act together, as the TPM counts it: every m-subset of n officers is a branch (PolicySecret of each, in roster
// order), and the branches are folded under PolicyOR until one digest is left. That digest is what a roster index in the
// TPM holds; the PolicyOR calls made when people approve come from this same value, so they cannot drift apart.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "crypto/attest/names.hpp"
#include "crypto/attest/policy.hpp"

namespace attest {

// Branches under PolicyOR, eight at a time, level by level. One branch alone needs no PolicyOR.
class OrTree {
 public:
  explicit OrTree(const std::vector<crypto::Digest>& branches);   // at least one
  const crypto::Digest& digest() const { return levels_.back().front().digest; }
  // The lists to give to PolicyOR, one after the other, by a session that satisfied that branch.
  std::vector<std::vector<crypto::Digest>> path(std::size_t branch) const;

 private:
  struct Node {
    crypto::Digest digest;
    std::size_t parent = 0;   // position in the level above
  };
  std::vector<std::vector<Node>> levels_;   // branches first, the one root last
};

class QuorumTree {
 public:
  // Officers in roster order. Errc::usage unless 1 <= m <= n <= limits::kOfficers and the Names differ.
  static Result<QuorumTree> build(unsigned m, std::vector<Name> officers);

  unsigned needed() const { return needed_; }
  const std::vector<Name>& officers() const { return officers_; }
  const crypto::Digest& digest() const { return branches_->digest(); }

  // The lists to give to PolicyOR, one after the other, once the officers at these positions (rising) have been
  // satisfied. For fewer than m officers: the lists of a branch they are part of, which a TPM will refuse; for others
  // than the roster's, or more than m: Errc::usage.
  Result<std::vector<std::vector<crypto::Digest>>> path(const std::vector<std::size_t>& present) const;

 private:
  QuorumTree() = default;
  unsigned needed_ = 0;
  std::vector<Name> officers_;
  std::vector<std::vector<std::size_t>> subsets_;   // branch by branch
  std::optional<OrTree> branches_;                  // always there once built
};

}  // namespace attest
