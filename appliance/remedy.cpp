#include "appliance/remedy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "appliance/key_store.hpp"
#include "crypto/attest/nv_map.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/text.hpp"
#include "crypto/base/words.hpp"
#include "tpm/officers.hpp"

namespace appliance {

using attest::OwnerCommand;
using base::Errc;
using base::fail;
using base::Result;

OwnerCommand unlock_command(const tpm::Officer& person, const std::string& where) {
  return OwnerCommand::write(attest::person_index(person.nv_index), base::ByteWriter().u32be(0).u32be(tpm::kPinTries).bytes(),
                             fmt::format("{} tries for {} ({}), the same PIN", tpm::kPinTries, person.name, where));
}

OwnerCommand lockout_reset_command() { return OwnerCommand::reset_lockout("the TPM's own count of failed tries goes to none"); }

namespace {

// One roster's part of unlocking a person: a command when it is on the roster and blocked.
Result<void> look_for(tpm::Device& device, const tpm::Quorum& roster, const std::string& where, const std::string& name, bool& known,
                      std::vector<OwnerCommand>& commands) {
  for (const tpm::Officer& person : roster.officers) {
    if (person.name != name) continue;
    known = true;
    const tpm::OfficerState state = TRY(tpm::officer_state(device, person));
    if (state.blocked()) commands.push_back(unlock_command(person, where));
  }
  return {};
}

}  // namespace

Remedy::Remedy(tpm::Device& device, tpm::Administration administration, std::string what, std::vector<OwnerCommand> commands,
               Sitting::Ends ends)
    : device_(&device), administration_(std::move(administration)), what_(std::move(what)), commands_(std::move(commands)), ends_(ends) {}

Result<std::unique_ptr<Remedy>> Remedy::begin(Custody& custody, std::string what, std::vector<OwnerCommand> commands, Sitting::Ends ends) {
  tpm::Device* const device = TRY(custody.device());
  tpm::Administration administration = TRY(custody.administration());
  return std::unique_ptr<Remedy>(new Remedy(*device, std::move(administration), std::move(what), std::move(commands), ends));
}

Result<std::unique_ptr<Remedy>> Remedy::unlock(const Layout& layout, Custody& custody, const std::string& person, Sitting::Ends ends) {
  tpm::Device* const device = TRY(custody.device());
  bool known = false;
  std::vector<OwnerCommand> commands;
  const std::vector<std::string> names = TRY(key_classes(layout));
  for (const std::string& name : names) {
    const KeyClass key_class = TRY(KeyClass::load(layout, name));
    TRY(look_for(*device, key_class.quorum, "key class " + name, person, known, commands));
  }
  const tpm::Quorum administrators = TRY(load_administrators(layout));
  TRY(look_for(*device, administrators, "administrators", person, known, commands));
  if (!known) return fail(Errc::not_found, fmt::format("nobody is called \"{}\" on this appliance", base::printable(person)));
  if (commands.empty()) return fail(Errc::refused, fmt::format("{} is not blocked", person));
  return begin(custody, "unlock " + person, std::move(commands), ends);
}

Result<std::unique_ptr<Remedy>> Remedy::reset_lockout(Custody& custody, Sitting::Ends ends) {
  return begin(custody, "reset the TPM's lockout", {lockout_reset_command()}, ends);
}

std::vector<std::string> Remedy::lines() const {
  std::vector<std::string> lines{what_ + ". The administrators approve:"};
  for (const OwnerCommand& command : commands_) lines.push_back("   " + command.purpose);
  lines.push_back("as words: " + base::fingerprint_words(commands_digest().bytes()));
  return lines;
}

crypto::Digest Remedy::commands_digest() const {
  crypto::Hasher together(crypto::DigestAlgorithm::sha256);
  for (const OwnerCommand& command : commands_) together.update(command.cp_hash().bytes());
  return std::move(together).finish();
}

std::vector<std::string> Remedy::approved() const {
  std::vector<std::string> names;
  for (const tpm::Approval& approval : approvals_) names.push_back(approval.officer());
  return names;
}

std::vector<std::string> Remedy::may_still_approve() const {
  const std::vector<std::string> done = approved();
  std::vector<std::string> names;
  for (const tpm::Officer& person : administration_.administrators().officers)
    if (std::find(done.begin(), done.end(), person.name) == done.end()) names.push_back(person.name);
  return names;
}

unsigned Remedy::needed() const {
  const auto have = static_cast<unsigned>(approvals_.size());
  const unsigned m = administration_.administrators().m;
  return have < m ? m - have : 0;
}

bool Remedy::is_administrator(const std::string& name) const {
  const auto& people = administration_.administrators().officers;
  return std::any_of(people.begin(), people.end(), [&name](const tpm::Officer& person) { return person.name == name; });
}

Result<void> Remedy::approve(const std::string& administrator, base::SecretBytes pin) {
  const std::vector<std::string> done = approved();
  if (std::find(done.begin(), done.end(), administrator) != done.end())
    return fail(Errc::refused, fmt::format("{} has approved already; another administrator is needed", base::printable(administrator)));
  TRY(expect_can_be_spared(administrator));
  approvals_.push_back(TRY(administration_.approve(administrator, std::move(pin), commands_)));
  return {};
}

// Anybody may stand at this screen and guess. Whoever is blocked can be unlocked, as long as enough administrators are left to do it:
// the try that could end that is not taken here.
Result<void> Remedy::expect_can_be_spared(const std::string& name) const {
  unsigned able = 0;
  bool is_last_try = false;
  for (const tpm::Officer& person : administration_.administrators().officers) {
    const tpm::OfficerState state = TRY(tpm::officer_state(*device_, person));
    if (!state.blocked()) ++able;
    if (person.name == name) is_last_try = state.tries_left() == 1;
  }
  if (!is_last_try || able > administration_.administrators().m) return {};
  return fail(Errc::refused, fmt::format("{} has one try left, and if it were wrong too few administrators would be left to unlock anybody, ever: it is "
                                         "not taken at this screen; use coldseal-admin", base::printable(name)));
}

Result<void> Remedy::run() {
  for (const OwnerCommand& command : commands_) TRY(administration_.run(command, approvals_));
  return {};
}

}  // namespace appliance
