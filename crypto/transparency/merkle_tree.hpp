// The Merkle tree over the lines of a log: RFC 6962 section 2.1 with SHA-256. A leaf is a line without its newline.
// Holds 64 bytes a leaf, so that roots and proofs of any size the log ever had take a few dozen hashes; or of the newest leaves
// only, and then what it holds does not grow.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"

namespace transparency {

crypto::Digest leaf_hash(base::ByteView leaf);   // SHA-256 of 00 and the leaf

class MerkleTree {
 public:
  MerkleTree() = default;
  // Proofs of at least that many of the newest leaves, and roots of sizes that end among them. 0: of all.
  explicit MerkleTree(std::uint64_t newest) : newest_(newest) {}
  void add(base::ByteView leaf);
  std::uint64_t size() const { return size_; }
  std::uint64_t first_provable() const { return forgotten_; }   // the index of the oldest leaf of which it knows enough
  // Of the first `size` leaves, at most size().
  crypto::Digest root(std::uint64_t size) const;
  crypto::Digest root() const { return root(size()); }
  // Section 2.1.1: from the leaf's sibling up. first_provable() <= index < size <= size().
  std::vector<crypto::Digest> inclusion(std::uint64_t index, std::uint64_t size) const;
  // Section 2.1.2: that the tree of `size` begins with the tree of `old`. 0 < old <= size <= size().
  std::vector<crypto::Digest> consistency(std::uint64_t old, std::uint64_t size) const;

 private:
  crypto::Digest hash_of(std::uint64_t begin, std::uint64_t end) const;
  void forget_before(std::uint64_t leaf);
  struct Level {   // the complete subtrees of 2^k leaves, but for the first ones that were forgotten
    std::uint64_t forgotten = 0;
    std::deque<std::array<std::uint8_t, 32>> hashes;
  };
  std::vector<Level> levels_;
  std::uint64_t size_ = 0;
  std::uint64_t newest_ = 0;
  std::uint64_t forgotten_ = 0;
};

// What the root is when the leaf is at that index of a tree of that size (RFC 9162 section 2.1.3.2); Errc::mismatch for a
// path that cannot be one.
base::Result<crypto::Digest> root_by_inclusion(const crypto::Digest& leaf, std::uint64_t index, std::uint64_t size,
                                               const std::vector<crypto::Digest>& path);
// Errc::mismatch unless the tree of `size` with that root begins with the one of `old` (RFC 9162 section 2.1.4.2).
base::Result<void> expect_consistent(const crypto::Digest& old_root, std::uint64_t old, const crypto::Digest& root, std::uint64_t size,
                                     const std::vector<crypto::Digest>& path);

}  // namespace transparency
