#include "crypto/attest/policy.hpp"

#include <array>

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

Bytes pcr_selection(const PcrNumbers& pcrs) {
  std::array<std::uint8_t, 3> bits{};
  for (const unsigned pcr : pcrs) {
    base::require(pcr < 24, "a PCR of 0 to 23");
    bits[pcr / 8] = static_cast<std::uint8_t>(bits[pcr / 8] | (1U << (pcr % 8)));
  }
  constexpr std::uint16_t kSha256 = 0x000B;
  return ByteWriter().u32be(1).u16be(kSha256).u8(3).put(bits).bytes();
}

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

Policy& Policy::cp_hash(const Digest& command) { return extend(CommandCode::policy_cp_hash, command.bytes()); }

Policy& Policy::pcr(const PcrNumbers& pcrs, const Digest& values) {
  return extend(CommandCode::policy_pcr, ByteWriter().put(pcr_selection(pcrs)).put(values.bytes()).bytes());
}

Policy& Policy::nv(const Name& index, ByteView operand, Comparison comparison, std::uint16_t offset) {
  const Digest arguments = crypto::sha256(
      ByteWriter().put(operand).u16be(offset).u16be(static_cast<std::uint16_t>(comparison)).bytes());
  return extend(CommandCode::policy_nv, ByteWriter().put(arguments.bytes()).put(index).bytes());
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
