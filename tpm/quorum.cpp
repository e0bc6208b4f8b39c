#include "tpm/quorum.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "crypto/attest/sign_command.hpp"
#include "crypto/base/limits.hpp"
#include "tpm/key_objects.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

using base::Errc;
using base::fail;
using crypto::Digest;

Result<attest::QuorumTree> tree_of(const Quorum& quorum) {
  std::vector<attest::Name> names;
  for (const Officer& officer : quorum.officers)
    names.push_back(attest::name_of(attest::officer_index(officer.nv_index)));
  return attest::QuorumTree::build(quorum.m, std::move(names));
}

// Guesses: a discrete chip signs with RSA-3072 in about a second with its sessions (wolfTPM's published RSA-2048
// times, cubed up), and makes a ticket in a few tens of milliseconds.
constexpr Pace kChipPace{0.1, 1.0};
constexpr Pace kSoftwarePace{0.002, 0.05};

// By the TPM's clock; a garbled one must not make a request look endless.
double seconds_between(std::uint64_t started, std::uint64_t ended) {
  return ended < started ? 0 : static_cast<double>(ended - started) / 1000.0;
}

}  // namespace

bool Approval::covers(const Digest& digest) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.digest == digest; });
}

struct QuorumKey::State {
  Device& device;
  Quorum quorum;
  attest::QuorumTree tree;
  LoadedKey key;
  crypto::PublicKey public_key;
  Pace pace;

  Result<Digest> cp_hash(const Digest& digest) const {
    return attest::sign_cp_hash(key.area.name(), key.area.algorithm(), digest);
  }
  Result<Bytes> signature(const Digest& digest, std::span<const Approval> approvals) const;
};

QuorumKey::QuorumKey(std::unique_ptr<State> state) : state_(std::move(state)) {}
QuorumKey::QuorumKey(QuorumKey&&) noexcept = default;
QuorumKey& QuorumKey::operator=(QuorumKey&&) noexcept = default;
QuorumKey::~QuorumKey() = default;

const Bytes& QuorumKey::name() const { return state_->key.area.name(); }
const crypto::PublicKey& QuorumKey::public_key() const { return state_->public_key; }
const Quorum& QuorumKey::quorum() const { return state_->quorum; }
const Pace& QuorumKey::pace() const { return state_->pace; }

Result<KeyBlob> QuorumKey::create(Device& device, const Quorum& quorum, crypto::KeyAlgorithm algorithm) {
  const attest::QuorumTree tree = TRY(tree_of(quorum));
  for (const Officer& officer : quorum.officers)
    TRY(base::within(officer.name, NvIndex::open(device.context(), attest::officer_index(officer.nv_index))));
  return create_key(device.context(),
                    {algorithm, kQuorumKeyAttributes, base::to_bytes(tree.signing_policy().bytes())});
}

Result<QuorumKey> QuorumKey::load(Device& device, const KeyBlob& blob, const Quorum& quorum) {
  attest::QuorumTree tree = TRY(tree_of(quorum));
  const Digest policy = tree.signing_policy();
  LoadedKey key = TRY(load_key(device.context(), blob, kQuorumKeyAttributes, policy.bytes()));
  crypto::PublicKey public_key = TRY(crypto::PublicKey::parse(key.area.spki()));
  const Pace pace = device.is_software() ? kSoftwarePace : kChipPace;
  return QuorumKey(std::unique_ptr<State>(
      new State{device, quorum, std::move(tree), std::move(key), std::move(public_key), pace}));
}

Result<Approval> QuorumKey::approve(const std::string& officer, base::SecretBytes pin, std::span<const Digest> digests) {
  const auto& officers = state_->quorum.officers;
  const auto who = std::find_if(officers.begin(), officers.end(), [&](const Officer& o) { return o.name == officer; });
  if (who == officers.end())
    return fail(Errc::not_found, fmt::format("no officer of that name among the {} of this key", officers.size()));
  if (digests.empty()) return fail(Errc::usage, "nothing to approve");
  if (digests.size() > base::limits::kSigningSet)
    return fail(Errc::too_large, fmt::format("{} digests to approve; at most {} wanted", digests.size(),
                                             base::limits::kSigningSet));
  std::vector<Digest> cp_hashes;
  for (const Digest& digest : digests) {
    const Digest cp_hash = TRY(state_->cp_hash(digest));
    cp_hashes.push_back(cp_hash);
  }

  Device& device = state_->device;
  Approval approval;
  approval.officer_ = who->name;
  approval.nv_index_ = who->nv_index;
  const std::uint64_t started = TRY(device.running_ms());
  {
    const auto entry = TRY(PinEntry::open(device, *who, pin));
    pin.wipe();
    for (std::size_t i = 0; i < digests.size(); ++i) {
      if (approval.covers(digests[i])) continue;
      Ticket ticket = TRY(entry->ticket(cp_hashes[i], kApprovalLifetime));
      approval.entries_.push_back({digests[i], std::move(ticket)});
    }
  }
  const std::uint64_t ended = TRY(device.running_ms());
  state_->pace.seconds_per_ticket = seconds_between(started, ended) / static_cast<double>(approval.entries_.size());
  return approval;
}

// The policy, walked with whatever approvals there are. Nothing in here counts officers: with too few, PolicyOR or
// TPM2_Sign says no.
Result<Bytes> QuorumKey::State::signature(const Digest& digest, std::span<const Approval> approvals) const {
  const Digest bound = TRY(cp_hash(digest));
  std::vector<std::size_t> present;
  std::vector<const Ticket*> tickets;
  for (std::size_t i = 0; i < quorum.officers.size() && present.size() < tree.needed(); ++i) {
    const Ticket* found = nullptr;
    for (const Approval& approval : approvals) {
      if (approval.nv_index_ != quorum.officers[i].nv_index) continue;
      for (const Approval::Entry& entry : approval.entries_)
        if (entry.digest == digest) found = &entry.ticket;   // the latest, when an officer entered twice
    }
    if (found == nullptr) continue;
    present.push_back(i);
    tickets.push_back(found);
  }
  const auto lists = TRY(tree.path(present));

  Context& context = device.context();
  const Loaded session = TRY(policy_session(context));
  for (std::size_t i = 0; i < present.size(); ++i) {
    const Officer& officer = quorum.officers[present[i]];
    TRY(base::within(officer.name, redeem(context, session, tree.officers()[present[i]], bound, *tickets[i])));
  }
  for (const std::vector<Digest>& list : lists) TRY(policy_or(context, session, list));
  TRY(policy_command(context, session, attest::CommandCode::sign));
  return sign_digest(context, key, session, digest);
}

Result<Bytes> QuorumKey::sign(const Digest& digest, std::span<const Approval> approvals) {
  const std::uint64_t started = TRY(state_->device.running_ms());
  const Bytes signature = TRY(state_->signature(digest, approvals));
  // An interposer or a faulty chip may have signed something else.
  TRY(base::within("signature made by the TPM", state_->public_key.verify(digest, signature)));
  const std::uint64_t ended = TRY(state_->device.running_ms());
  state_->pace.seconds_per_signature = seconds_between(started, ended);
  return signature;
}

std::chrono::milliseconds QuorumKey::estimate(std::size_t digests) const {
  const double each = state_->pace.seconds_per_ticket * state_->quorum.m + state_->pace.seconds_per_signature;
  return std::chrono::milliseconds(static_cast<std::int64_t>(each * 1000.0 * static_cast<double>(digests)) + 1);
}

}  // namespace tpm
