#include "crypto/transparency/merkle_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace transparency {

using base::Errc;
using base::fail;
using base::Result;
using crypto::Digest;

namespace {

Digest node_hash(base::ByteView left, base::ByteView right) {
  crypto::Hasher hasher(crypto::DigestAlgorithm::sha256);
  const std::uint8_t mark[] = {1};
  hasher.update(mark);
  hasher.update(left);
  hasher.update(right);
  return std::move(hasher).finish();
}
Digest node_hash(const Digest& left, const Digest& right) { return node_hash(left.bytes(), right.bytes()); }

// Where RFC 6962 splits more than one leaf: the largest power of two below their number.
std::uint64_t split_of(std::uint64_t leaves) { return std::bit_floor(leaves - 1); }

tl::unexpected<base::Error> no_proof(std::uint64_t size) { return fail(Errc::mismatch, fmt::format("no proof about a log of {} lines", size)); }

}  // namespace

Digest leaf_hash(base::ByteView leaf) {
  crypto::Hasher hasher(crypto::DigestAlgorithm::sha256);
  const std::uint8_t mark[] = {0};
  hasher.update(mark);
  hasher.update(leaf);
  return std::move(hasher).finish();
}

void MerkleTree::add(base::ByteView leaf) {
  Digest hash = leaf_hash(leaf);
  ++size_;
  for (std::size_t k = 0;; ++k) {
    if (k == levels_.size()) levels_.emplace_back();
    Level& level = levels_[k];
    std::copy_n(hash.bytes().begin(), 32, level.hashes.emplace_back().begin());
    if ((level.forgotten + level.hashes.size()) % 2 != 0) break;
    hash = node_hash(level.hashes[level.hashes.size() - 2], level.hashes.back());
  }
  // In steps as large as what is kept, so that it costs nothing.
  if (newest_ != 0 && size_ - forgotten_ >= 2 * newest_) forget_before(size_ - newest_);
}

// A proof of that leaf or of a later one needs of each level the sibling on its path and what follows.
void MerkleTree::forget_before(std::uint64_t leaf) {
  forgotten_ = leaf;
  for (std::size_t k = 0; k < levels_.size(); ++k) {
    Level& level = levels_[k];
    const std::uint64_t first = (leaf >> k) & ~std::uint64_t{1};
    if (first <= level.forgotten) continue;
    const std::uint64_t gone = std::min<std::uint64_t>(first - level.forgotten, level.hashes.size());
    level.hashes.erase(level.hashes.begin(), level.hashes.begin() + static_cast<std::ptrdiff_t>(gone));
    level.forgotten += gone;
  }
}

// Every range that is asked for begins at a multiple of its split, so the left halves are complete subtrees.
Digest MerkleTree::hash_of(std::uint64_t begin, std::uint64_t end) const {
  const std::uint64_t count = end - begin;
  if (std::has_single_bit(count)) {
    const auto k = static_cast<std::size_t>(std::countr_zero(count));
    base::require((begin >> k) >= levels_[k].forgotten, "a hash of leaves that were forgotten");
    return *Digest::from_bytes(crypto::DigestAlgorithm::sha256, levels_[k].hashes[(begin >> k) - levels_[k].forgotten]);
  }
  const std::uint64_t middle = begin + split_of(count);
  return node_hash(hash_of(begin, middle), hash_of(middle, end));
}

Digest MerkleTree::root(std::uint64_t size) const {
  base::require(size <= this->size(), "a tree of more leaves than there are");
  return size == 0 ? crypto::sha256({}) : hash_of(0, size);
}

std::vector<Digest> MerkleTree::inclusion(std::uint64_t index, std::uint64_t size) const {
  base::require(first_provable() <= index && index < size && size <= this->size(), "a proof of a leaf that is not there");
  std::vector<Digest> path;   // from the root down, turned round at the end
  std::uint64_t begin = 0;
  std::uint64_t end = size;
  while (end - begin > 1) {
    const std::uint64_t middle = begin + split_of(end - begin);
    const bool is_left = index < middle;
    path.push_back(is_left ? hash_of(middle, end) : hash_of(begin, middle));
    (is_left ? end : begin) = middle;
  }
  return {path.rbegin(), path.rend()};
}

std::vector<Digest> MerkleTree::consistency(std::uint64_t old, std::uint64_t size) const {
  base::require(0 < old && old <= size && size <= this->size(), "a proof between sizes that never were");
  std::vector<Digest> path;
  std::uint64_t begin = 0;
  std::uint64_t end = size;
  while (old != end) {
    const std::uint64_t middle = begin + split_of(end - begin);
    const bool is_left = old <= middle;
    path.push_back(is_left ? hash_of(middle, end) : hash_of(begin, middle));
    (is_left ? end : begin) = middle;
  }
  if (begin != 0) path.push_back(hash_of(begin, end));   // the old root itself is known to whoever asks
  return {path.rbegin(), path.rend()};
}

Result<Digest> root_by_inclusion(const Digest& leaf, std::uint64_t index, std::uint64_t size, const std::vector<Digest>& path) {
  if (index >= size) return no_proof(size);
  std::uint64_t at = index;
  std::uint64_t last = size - 1;
  Digest hash = leaf;
  for (const Digest& sibling : path) {
    if (last == 0) return no_proof(size);
    if (at % 2 != 0 || at == last) {
      hash = node_hash(sibling, hash);
      for (; at % 2 == 0 && at != 0; at >>= 1) last >>= 1;   // levels where it had no sibling
    } else {
      hash = node_hash(hash, sibling);
    }
    at >>= 1;
    last >>= 1;
  }
  if (last != 0) return no_proof(size);
  return hash;
}

Result<void> expect_consistent(const Digest& old_root, std::uint64_t old, const Digest& root, std::uint64_t size,
                               const std::vector<Digest>& path) {
  const auto mismatch = [&] {
    return fail(Errc::mismatch, fmt::format("the log of {} lines does not begin with the one of {} lines", size, old));
  };
  if (old == 0 || old > size) return no_proof(size);
  if (old == size) {
    if (path.empty() && old_root == root) return {};
    return mismatch();
  }
  std::uint64_t at = old - 1;
  std::uint64_t last = size - 1;
  for (; at % 2 != 0; at >>= 1) last >>= 1;
  std::size_t next = 0;
  if (!std::has_single_bit(old) && path.empty()) return mismatch();
  Digest old_hash = std::has_single_bit(old) ? old_root : path[next++];
  Digest hash = old_hash;
  for (; next < path.size(); ++next) {
    if (last == 0) return mismatch();
    if (at % 2 != 0 || at == last) {
      old_hash = node_hash(path[next], old_hash);
      hash = node_hash(path[next], hash);
      for (; at % 2 == 0 && at != 0; at >>= 1) last >>= 1;
    } else {
      hash = node_hash(hash, path[next]);
    }
    at >>= 1;
    last >>= 1;
  }
  if (last != 0 || old_hash != old_root || hash != root) return mismatch();
  return {};
}

}  // namespace transparency
