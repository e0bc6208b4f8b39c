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
  std::vector<Node> branches;
  do {
    Policy branch;
    for (const std::size_t i : subset) branch.secret(tree.officers_[i]);
    branches.push_back({branch.digest()});
    tree.subsets_.push_back(subset);
  } while (advance(subset, n));

  tree.levels_.push_back(std::move(branches));
  while (tree.levels_.back().size() > 1) {
    std::vector<Node>& below = tree.levels_.back();
    const std::size_t groups = (below.size() + kLargestOr - 1) / kLargestOr;
    const std::size_t size = (below.size() + groups - 1) / groups;   // evenly, so that no group has one branch only
    std::vector<Node> above;
    for (std::size_t start = 0; start < below.size(); start += size) {
      std::vector<crypto::Digest> group;
      for (std::size_t i = start; i < std::min(start + size, below.size()); ++i) {
        below[i].parent = above.size();
        group.push_back(below[i].digest);
      }
      above.push_back({Policy().any_of(group).digest()});
    }
    tree.levels_.push_back(std::move(above));
  }
  return tree;
}

crypto::Digest QuorumTree::signing_policy() const { return Policy(digest()).command(CommandCode::sign).digest(); }

Result<std::vector<std::vector<crypto::Digest>>> QuorumTree::path(const Positions& present) const {
  const auto branch = std::find_if(subsets_.begin(), subsets_.end(), [&](const Positions& subset) {
    return std::includes(subset.begin(), subset.end(), present.begin(), present.end());
  });
  if (branch == subsets_.end())
    return fail(Errc::usage, fmt::format("no branch of {} of {} officers has those {}", needed_, officers_.size(),
                                         present.size()));
  std::vector<std::vector<crypto::Digest>> lists;
  auto at = static_cast<std::size_t>(branch - subsets_.begin());
  for (std::size_t level = 0; level + 1 < levels_.size(); ++level) {
    const std::size_t parent = levels_[level][at].parent;
    std::vector<crypto::Digest> list;
    for (const Node& node : levels_[level])
      if (node.parent == parent) list.push_back(node.digest);
    lists.push_back(std::move(list));
    at = parent;
  }
  return lists;
}

}  // namespace attest
