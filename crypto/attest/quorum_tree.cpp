#include "crypto/attest/quorum_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "crypto/base/limits.hpp"

namespace attest {
namespace {

using base::Errc;
using base::fail;
using Positions = std::vector<std::size_t>;

// The next m-subset of 0..count-1 in lexicographic order; false after the last.
bool advance(Positions& subset, std::size_t count) {
  const std::size_t m = subset.size();
  std::size_t i = m;
  while (i > 0 && subset[i - 1] == count - m + (i - 1)) --i;
  if (i == 0) return false;
  ++subset[i - 1];
  for (std::size_t j = i; j < m; ++j) subset[j] = subset[j - 1] + 1;
  return true;
}

}  // namespace

OrTree::OrTree(const std::vector<crypto::Digest>& branches) {
  base::require(!branches.empty(), "a tree has branches");
  std::vector<Node>& leaves = levels_.emplace_back();
  for (const crypto::Digest& branch : branches) leaves.push_back({branch});
  while (levels_.back().size() > 1) {
    std::vector<Node>& below = levels_.back();
    const std::size_t groups = (below.size() + kLargestOr - 1) / kLargestOr;
    std::vector<Node> above;
    // As even as can be, so that no group has one branch only.
    for (std::size_t group = 0; group < groups; ++group) {
      std::vector<crypto::Digest> list;
      for (std::size_t i = group * below.size() / groups; i < (group + 1) * below.size() / groups; ++i) {
        below[i].parent = group;
        list.push_back(below[i].digest);
      }
      above.push_back({Policy().any_of(list).digest()});
    }
    levels_.push_back(std::move(above));
  }
}

std::vector<std::vector<crypto::Digest>> OrTree::path(std::size_t at) const {
  std::vector<std::vector<crypto::Digest>> lists;
  for (std::size_t level = 0; level + 1 < levels_.size(); ++level) {
    const std::size_t parent = levels_[level].at(at).parent;
    std::vector<crypto::Digest> list;
    for (const Node& node : levels_[level])
      if (node.parent == parent) list.push_back(node.digest);
    lists.push_back(std::move(list));
    at = parent;
  }
  return lists;
}

Result<QuorumTree> QuorumTree::build(unsigned m, std::vector<Name> officers) {
  const std::size_t n = officers.size();
  if (m < 1 || m > n || n > base::limits::kOfficers)
    return fail(Errc::usage, fmt::format("quorum of {} of {} officers; at least 1, at most all of at most {} wanted", m, n,
                                         base::limits::kOfficers));
  if (std::set<Name>(officers.begin(), officers.end()).size() != n)
    return fail(Errc::usage, "an officer stands in the quorum twice");

  QuorumTree tree;
  tree.needed_ = m;
  tree.officers_ = std::move(officers);
  Positions subset;
  for (std::size_t i = 0; i < m; ++i) subset.push_back(i);
  std::vector<crypto::Digest> branches;
  do {
    Policy branch;
    for (const std::size_t i : subset) branch.secret(tree.officers_[i]);
    branches.push_back(branch.digest());
    tree.subsets_.push_back(subset);
  } while (advance(subset, n));
  tree.branches_.emplace(branches);
  return tree;
}

Result<std::vector<std::vector<crypto::Digest>>> QuorumTree::path(const Positions& present) const {
  const auto branch = std::find_if(subsets_.begin(), subsets_.end(), [&](const Positions& subset) {
    return std::includes(subset.begin(), subset.end(), present.begin(), present.end());
  });
  if (branch == subsets_.end())
    return fail(Errc::usage, fmt::format("no branch of {} of {} officers has those {}", needed_, officers_.size(),
                                         present.size()));
  return branches_->path(static_cast<std::size_t>(branch - subsets_.begin()));
}

}  // namespace attest
