#include "crypto/attest/policy.hpp"

#include "crypto/base/byte_writer.hpp"

namespace attest {
namespace {

using base::ByteWriter;
using crypto::Digest;
using crypto::DigestAlgorithm;

Digest zero_digest() {
  constexpr std::uint8_t kZeros[32] = {};
  return *Digest::from_bytes(DigestAlgorithm::sha256, kZeros);
}

std::uint32_t number(CommandCode command) { return static_cast<std::uint32_t>(command); }

}  // namespace

Policy::Policy() : digest_(zero_digest()) {}

Policy::Policy(Digest start) : digest_(std::move(start)) {
  base::require(digest_.algorithm() == DigestAlgorithm::sha256, "a policy is a SHA-256 digest");
}

Policy& Policy::extend(CommandCode command, ByteView argument) {
  digest_ = crypto::sha256(ByteWriter().put(digest_.bytes()).u32be(number(command)).put(argument).bytes());
  return *this;
}

// PolicyUpdate() of Part 3 section 23.2.3: the label is mixed in by a second hash, even when it is empty.
Policy& Policy::extend_with_label(CommandCode command, ByteView argument, ByteView label) {
  extend(command, argument);
  digest_ = crypto::sha256(ByteWriter().put(digest_.bytes()).put(label).bytes());
  return *this;
}

Policy& Policy::secret(const Name& entity, ByteView label) {
  return extend_with_label(CommandCode::policy_secret, entity, label);
}

Policy& Policy::signed_by(const Name& key, ByteView label) {
  return extend_with_label(CommandCode::policy_signed, key, label);
}

Policy& Policy::command(CommandCode only) {
  return extend(CommandCode::policy_command_code, ByteWriter().u32be(number(only)).bytes());
}

Policy& Policy::auth_value() { return extend(CommandCode::policy_auth_value, {}); }

Policy& Policy::name_hash(std::span<const Name> handles) {
  ByteWriter names;
  for (const Name& name : handles) names.put(name);
  return extend(CommandCode::policy_name_hash, crypto::sha256(names.bytes()).bytes());
}

// The three below replace what was there before (Part 3 sections 23.6, 23.16, 23.22).
Policy& Policy::any_of(std::span<const Digest> branches) {
  base::require(branches.size() >= 2 && branches.size() <= kLargestOr, "PolicyOR takes 2 to 8 branches");
  ByteWriter list;
  for (const Digest& branch : branches) list.put(branch.bytes());
  digest_ = zero_digest();
  return extend(CommandCode::policy_or, list.bytes());
}

Policy& Policy::authorize(const Name& key, ByteView label) {
  digest_ = zero_digest();
  return extend_with_label(CommandCode::policy_authorize, key, label);
}

Policy& Policy::authorize_nv(const Name& index) {
  digest_ = zero_digest();
  return extend(CommandCode::policy_authorize_nv, index);
}

}  // namespace attest
