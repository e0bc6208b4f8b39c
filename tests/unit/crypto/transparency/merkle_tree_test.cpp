// Roots of the leaves that Certificate Transparency's own implementations are tested with, and proofs held against the recursive
// definitions of RFC 6962 section 2.1, written out here once more.
#include "crypto/transparency/merkle_tree.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "crypto/base/text.hpp"

namespace transparency {
namespace {

using crypto::Digest;
using Leaves = std::vector<base::Bytes>;

Digest hashed(std::uint8_t mark, std::initializer_list<base::ByteView> parts) {
  base::Bytes all = {mark};
  for (const base::ByteView part : parts) base::append(all, part);
  return crypto::sha256(all);
}
Digest plain_root(const Leaves& leaves, std::size_t begin, std::size_t end) {
  if (begin == end) return crypto::sha256({});
  if (end - begin == 1) return hashed(0, {leaves[begin]});
  std::size_t split = 1;
  while (split * 2 < end - begin) split *= 2;
  return hashed(1, {plain_root(leaves, begin, begin + split).bytes(), plain_root(leaves, begin + split, end).bytes()});
}
std::vector<Digest> plain_path(std::size_t m, const Leaves& leaves, std::size_t begin, std::size_t end) {
  if (end - begin == 1) return {};
  std::size_t split = 1;
  while (split * 2 < end - begin) split *= 2;
  const bool is_left = m < split;
  std::vector<Digest> path = is_left ? plain_path(m, leaves, begin, begin + split) : plain_path(m - split, leaves, begin + split, end);
  path.push_back(is_left ? plain_root(leaves, begin + split, end) : plain_root(leaves, begin, begin + split));
  return path;
}

MerkleTree tree_of(const Leaves& leaves) {
  MerkleTree tree;
  for (const base::Bytes& leaf : leaves) tree.add(leaf);
  return tree;
}
Leaves numbered(std::size_t count) {
  Leaves leaves;
  for (std::size_t i = 0; i < count; ++i) leaves.push_back(base::to_bytes(base::as_bytes("line " + std::to_string(i))));
  return leaves;
}

TEST(MerkleTree, HasTheRootsOfCertificateTransparencysTestLeaves) {
  Leaves leaves;
  for (const char* const hex : {"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"})
    leaves.push_back(*base::from_hex(hex));
  const char* const roots[] = {
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
      "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
      "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
  const MerkleTree tree = tree_of(leaves);
  EXPECT_EQ(tree.root(0), crypto::sha256({}));
  for (std::size_t size = 1; size <= 8; ++size) EXPECT_EQ(tree.root(size).hex(), roots[size - 1]) << size;
}

TEST(MerkleTree, ProvesEveryLineOfEverySizeAndNothingElse) {
  constexpr std::size_t kLines = 40;
  const Leaves leaves = numbered(kLines);
  const MerkleTree tree = tree_of(leaves);
  for (std::size_t size = 1; size <= kLines; ++size) {
    const Digest root = tree.root(size);
    ASSERT_EQ(root, plain_root(leaves, 0, size));
    for (std::size_t index = 0; index < size; ++index) {
      const std::vector<Digest> path = tree.inclusion(index, size);
      ASSERT_EQ(path, plain_path(index, leaves, 0, size));
      const Digest leaf = leaf_hash(leaves[index]);
      ASSERT_EQ(*root_by_inclusion(leaf, index, size, path), root);
      // Another place, another line, another size, a path that is too short or too long.
      for (const std::size_t other : {index + 1, index ^ 1U}) {
        const auto found = root_by_inclusion(leaf, other, size, path);
        ASSERT_FALSE(found && *found == root) << index << " of " << size << " as " << other;
      }
      ASSERT_NE(*root_by_inclusion(leaf_hash(base::as_bytes("no line")), index, size, path), root);
      std::vector<Digest> longer = path;
      longer.push_back(root);
      ASSERT_FALSE(root_by_inclusion(leaf, index, size, longer));
      if (path.empty()) continue;
      longer.resize(path.size() - 1, root);
      ASSERT_FALSE(root_by_inclusion(leaf, index, size, longer));
    }
  }
  EXPECT_FALSE(root_by_inclusion(leaf_hash({}), 0, 0, {}));
}

TEST(MerkleTree, OfTheNewestLeavesProvesThemAsTheWholeOneDoesAndHoldsNoMore) {
  const Leaves lines = numbered(300);
  for (const std::uint64_t newest : {1U, 4U, 7U, 32U}) {
    MerkleTree whole;
    MerkleTree recent(newest);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      whole.add(lines[i]);
      recent.add(lines[i]);
      const std::uint64_t size = i + 1;
      ASSERT_EQ(recent.size(), size);
      ASSERT_EQ(recent.root(), whole.root()) << size;
      ASSERT_LT(size - recent.first_provable(), 2 * newest) << size;
      ASSERT_GE(size - recent.first_provable(), std::min<std::uint64_t>(newest, size)) << size;
      for (std::uint64_t index = recent.first_provable(); index < size; ++index)
        ASSERT_EQ(recent.inclusion(index, size), whole.inclusion(index, size)) << index << " of " << size;
    }
  }
}

TEST(MerkleTree, ProvesThatItOnlyGrew) {
  constexpr std::size_t kLines = 40;
  const MerkleTree tree = tree_of(numbered(kLines));
  Leaves altered = numbered(kLines);
  altered[3].push_back('!');
  const MerkleTree other = tree_of(altered);
  for (std::size_t size = 1; size <= kLines; ++size)
    for (std::size_t old = 1; old <= size; ++old) {
      const std::vector<Digest> path = tree.consistency(old, size);
      ASSERT_TRUE(expect_consistent(tree.root(old), old, tree.root(size), size, path)) << old << " in " << size;
      if (old > 3) {
        ASSERT_FALSE(expect_consistent(other.root(old), old, tree.root(size), size, path)) << old << " in " << size;
        ASSERT_FALSE(expect_consistent(tree.root(old), old, other.root(size), size, other.consistency(old, size)));
      }
      if (old < size) {
        ASSERT_FALSE(expect_consistent(tree.root(old + 1), old, tree.root(size), size, path));
        std::vector<Digest> shorter = path;
        shorter.pop_back();
        ASSERT_FALSE(expect_consistent(tree.root(old), old, tree.root(size), size, shorter));
      }
    }
  EXPECT_FALSE(expect_consistent(tree.root(0), 0, tree.root(3), 3, {}));
  EXPECT_FALSE(expect_consistent(tree.root(4), 4, tree.root(3), 3, {}));
}

}  // namespace
}  // namespace transparency
