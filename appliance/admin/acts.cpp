#include "appliance/admin/acts.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "appliance/admin/act_log.hpp"
#include "appliance/admin/people.hpp"
#include "appliance/administered.hpp"
#include "appliance/anchored_log.hpp"
#include "appliance/configuration.hpp"
#include "appliance/remedy.hpp"
#include "appliance/trusted_clock.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/base/words.hpp"
#include "tpm/officers.hpp"
#include "tpm/provisioning.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using attest::OwnerCommand;
using base::Bytes;
using base::Errc;
using base::fail;
using base::printable;
using base::Result;
using transparency::AuditEvent;

Result<void> show_box(const AdminDesk& desk) {
  const std::string words = TRY(desk.custody.words());
  const bool development = desk.custody.mode() == attest::Mode::development;
  desk.terminal.show(fmt::format("{} mode{}, {} TPM", attest::mode_name(desk.custody.mode()), development ? " (not for release keys)" : "",
                                 desk.custody.kind()));
  desk.terminal.show("this box says: " + words + "   (other words: type no PIN)");
  return {};
}

namespace {

Bytes armed() { return base::ByteWriter().u32be(0).u32be(tpm::kPinTries).bytes(); }

class Act {  // one act: approved, logged, then carried out command by command
 public:
  // may_need: what is approved in case something goes wrong half way, and not run otherwise.
  static Result<Act> begin(const AdminDesk& desk, AuditEvent event, const std::string& what, std::vector<OwnerCommand> commands,
                           std::vector<OwnerCommand> may_need = {}, const std::map<std::string, std::string>& more = {}) {
    Result<tpm::Administration> loaded = desk.custody.administration();
    if (!loaded) return tl::unexpected<base::Error>(loaded.error());
    Act act(desk, std::move(*loaded));
    TRY(show_box(desk));
    desk.terminal.show(fmt::format("{}. The administrators approve:", what));
    std::vector<OwnerCommand> all = commands;
    all.insert(all.end(), may_need.begin(), may_need.end());
    crypto::Hasher together(crypto::DigestAlgorithm::sha256);
    for (const OwnerCommand& command : all) {
      desk.terminal.show("   " + command.purpose);
      together.update(command.cp_hash().bytes());
    }
    const crypto::Digest fingerprint = std::move(together).finish();
    desk.terminal.show("as words: " + base::fingerprint_words(fingerprint.bytes()));
    act.approvals_ = TRY(collect_approvals(act.administration_.administrators().m, "administrator", desk.terminal,
                                           [&](const std::string& name, base::SecretBytes pin) {
                                             return act.administration_.approve(name, std::move(pin), all);
                                           },
                                           [&](const std::string& name, const std::string& reason) {
                                             return log_failed_pin(desk.layout, desk.clock, act.administration_.administrators(), name, reason);
                                           }));
    TRY(act.log(event, what, fingerprint, more));
    return act;
  }
  Result<void> run(const OwnerCommand& command) { return administration_.run(command, approvals_); }
  // From the moment that ADMIN_ROSTER holds another tree, the approvals count for what they are worth in that one.
  Result<void> adopt_roster_in_force() {
    Result<tpm::Administration> loaded = desk_->custody.administration();
    if (!loaded) return tl::unexpected<base::Error>(loaded.error());
    administration_ = std::move(*loaded);
    return {};
  }

 private:
  Act(const AdminDesk& desk, tpm::Administration administration) : desk_(&desk), administration_(std::move(administration)) {}
  Result<void> log(AuditEvent event, const std::string& what, const crypto::Digest& fingerprint, std::map<std::string, std::string> data) {
    std::string names;
    for (const tpm::Approval& approval : approvals_) names += (names.empty() ? "" : ", ") + approval.officer();
    data.insert({{"what", what}, {"administrators", names}, {"commands", fingerprint.hex()}});
    return log_act(*desk_, event, data);
  }
  const AdminDesk* desk_;
  tpm::Administration administration_;
  std::vector<tpm::Approval> approvals_;
};

Result<void> do_all(const AdminDesk& desk, const std::string& what, const std::vector<OwnerCommand>& commands,
                    AuditEvent event = AuditEvent::administration, const std::map<std::string, std::string>& more = {}) {
  Act act = TRY(Act::begin(desk, event, what, commands, {}, more));
  for (const OwnerCommand& command : commands) TRY(act.run(command));
  desk.terminal.show(what + ": done");
  return {};
}

struct RosterInForce {
  tpm::Quorum quorum;
  unsigned slot = 0;
  std::filesystem::path file;
};

Result<RosterInForce> roster_of(const AdminDesk& desk, const std::optional<std::string>& key_class) {
  TRY(desk.custody.device());   // settles what a power cut left of a changed roster
  if (!key_class) {
    tpm::Quorum administrators = TRY(load_administrators(desk.layout));
    return RosterInForce{std::move(administrators), 0, desk.layout.administrators()};
  }
  KeyClass loaded = TRY(KeyClass::load(desk.layout, *key_class));
  return RosterInForce{std::move(loaded.quorum), loaded.slot, desk.layout.key_class(*key_class) / "quorum.toml"};
}

Result<tpm::Officer> person_on(const tpm::Quorum& quorum, const std::string& name) {
  for (const tpm::Officer& person : quorum.officers)
    if (person.name == name) return person;
  return fail(Errc::not_found, fmt::format("{} is not on this roster", printable(name)));
}

// The next index that nobody uses.
Result<std::uint32_t> free_index(tpm::Device& device, bool administrator) {
  const std::uint32_t first = administrator ? attest::kFirstAdministrator : attest::kFirstOfficer;
  const std::uint32_t last = administrator ? attest::kLastAdministrator : attest::kLastOfficer;
  for (std::uint32_t index = first; index <= last; ++index) {
    const auto state = tpm::officer_state(device, {"", index});
    if (!state && state.error().code() == Errc::not_found) return index;
    if (!state && state.error().code() == Errc::tpm && state.error().text().find("not reachable") != std::string::npos)
      return tl::unexpected<base::Error>(state.error());
  }
  return fail(Errc::no_space, "the TPM's indices for people are all in use; remove people first");
}

// On another roster than this one.
Result<std::optional<tpm::Officer>> elsewhere(const AdminDesk& desk, const std::string& key_class, const std::string& name) {
  const std::vector<std::string> classes = TRY(key_classes(desk.layout));
  for (const std::string& other : classes) {
    if (other == key_class) continue;
    const KeyClass loaded = TRY(KeyClass::load(desk.layout, other));
    if (const Result<tpm::Officer> found = person_on(loaded.quorum, name); found) return std::optional<tpm::Officer>(*found);
  }
  return std::optional<tpm::Officer>();
}

Result<attest::Name> expect_quorum(const tpm::Quorum& quorum) {
  if (quorum.m < 2 || quorum.m > quorum.officers.size() || quorum.officers.size() > base::limits::kOfficers)
    return fail(Errc::usage, fmt::format("a quorum of {} of {}: at least 2, not more than there are, and at most {} people", quorum.m,
                                         quorum.officers.size(), base::limits::kOfficers));
  std::vector<attest::Name> names;
  for (const tpm::Officer& person : quorum.officers) names.push_back(attest::name_of(attest::person_index(person.nv_index)));
  const attest::QuorumTree tree = TRY(attest::QuorumTree::build(quorum.m, std::move(names)));
  return attest::roster_bytes(tree.digest());
}

Result<Bytes> roster_content(const tpm::Quorum& quorum, bool administrators) {
  Bytes plain = TRY(expect_quorum(quorum));
  if (!administrators) return plain;
  std::vector<attest::Name> names;
  for (const tpm::Officer& person : quorum.officers) names.push_back(attest::name_of(attest::person_index(person.nv_index)));
  const attest::QuorumTree tree = TRY(attest::QuorumTree::build(quorum.m, std::move(names)));
  return attest::roster_bytes(attest::owner_roster(tree));
}

}  // namespace

Result<void> change_roster(const AdminDesk& desk, const RosterChange& change) {
  const bool administrators = !change.key_class;
  tpm::Device* const device = TRY(desk.custody.device());
  RosterInForce roster = TRY(roster_of(desk, change.key_class));
  tpm::Quorum after = roster.quorum;
  if (change.quorum) after.m = *change.quorum;
  std::optional<tpm::Officer> leaves;
  if (change.remove) {
    leaves = TRY(person_on(roster.quorum, *change.remove));
    std::erase_if(after.officers, [&](const tpm::Officer& person) { return person.name == *change.remove; });
  }
  std::optional<tpm::Officer> comes;
  bool is_new = false;
  if (change.add) {
    TRY(expect_person_name(*change.add));
    if (person_on(after, *change.add)) return fail(Errc::refused, fmt::format("{} is on this roster already", *change.add));
    // Who is on another class's roster keeps index and PIN; a name that is removed here gets new ones.
    if (!administrators && change.remove != change.add) comes = TRY(elsewhere(desk, *change.key_class, *change.add));
    if (!comes) {
      const std::uint32_t index = TRY(free_index(*device, administrators));
      comes = tpm::Officer{*change.add, index};
      is_new = true;
    }
    after.officers.push_back(*comes);
  }
  const attest::NvPublic place = administrators ? attest::administrators_index() : attest::roster_index(roster.slot);
  Bytes content = TRY(roster_content(after, administrators));
  const std::string of = administrators ? std::string("the administrators") : "key class " + *change.key_class;
  const OwnerCommand write =
      OwnerCommand::write(place, std::move(content), fmt::format("roster of {}: {} of {} people", of, after.m, after.officers.size()));
  std::vector<OwnerCommand> commands;
  std::vector<OwnerCommand> may_need;
  if (is_new) {
    const attest::NvPublic area = attest::person_index(comes->nv_index);
    commands.push_back(OwnerCommand::define(area, fmt::format("an index for {} ({:#010x})", comes->name, comes->nv_index)));
    commands.push_back(OwnerCommand::write(attest::unwritten(area), armed(), fmt::format("{} tries for {}", tpm::kPinTries, comes->name)));
    may_need.push_back(OwnerCommand::undefine(area, fmt::format("if {} does not get a PIN: the index is removed again", comes->name)));
  }
  commands.push_back(write);
  bool keeps_index = false;
  if (leaves && !administrators) {
    const std::optional<tpm::Officer> other = TRY(elsewhere(desk, *change.key_class, leaves->name));
    keeps_index = other && other->nv_index == leaves->nv_index;
  }
  if (leaves && !keeps_index)
    commands.push_back(OwnerCommand::undefine(attest::person_index(leaves->nv_index), fmt::format("the index of {} goes", leaves->name)));

  const std::string what = fmt::format("{}: {}{}{}{} of {}", of, leaves ? leaves->name + " leaves, " : "", comes ? comes->name + " comes, " : "",
                                       "from now on ", after.m, after.officers.size());
  Act act = TRY(Act::begin(desk, AuditEvent::administration, what, commands, may_need));
  for (const OwnerCommand& command : commands) {
    if (command.area.index != place.index || command.command != attest::CommandCode::nv_write) {
      const Result<void> done = act.run(command);
      // Who approved may have left with this very act, or more are needed now; what stays opens nothing.
      if (!done && administrators && command.command == attest::CommandCode::nv_undefine && done.error().code() == Errc::refused) {
        desk.terminal.show("the index of " + leaves->name + " stays: those who approved are not a quorum any more. It is on no roster, and opens nothing");
        continue;
      }
      TRY(done);
      continue;
    }
    if (is_new) {
      Result<base::SecretBytes> pin = new_pin(comes->name, desk.terminal);
      const Result<void> set = pin ? tpm::set_first_pin(*device, *comes, *pin) : tl::unexpected<base::Error>(pin.error());
      if (!set) {
        (void)act.run(may_need.front());
        return set;
      }
    }
    TRY(stage_roster(roster.file, after, roster.slot));
    TRY(act.run(command));
    TRY(settle_rosters(desk.layout, *device));
    if (administrators) TRY(act.adopt_roster_in_force());
    desk.terminal.show("in force from now on: " + command.purpose);
  }
  desk.terminal.show(what);
  return {};
}

Result<void> change_own_pin(const AdminDesk& desk, const std::optional<std::string>& key_class, const std::string& name) {
  tpm::Device* const device = TRY(desk.custody.device());
  const RosterInForce roster = TRY(roster_of(desk, key_class));
  const tpm::Officer person = TRY(person_on(roster.quorum, name));
  TRY(show_box(desk));
  const base::SecretBytes old_pin = TRY(ask_pin(person.name, desk.terminal));
  const base::SecretBytes pin = TRY(new_pin(person.name, desk.terminal));
  if (const Result<void> proved = tpm::prove_officer(*device, person, old_pin); !proved) {
    TRY(log_failed_pin(desk.layout, desk.clock, roster.quorum, person.name, proved.error().text()));
    return proved;
  }
  TRY(log_act(desk, AuditEvent::administration, {{"what", person.name + " changes the own PIN"}}));
  TRY(tpm::change_pin(*device, person, old_pin, pin));
  desk.terminal.show(fmt::format("{} has a new PIN", person.name));
  return {};
}

Result<void> unlock(const AdminDesk& desk, const std::optional<std::string>& key_class, const std::string& name) {
  const RosterInForce roster = TRY(roster_of(desk, key_class));
  const tpm::Officer person = TRY(person_on(roster.quorum, name));
  TRY(do_all(desk, fmt::format("unlock {}", person.name),
             {unlock_command(person, key_class ? "key class " + *key_class : "administrators")}));
  desk.terminal.show(fmt::format("{} is unlocked: {} tries, the same PIN", person.name, tpm::kPinTries));
  return {};
}

Result<void> raise_floor(const AdminDesk& desk, std::uint64_t version) {
  tpm::FirmwareGate* const gate = TRY(desk.custody.gate());
  if (gate->approval().version < version)
    return fail(Errc::refused, fmt::format("the firmware that runs is version {}; with a floor of {} this appliance could not sign any "
                                           "more: install newer firmware first", gate->approval().version, version));
  tpm::Device* const device = TRY(desk.custody.device());
  const Bytes before = TRY(tpm::read_public_index(*device, attest::floor_index()));
  const Bytes after = base::ByteWriter().u64be(version).bytes();
  if (after <= before) return fail(Errc::refused, fmt::format("the floor is {} or higher already; it is never lowered", version));
  return do_all(desk, fmt::format("raise the firmware floor to {}", version),
                {OwnerCommand::write(attest::floor_index(), after, fmt::format("firmware older than version {} never signs again", version))});
}

Result<void> approve_configuration(const AdminDesk& desk) {
  const Configuration configuration = TRY(Configuration::load(desk.layout));
  // With the file they approve the list that it names: not one that is about to stop coldseald.
  const package::DenyList denied = TRY(load_deny_list(desk.layout, configuration.box.deny_list));
  desk.terminal.show("SHA-256 of coldseal.toml: " + configuration.digest.hex());
  if (!configuration.box.deny_list.empty()) desk.terminal.show(fmt::format("   deny list: {} rules, SHA-256 {}", denied.size(), configuration.box.deny_list));
  for (const Profile& profile : configuration.profiles)
    desk.terminal.show(fmt::format("   profile {}: key class {}, {} submitters", profile.name, profile.key_class, profile.submitters.size()));
  return do_all(desk, "approve the configuration",
                {OwnerCommand::write(attest::config_index(), base::to_bytes(configuration.digest.bytes()), "coldseal.toml as it is now")});
}

Result<void> set_clock(const AdminDesk& desk, base::Time now) {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  return do_all(desk, "set the TPM's clock forward to " + base::rfc3339(now),
                {OwnerCommand::set_clock(static_cast<std::uint64_t>(milliseconds), "the clock goes forward; it cannot go back")},
                AuditEvent::time_changed);
}

Result<void> set_clock_back(const AdminDesk& desk) {
  constexpr std::chrono::minutes kToTypePins{10};
  const base::Time now = desk.machine.now();
  const std::optional<base::Time> last = TRY(last_time_in(desk.layout.audit_log()));
  if (!last || now >= *last)
    return fail(Errc::refused, fmt::format("it is {} here, and no line of the log is later: there is nothing to set back", base::rfc3339(now)));
  tpm::Device* const device = TRY(desk.custody.device());
  const std::optional<base::Time> tpm_time = TRY(desk.custody.time());
  // The TPM must count the administrators for something that it does: its clock goes forward by a little.
  const std::uint64_t clock = TRY(device->clock_ms()) + static_cast<std::uint64_t>(std::chrono::milliseconds(kToTypePins).count());
  const base::Time tpm_after(std::chrono::floor<std::chrono::seconds>(std::chrono::milliseconds(clock)));
  const std::int64_t ahead = tpm_time && tpm_after > now ? (tpm_after - now).count() : 0;
  return do_all(desk, fmt::format("the time goes back from {} to {}", base::rfc3339(*last), base::rfc3339(now)),
                {OwnerCommand::set_clock(clock, fmt::format("the log goes on with {}; the TPM's clock stays ahead by {} s", base::rfc3339(now), ahead))},
                AuditEvent::time_changed, {{transparency::kSetBackField, base::rfc3339(*last)}, {Administered::kTpmAhead, fmt::format("{}", ahead)}});
}

Result<void> reset_lockout(const AdminDesk& desk) {
  return do_all(desk, "reset the TPM's lockout", {lockout_reset_command()});
}

namespace {

// What was typed as a name may be a PIN.
std::string name_or_not(const tpm::Administration& administration, const std::string& typed) {
  return person_on(administration.administrators(), typed) ? typed : "nobody of that roster";
}

}  // namespace

Result<void> rebaseline(const AdminDesk& desk) {
  tpm::AuditAnchor anchor = TRY(desk.custody.anchor());
  {
    AnchoredLog::Opened opened = TRY(AnchoredLog::open(desk.layout.audit_log(), desk.clock));
    const Result<void> fits = opened.log.check(anchor);
    if (fits) return fail(Errc::refused, "the log fits its anchor; there is nothing to accept");
    if (fits.error().code() != Errc::mismatch) return fits;
    desk.terminal.show("why it does not fit: " + printable(fits.error().text()));
    // The line that says so comes first; the baseline is the log with it.
    TRY(opened.log.append(AuditEvent::rebaselined, "", {{"what", "administrators are about to accept the log as it is"},
                                                       {"why", fits.error().text()}}));
  }
  AnchoredLog::Opened opened = TRY(AnchoredLog::open(desk.layout.audit_log(), desk.clock));
  const tpm::AnchorBaseline accepted = TRY(opened.log.as_it_is(anchor));
  const OwnerCommand write = OwnerCommand::write(
      attest::baseline_index(), tpm::baseline_bytes(accepted),
      fmt::format("the log of {} lines, head {}, at the TPM's count {}", opened.log.lines(), accepted.head.hex().substr(0, 16), accepted.count));
  tpm::Administration administration = TRY(desk.custody.administration());
  TRY(show_box(desk));
  desk.terminal.show("the administrators accept: " + write.purpose);
  const std::vector<OwnerCommand> commands = {write};
  const std::vector<tpm::Approval> approvals =
      TRY(collect_approvals(administration.administrators().m, "administrator", desk.terminal,
                            [&](const std::string& name, base::SecretBytes pin) { return administration.approve(name, std::move(pin), commands); },
                            [&](const std::string& name, const std::string& reason) -> Result<void> {   // the log is open here
                              TRY(opened.log.append(AuditEvent::approval_failed, "", {{"administrator", name_or_not(administration, name)}, {"reason", reason}}));
                              return {};
                            }));
  TRY(administration.run(write, approvals));
  TRY(opened.log.check(anchor));
  const AnchoredLog::Anchored done = TRY(opened.log.append_anchored(
      anchor, AuditEvent::rebaselined, "", {{"what", write.purpose}, {"administrators", approvals.front().officer() + " and others"}}));
  TRY(done.anchored);
  desk.terminal.show("the log is accepted as it is; a line says so for ever");
  return {};
}

Result<void> wipe(const AdminDesk& desk) {
  const std::string typed = TRY(desk.terminal.ask("this destroys every key of this appliance for ever; type wipe to go on: "));
  if (typed != "wipe") return fail(Errc::refused, "nothing was done");
  return do_all(desk, "wipe the TPM", {OwnerCommand::clear("TPM2_Clear: every key and index is gone")});
}

}  // namespace appliance
