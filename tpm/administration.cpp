#include "tpm/administration.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/limits.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

using attest::CommandCode;
using attest::OwnerCommand;
using base::Errc;
using base::fail;

Result<void> define(Context& context, const OwnerCommand& command, ESYS_TR session) {
  TPM2B_NV_PUBLIC area{};
  area.nvPublic.nvIndex = command.area.index;
  area.nvPublic.nameAlg = TPM2_ALG_SHA256;
  area.nvPublic.attributes = command.area.attributes;
  area.nvPublic.authPolicy = to_digest(command.area.policy);
  area.nvPublic.dataSize = command.area.size;
  const TPM2B_AUTH no_value{};
  ESYS_TR handle = kNone;
  TRY(check(Esys_NV_DefineSpace(context.esys(), ESYS_TR_RH_OWNER, session, kNone, kNone, &no_value, &area, &handle), Step::nv));
  const NvIndex close_at_end(context, handle);
  return {};
}

Result<void> carry_out(Context& context, const OwnerCommand& command, ESYS_TR session) {
  ESYS_CONTEXT* const esys = context.esys();
  switch (command.command) {
    case CommandCode::nv_define:
      return define(context, command, session);
    case CommandCode::nv_undefine: {
      NvIndex index = TRY(NvIndex::open(context, command.area));
      TRY(check(Esys_NV_UndefineSpace(esys, ESYS_TR_RH_OWNER, index.handle(), session, kNone, kNone), Step::nv));
      index.forget();
      return {};
    }
    case CommandCode::nv_write: {
      const NvIndex index = TRY(NvIndex::open(context, command.area));
      const TPM2B_MAX_NV_BUFFER data = to_nv_buffer(command.data);
      return check(Esys_NV_Write(esys, ESYS_TR_RH_OWNER, index.handle(), session, kNone, kNone, &data, 0), Step::nv);
    }
    case CommandCode::clear:
      return check(Esys_Clear(esys, ESYS_TR_RH_LOCKOUT, session, kNone, kNone), Step::owner);
    case CommandCode::lockout_reset:
      return check(Esys_DictionaryAttackLockReset(esys, ESYS_TR_RH_LOCKOUT, session, kNone, kNone), Step::owner);
    case CommandCode::clock_set: {
      base::ByteReader in(command.data);
      const std::uint64_t milliseconds = TRY(in.u64be());
      return check(Esys_ClockSet(esys, ESYS_TR_RH_OWNER, session, kNone, kNone, milliseconds), Step::owner);
    }
    default:
      base::stop("not a command of the owner");
  }
}

}  // namespace

Result<void> run_as_owner(Device& device, const OwnerCommand& command) {
  Context& context = device.context();
  const Loaded session = TRY(hmac_session(context));
  return base::within(command.purpose, carry_out(context, command, session.handle()));
}

Result<Administration> Administration::load(Device& device, const Quorum& administrators) {
  attest::QuorumTree tree = TRY(tree_of(administrators));
  const Bytes in_force = TRY(base::within("ADMIN_ROSTER", read_index(device.context(), attest::administrators_index())));
  if (in_force != attest::roster_bytes(attest::owner_roster(tree)))
    return fail(Errc::mismatch, "the administrators' roster in the TPM is not the roster on disk");
  return Administration(device, administrators, std::move(tree));
}

Result<Approval> Administration::approve(const std::string& administrator, base::SecretBytes pin,
                                         std::span<const OwnerCommand> commands) {
  const auto& everybody = administrators_.officers;
  const auto who =
      std::find_if(everybody.begin(), everybody.end(), [&](const Officer& known) { return known.name == administrator; });
  if (who == everybody.end())
    return fail(Errc::not_found, fmt::format("no administrator of that name among the {}", everybody.size()));
  if (commands.empty() || commands.size() > base::limits::kOwnerCommands)
    return fail(Errc::usage, fmt::format("{} commands to approve; 1 to {} wanted", commands.size(), base::limits::kOwnerCommands));
  Approval approval;
  approval.officer_ = who->name;
  approval.nv_index_ = who->nv_index;
  const auto entry = TRY(PinEntry::open(*device_, *who, pin));
  pin.wipe();
  for (const OwnerCommand& command : commands) {
    const crypto::Digest bound = command.cp_hash();
    if (approval.covers(bound)) continue;
    Ticket ticket = TRY(entry->ticket(bound, kApprovalLifetime));
    approval.entries_.push_back({bound, std::move(ticket)});
  }
  return approval;
}

Result<void> Administration::run(const OwnerCommand& command, std::span<const Approval> approvals) {
  const crypto::Digest bound = command.cp_hash();
  std::vector<const Ticket*> tickets(administrators_.officers.size(), nullptr);
  for (std::size_t i = 0; i < tickets.size(); ++i)
    for (const Approval& approval : approvals) {
      if (approval.nv_index_ != administrators_.officers[i].nv_index) continue;
      for (const Approval::Entry& entry : approval.entries_)
        if (entry.digest == bound) tickets[i] = &entry.ticket;
    }
  Context& context = device_->context();
  const NvIndex roster = TRY(base::within("ADMIN_ROSTER", NvIndex::open(context, attest::administrators_index())));
  const Loaded session = TRY(policy_session(context));
  const auto walked = [&]() -> Result<void> {
    TRY(satisfy_quorum(context, session, tree_, administrators_.officers, tickets, bound));
    TRY(policy_command(context, session, command.command));
    for (const auto& list : attest::owner_tree(tree_).path(attest::owner_position(command.command)))
      TRY(policy_or(context, session, list));
    return policy_roster(context, session, roster);
  };
  TRY(base::within("administrators", walked()));
  return base::within(command.purpose, carry_out(context, command, session.handle()));
}

}  // namespace tpm
