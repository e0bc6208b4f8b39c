#include "tpm/quorum.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "crypto/attest/owner_command.hpp"
#include "crypto/attest/sign_command.hpp"
#include "crypto/base/limits.hpp"
#include "tpm/firmware_gate.hpp"
#include "tpm/key_objects.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

using base::Errc;
using base::fail;
using crypto::Digest;

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
  const FirmwareGate& firmware;
  Quorum quorum;
  crypto::Sha1 sha1;
  attest::QuorumTree tree;
  LoadedKey key;
  crypto::PublicKey public_key;
  attest::Name gate_name;
  NvIndex roster;
  NvIndex gate;
  Loaded main;   // the session that will sign; approvals are bound to it
  std::uint32_t main_handle = 0;
  Pace pace;
  bool ticket_measured = false;
  bool signature_measured = false;
  std::optional<Loaded> gate_session;   // opens both gates, one after the other; not while PINs are entered: three sessions load

  Result<Digest> cp_hash(const Digest& digest) const {
    return attest::sign_cp_hash(key.area.name(), key.area.algorithm(), digest, sha1);
  }
  // What an officer approves: that the gate opens for this session and this TPM2_Sign.
  Result<Digest> gate_cp_hash(const Digest& digest, ByteView nonce) const {
    const Digest inner = TRY(cp_hash(digest));
    return attest::open_gate_cp_hash(gate_name, main_handle, nonce, inner);
  }
  // With the approvals that were given for `approved`.
  Result<Bytes> signature(const Digest& digest, const Digest& approved, std::span<const Approval> approvals);
  Result<Bytes> walk(const Digest& digest, const Digest& approved, std::span<const Approval> approvals);
};

QuorumKey::QuorumKey(std::unique_ptr<State> state) : state_(std::move(state)) {}
QuorumKey::QuorumKey(QuorumKey&&) noexcept = default;
QuorumKey& QuorumKey::operator=(QuorumKey&&) noexcept = default;
QuorumKey::~QuorumKey() = default;

const Bytes& QuorumKey::name() const { return state_->key.area.name(); }
const crypto::PublicKey& QuorumKey::public_key() const { return state_->public_key; }
const Quorum& QuorumKey::quorum() const { return state_->quorum; }
const Pace& QuorumKey::pace() const { return state_->pace; }

Result<NewKey> QuorumKey::create(Device& device, const FirmwareGate& firmware, unsigned key_class,
                                 crypto::KeyAlgorithm algorithm) {
  Context& context = device.context();
  TRY(base::within("quorum gate", NvIndex::open(context, attest::quorum_gate(key_class))));
  const Digest policy = firmware.map().signing_key_policy(key_class);
  return create_key(context, {algorithm, kQuorumKeyAttributes, base::to_bytes(policy.bytes())});
}

Result<QuorumKey> QuorumKey::load(Device& device, const FirmwareGate& firmware, unsigned key_class, const KeyBlob& blob,
                                  const Quorum& quorum, crypto::Sha1 sha1) {
  Context& context = device.context();
  attest::QuorumTree tree = TRY(tree_of(quorum));
  const Bytes in_force = TRY(base::within("roster", read_index(context, attest::roster_index(key_class))));
  if (in_force != attest::roster_bytes(tree.digest()))
    return fail(Errc::mismatch, "the roster in the TPM is not the roster on disk: the officers, their order or their number "
                                "differ; administrators must put it right");
  NvIndex roster = TRY(base::within("roster", NvIndex::open(context, attest::roster_index(key_class))));
  NvIndex gate = TRY(base::within("quorum gate", NvIndex::open(context, attest::quorum_gate(key_class))));
  const Digest policy = firmware.map().signing_key_policy(key_class);
  LoadedKey key = TRY(load_key(context, blob, kQuorumKeyAttributes, policy.bytes()));
  crypto::PublicKey public_key = TRY(crypto::PublicKey::parse(key.area.spki()));
  Loaded main = TRY(policy_session(context));
  const std::uint32_t main_handle = TRY(tpm_handle_of(context, main));
  const Pace pace = device.is_software() ? kSoftwarePace : kChipPace;
  return QuorumKey(std::unique_ptr<State>(new State{device, firmware, quorum, sha1, std::move(tree), std::move(key),
                                                    std::move(public_key), attest::name_of(attest::quorum_gate(key_class)),
                                                    std::move(roster), std::move(gate), std::move(main), main_handle, pace,
                                                    false, false, std::nullopt}));
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
  Device& device = state_->device;
  Approval approval;
  approval.officer_ = who->name;
  approval.nv_index_ = who->nv_index;
  if (digests.size() == 1) approval.nonce_ = TRY(nonce_of(device.context(), state_->main));
  std::vector<Digest> cp_hashes;
  for (const Digest& digest : digests) {
    const Digest cp_hash = TRY(state_->gate_cp_hash(digest, approval.nonce_));
    cp_hashes.push_back(cp_hash);
  }

  state_->gate_session.reset();
  const std::uint64_t started = state_->ticket_measured ? 0 : TRY(device.running_ms());
  {
    const auto entry = TRY(PinEntry::open(device, *who, pin));
    pin.wipe();
    for (std::size_t i = 0; i < digests.size(); ++i) {
      if (approval.covers(digests[i])) continue;
      Ticket ticket = TRY(entry->ticket(cp_hashes[i], kApprovalLifetime));
      approval.entries_.push_back({digests[i], std::move(ticket)});
    }
  }
  if (!state_->ticket_measured) {
    const std::uint64_t ended = TRY(device.running_ms());
    state_->pace.seconds_per_ticket = seconds_between(started, ended) / static_cast<double>(approval.entries_.size());
    state_->ticket_measured = true;
  }
  return approval;
}

// The policies, walked with whatever approvals there are. Nothing in here counts officers: with too few, the TPM says no.
Result<Bytes> QuorumKey::State::walk(const Digest& digest, const Digest& approved, std::span<const Approval> approvals) {
  std::vector<const Ticket*> tickets(quorum.officers.size(), nullptr);
  Bytes nonce;
  for (std::size_t i = 0; i < quorum.officers.size(); ++i)
    for (const Approval& approval : approvals) {
      if (approval.nv_index_ != quorum.officers[i].nv_index) continue;
      for (const Approval::Entry& entry : approval.entries_)
        if (entry.digest == approved) {   // the latest, when an officer entered twice
          tickets[i] = &entry.ticket;
          nonce = approval.nonce_;
        }
    }
  Context& context = device.context();
  const Digest inner = TRY(cp_hash(digest));
  const Digest outer = TRY(gate_cp_hash(digest, nonce));
  if (!gate_session) gate_session.emplace(TRY(policy_session(context)));
  TRY(satisfy_quorum(context, *gate_session, tree, quorum.officers, tickets, outer));
  TRY(policy_roster(context, *gate_session, roster));
  TRY(base::within("quorum gate", open_gate(context, gate, main, *gate_session, inner, nonce)));
  // Last, so that whatever the firmware measured while people were typing does no harm.
  TRY(firmware.open_for(main, *gate_session, inner));
  TRY(policy_command(context, main, attest::CommandCode::sign));
  return sign_digest(context, key, main, digest);
}

Result<Bytes> QuorumKey::State::signature(const Digest& digest, const Digest& approved, std::span<const Approval> approvals) {
  Result<Bytes> signature = walk(digest, approved, approvals);
  if (!signature) {   // half-walked sessions are good for nothing
    gate_session.reset();
    (void)restart(device.context(), main);
  }
  return signature;
}

Result<Bytes> QuorumKey::sign(const Digest& digest, std::span<const Approval> approvals) {
  const bool measure = !state_->signature_measured;
  const std::uint64_t started = measure ? TRY(state_->device.running_ms()) : 0;
  const Bytes signature = TRY(state_->signature(digest, digest, approvals));
  // An interposer or a faulty chip may have signed something else.
  TRY(base::within("signature made by the TPM", state_->public_key.verify(digest, signature)));
  if (measure) {
    const std::uint64_t ended = TRY(state_->device.running_ms());
    state_->pace.seconds_per_signature = seconds_between(started, ended);
    state_->signature_measured = true;
  }
  return signature;
}

Result<void> QuorumKey::expect_refused(const Digest& digest, const Digest& approved, std::span<const Approval> approvals) {
  const Result<Bytes> signature = state_->signature(digest, approved, approvals);
  if (signature) return fail(Errc::tpm, "the TPM has signed what it must not sign");
  if (signature.error().code() != Errc::refused)
    return tl::unexpected<base::Error>(signature.error().within("the TPM should have refused the approvals, but"));
  return {};
}

std::chrono::milliseconds QuorumKey::estimate(std::size_t digests) const {
  const double each = state_->pace.seconds_per_ticket * state_->quorum.m + state_->pace.seconds_per_signature;
  return std::chrono::milliseconds(static_cast<std::int64_t>(each * 1000.0 * static_cast<double>(digests)) + 1);
}

}  // namespace tpm
