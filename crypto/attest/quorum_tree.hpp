// Who may act together, as the TPM counts it: every m-subset of n officers is a branch (PolicySecret of each, in roster
// order), and the branches are folded under PolicyOR, eight at a time, until one digest is left. The key's policy and
// the PolicyOR calls made when it is used come from this one value, so they cannot drift apart.
#pragma once

#include <cstddef>
#include <vector>

#include "crypto/attest/names.hpp"
#include "crypto/attest/policy.hpp"

namespace attest {

class QuorumTree {
 public:
  // Officers in roster order. Errc::usage unless 1 <= m <= n <= limits::kOfficers and the Names differ.
  static Result<QuorumTree> build(unsigned m, std::vector<Name> officers);

  unsigned needed() const { return needed_; }
  const std::vector<Name>& officers() const { return officers_; }
  // Of the whole tree, and of a key that m officers may sign with and do nothing else.
  const crypto::Digest& digest() const { return levels_.back().front().digest; }
  crypto::Digest signing_policy() const;

  // The lists to give to PolicyOR, one after the other, once the officers at these positions (rising) have been
  // satisfied. For fewer than m officers: the lists of a branch they are part of, which a TPM will refuse; for others
  // than the roster's, or more than m: Errc::usage.
  Result<std::vector<std::vector<crypto::Digest>>> path(const std::vector<std::size_t>& present) const;

 private:
  struct Node {
    crypto::Digest digest;
    std::size_t parent = 0;   // position in the level above
  };
  QuorumTree() = default;
  unsigned needed_ = 0;
  std::vector<Name> officers_;
  std::vector<std::vector<std::size_t>> subsets_;   // branch by branch, in the order of levels_[0]
  std::vector<std::vector<Node>> levels_;           // branches first, the one root last
};

}  // namespace attest
