#include "tpm/officer_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"

namespace tpm {

using base::Errc;
using base::fail;
using base::SecretBytes;

Result<SecretBytes> officer_auth(const Officer& officer, const SecretBytes& pin) {
  namespace limits = base::limits;
  if (pin.size() < limits::kPinDigits || pin.size() > limits::kPinBytes)
    return fail(Errc::usage, fmt::format("PIN of {} characters; {} to {} wanted", pin.size(), limits::kPinDigits,
                                         limits::kPinBytes));
  crypto::Hasher hasher(crypto::DigestAlgorithm::sha256);
  hasher.update(base::as_bytes("officer")).update(base::ByteWriter().u32be(officer.nv_index).bytes());
  hasher.update(pin.reveal());
  const crypto::Digest digest = std::move(hasher).finish();
  constexpr std::string_view kDigits = "0123456789abcdef";
  SecretBytes auth(32);
  for (std::size_t i = 0; i < auth.size(); ++i) {
    const unsigned byte = digest.bytes()[i / 2];
    auth.writable()[i] = static_cast<std::uint8_t>(kDigits[i % 2 == 0 ? byte >> 4 : byte & 0xf]);
  }
  return auth;
}

base::Error officer_error(Device& device, const Officer& officer, TSS2_RC code, const Loaded& session) {
  const std::uint32_t error = tpm_error(code);
  if (error != TPM2_RC_BAD_AUTH && error != TPM2_RC_AUTH_FAIL) return explain(code, Step::officer);
  const auto read = [&]() -> Result<OfficerState> {
    TRY(restart(device.context(), session));
    return officer_state_in(device.context(), officer, session);
  };
  const Result<OfficerState> state = read();
  if (!state) return {Errc::refused, "PIN wrong; how many tries are left cannot be read"};
  if (state->blocked()) return {Errc::refused, "PIN wrong, no tries left; officer is blocked, administrators must unlock"};
  const std::uint32_t left = state->tries_left();
  return {Errc::refused, fmt::format("PIN wrong, {} {} left", left, left == 1 ? "try" : "tries")};
}

PinEntry::PinEntry(Device& device, Officer officer, NvIndex index, SecretBytes auth, Loaded hmac, Loaded scratch)
    : device_(device),
      officer_(std::move(officer)),
      index_(std::move(index)),
      auth_(std::move(auth)),
      hmac_(std::move(hmac)),
      scratch_(std::move(scratch)),
      with_auth_(device.context(), index_, auth_) {}

PinEntry::~PinEntry() { overwrite_auth_in(device_.context(), hmac_, scratch_); }

Result<std::unique_ptr<PinEntry>> PinEntry::open(Device& device, const Officer& officer, const SecretBytes& pin) {
  Context& context = device.context();
  SecretBytes auth = TRY(officer_auth(officer, pin));
  NvIndex index = TRY(NvIndex::open(context, attest::person_index(officer.nv_index)));
  Loaded scratch = TRY(policy_session(context));
  Loaded hmac = TRY(hmac_session(context));
  return std::unique_ptr<PinEntry>(
      new PinEntry(device, officer, std::move(index), std::move(auth), std::move(hmac), std::move(scratch)));
}

Result<Ticket> PinEntry::ticket(const crypto::Digest& cp_hash, std::chrono::seconds lifetime) {
  Context& context = device_.context();
  // A session remembers the cpHash it was given and takes no second one.
  TRY(check(Esys_PolicyRestart(context.esys(), scratch_.handle(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE), Step::other));
  const Bytes nonce_bytes = TRY(nonce_of(context, scratch_));
  const TPM2B_NONCE nonce = to_digest(nonce_bytes);   // with it, the lifetime counts from the session's start
  const TPM2B_DIGEST bound = to_digest(cp_hash.bytes());
  const TPM2B_NONCE no_label{};
  const auto expiration = static_cast<INT32>(-lifetime.count());   // negative: a ticket is wanted
  TPM2B_TIMEOUT* timeout_raw = nullptr;
  TPMT_TK_AUTH* ticket_raw = nullptr;
  const TSS2_RC code =
      Esys_PolicySecret(context.esys(), index_.handle(), scratch_.handle(), hmac_.handle(), ESYS_TR_NONE, ESYS_TR_NONE,
                        &nonce, &bound, &no_label, expiration, &timeout_raw, &ticket_raw);
  const Owned<TPM2B_TIMEOUT> timeout(timeout_raw);
  const Owned<TPMT_TK_AUTH> ticket(ticket_raw);
  if (code != TSS2_RC_SUCCESS) return tl::unexpected<base::Error>(officer_error(device_, officer_, code, scratch_));
  return Ticket{base::to_bytes(bytes_of(*timeout)), ticket->tag, ticket->hierarchy,
                base::to_bytes(bytes_of(ticket->digest))};
}

Result<void> PinEntry::prove() {
  Context& context = device_.context();
  TPM2B_MAX_NV_BUFFER* raw = nullptr;
  const TSS2_RC code = Esys_NV_Read(context.esys(), index_.handle(), index_.handle(), hmac_.handle(), ESYS_TR_NONE,
                                    ESYS_TR_NONE, attest::kPersonBytes, 0, &raw);
  const Owned<TPM2B_MAX_NV_BUFFER> data(raw);
  if (code != TSS2_RC_SUCCESS) return tl::unexpected<base::Error>(officer_error(device_, officer_, code, scratch_));
  return {};
}

Result<attest::QuorumTree> tree_of(const Quorum& quorum) {
  std::vector<attest::Name> names;
  for (const Officer& officer : quorum.officers) names.push_back(attest::name_of(attest::person_index(officer.nv_index)));
  return attest::QuorumTree::build(quorum.m, std::move(names));
}

Result<void> satisfy_quorum(Context& context, const Loaded& session, const attest::QuorumTree& tree,
                            const std::vector<Officer>& roster, const std::vector<const Ticket*>& tickets,
                            const crypto::Digest& cp_hash) {
  std::vector<std::size_t> present;
  for (std::size_t i = 0; i < roster.size() && present.size() < tree.needed(); ++i)
    if (tickets[i] != nullptr) present.push_back(i);
  const auto lists = TRY(tree.path(present));
  for (const std::size_t i : present)
    TRY(base::within(roster[i].name, redeem(context, session, tree.officers()[i], cp_hash, *tickets[i])));
  // With one branch there is no PolicyOR that would refuse; PolicyAuthorizeNV does.
  for (const std::vector<crypto::Digest>& list : lists) TRY(policy_or(context, session, list));
  return {};
}

Result<void> policy_roster(Context& context, const Loaded& session, const NvIndex& roster) {
  return check(Esys_PolicyAuthorizeNV(context.esys(), roster.handle(), roster.handle(), session.handle(), ESYS_TR_PASSWORD,
                                      ESYS_TR_NONE, ESYS_TR_NONE),
               Step::roster);
}

Result<void> redeem(Context& context, const Loaded& session, const attest::Name& officer, const crypto::Digest& cp_hash,
                    const Ticket& ticket) {
  const TPM2B_TIMEOUT timeout = sized_from(ticket.timeout, &TPM2B_TIMEOUT::buffer);
  const TPM2B_DIGEST bound = to_digest(cp_hash.bytes());
  const TPM2B_NONCE no_label{};
  const TPM2B_NAME name = to_name(officer);
  TPMT_TK_AUTH proof{};
  proof.tag = ticket.tag;
  proof.hierarchy = ticket.hierarchy;
  proof.digest = to_digest(ticket.digest);
  return check(Esys_PolicyTicket(context.esys(), session.handle(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &timeout,
                                 &bound, &no_label, &name, &proof),
               Step::ticket);
}

Result<void> policy_or(Context& context, const Loaded& session, const std::vector<crypto::Digest>& branches) {
  base::require(branches.size() >= 2 && branches.size() <= attest::kLargestOr, "PolicyOR takes 2 to 8 branches");
  TPML_DIGEST list{};
  for (const crypto::Digest& branch : branches) list.digests[list.count++] = to_digest(branch.bytes());
  return check(Esys_PolicyOR(context.esys(), session.handle(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &list),
               Step::policy_or);
}

Result<void> policy_command(Context& context, const Loaded& session, attest::CommandCode command) {
  return check(Esys_PolicyCommandCode(context.esys(), session.handle(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                      static_cast<TPM2_CC>(command)),
               Step::other);
}

}  // namespace tpm
