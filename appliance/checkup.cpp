#include "appliance/checkup.hpp"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "appliance/confinement.hpp"
#include "appliance/key_store.hpp"
#include "appliance/revocation.hpp"
#include "crypto/base/limits.hpp"
#include "tpm/condition.hpp"
#include "tpm/officers.hpp"
#include "tpm/provisioning.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

namespace {

constexpr std::uint64_t kRoomWanted = 2ULL << 30;             // bytes: a large request is there twice, in the spool and signed
constexpr std::chrono::days kRenewAhead{30};                  // a certificate takes its time
constexpr std::chrono::minutes kClockSlack{2};
constexpr std::chrono::hours kClockFarBehind{48};
constexpr std::size_t kMostItems = 1000;
using base::limits::kMebibyte;

std::string firmware_text(std::uint64_t firmware) {
  return fmt::format("{}.{}.{}.{}", firmware >> 48, firmware >> 32 & 0xffff, firmware >> 16 & 0xffff, firmware & 0xffff);
}

void look_at_mode(Checkup& checkup, const Configuration& configuration, attest::Mode mode) {
  checkup.add("mode", mode == attest::Mode::production ? ItemState::well : ItemState::note,
              fmt::format("{}: {}{}", configuration.name, attest::mode_name(mode),
                          mode == attest::Mode::production ? "" : ", for the life of its keys: not for release keys"));
}

// Something that the ceremony makes is missing. Once it is over it cannot be run again.
std::string to_have_all(const Layout& layout) {
  return is_there(layout.ceremony() / "transcript.json") ? "bring the TPM and the disk that the ceremony was held with, or begin anew with a cleared TPM and an empty disk"
                                                         : "finish the ceremony: coldseal-admin ceremony run";
}

void look_at_configuration(Checkup& checkup, const Layout& layout, const Configuration& configuration, tpm::Device& device) {
  if (const Result<void> same = configuration.expect_unchanged(layout); !same)
    return checkup.add("configuration", ItemState::attention, same.error().text(), "put it back, or let administrators approve it and start coldseald again");
  const Result<base::Bytes> approved = tpm::read_public_index(device, attest::config_index());
  if (!approved)
    return checkup.add("configuration", ItemState::attention, "CONFIG in the TPM: " + approved.error().text(), to_have_all(layout));
  const bool same = std::equal(approved->begin(), approved->end(), configuration.digest.bytes().begin(), configuration.digest.bytes().end());
  if (same) return checkup.add("configuration", ItemState::well, fmt::format("{} profiles, as administrators approved", configuration.profiles.size()));
  checkup.add("configuration", ItemState::attention, "coldseal.toml is not the one that administrators approved: coldseald does not sign",
              "put it back, or let them approve it: coldseal-admin configuration approve");
}

void look_at_lockout(Checkup& checkup, tpm::Device& device) {
  const Result<tpm::Condition> now = tpm::condition(device);
  if (!now) return checkup.add("tpm lockout", ItemState::attention, now.error().text(), "restart the machine");
  const std::string counted = fmt::format("{} of {} failed tries counted, one forgiven every {} s", now->failed_tries, now->most_tries, now->forgives_after);
  if (now->in_lockout)
    checkup.add("tpm lockout", ItemState::attention, "the TPM refuses authorisations: " + counted, "wait, or let administrators end it: coldseal-admin lockout-reset");
  else
    checkup.add("tpm lockout", now->failed_tries == 0 ? ItemState::well : ItemState::note, counted);
}

void look_at_firmware(Checkup& checkup, Custody& custody) {
  const Result<tpm::FirmwareGate*> gate = custody.gate();
  const Result<void> opens = gate ? (*gate)->test() : Result<void>(tl::unexpected<base::Error>(gate.error()));
  if (opens)
    checkup.add("firmware", ItemState::well, fmt::format("version {}: the gate opens for what runs now", (*gate)->approval().version));
  else
    checkup.add("firmware", ItemState::attention, opens.error().text(),
                "start the approved firmware, or have what runs approved by a vendor: coldseal-admin firmware measure, then firmware approve");
}

void look_at_tpm(Checkup& checkup, const Layout& layout, const Configuration& configuration, Custody& custody) {
  const Result<tpm::Device*> opened = custody.device();
  if (!opened) {
    look_at_mode(checkup, configuration, custody.mode());
    return checkup.add("tpm", ItemState::attention, opened.error().text(), "put right what it says; docs/custody.md, \"When the TPM says no\"");
  }
  tpm::Device& device = **opened;
  look_at_mode(checkup, configuration, custody.mode());
  checkup.add("tpm", device.is_software() ? ItemState::note : ItemState::well,
              fmt::format("{} firmware {}, the one that was provisioned{}", device.manufacturer(), firmware_text(device.firmware()),
                          device.is_software() ? "; a software TPM" : ""));
  const std::string flaw = tpm::known_flaw(device.manufacturer(), device.firmware());
  if (!flaw.empty()) checkup.add("tpm flaws", ItemState::attention, flaw, "update the TPM's firmware as its maker says");
  else checkup.add("tpm flaws", ItemState::well, "none that its maker published and Coldseal knows");
  look_at_lockout(checkup, device);
  look_at_firmware(checkup, custody);
  look_at_configuration(checkup, layout, configuration, device);
  if (const Result<tpm::ReceiptKey*> receipt = custody.receipt_key(); receipt)
    checkup.add("receipt key", ItemState::well, custody.receipt_keyid());
  else
    checkup.add("receipt key", ItemState::attention, receipt.error().text(), "no answer can be made without it: put back keys/receipt from a copy of the disk");
}

// Who cannot approve, and what helps. The TPM lets only its owner read an index once it is closed: then nothing is known.
std::string blocked_people(tpm::Device& device, const tpm::Quorum& quorum) {
  std::string blocked;
  for (const tpm::Officer& person : quorum.officers) {
    const Result<tpm::OfficerState> state = tpm::officer_state(device, person);
    if (state ? state->blocked() : state.error().code() == Errc::not_found) blocked += (blocked.empty() ? "" : ", ") + person.name;
  }
  return blocked;
}

void look_at_key(Checkup& checkup, const KeyClass& key_class, Custody& custody) {
  const std::string name = "key " + key_class.name;
  if (const Result<tpm::QuorumKey> loaded = custody.load(key_class); !loaded)
    return checkup.add(name, ItemState::attention, loaded.error().text(), "put back keys/" + key_class.name + " from a copy of the disk");
  const std::string quorum = fmt::format("any {} of {} officers", key_class.quorum.m, key_class.quorum.officers.size());
  const Result<tpm::Device*> device = custody.device();
  const std::string blocked = device ? blocked_people(**device, key_class.quorum) : std::string();
  if (blocked.empty()) return checkup.add(name, ItemState::well, "it can be used by " + quorum);
  checkup.add(name, ItemState::attention, fmt::format("{}; blocked: {}", quorum, blocked),
              fmt::format("coldseal-admin unlock --key-class {} NAME", key_class.name));
}

// A profile may want more days than anybody; officers are not asked with fewer.
std::chrono::days days_wanted(const Configuration& configuration, const std::string& key_class) {
  std::chrono::days most = kRenewAhead;
  for (const Profile& profile : configuration.profiles)
    if (profile.key_class == key_class) most = std::max(most, std::chrono::days(profile.rules.certificate_days));
  return most;
}

void look_at_certificate(Checkup& checkup, const KeyClass& key_class, const Configuration& configuration, base::Time now) {
  const std::string name = "certificate " + key_class.name;
  const std::string renew = fmt::format("coldseal-admin csr --key-class {0} ..., then coldseal-admin certificate --key-class {0} CHAIN.pem", key_class.name);
  const Result<crypto::SigningIdentity> identity = key_class.identity();
  if (!identity) return checkup.add(name, ItemState::attention, identity.error().text(), renew);
  const crypto::Certificate* first_to_end = &identity->leaf();
  for (const crypto::Certificate& certificate : identity->chain())
    if (certificate.not_after() < first_to_end->not_after()) first_to_end = &certificate;
  const std::string whose = first_to_end == &identity->leaf() ? identity->leaf().subject() : "its issuer " + first_to_end->subject();
  const auto days = std::chrono::floor<std::chrono::days>(first_to_end->not_after() - now);
  if (now < identity->leaf().not_before())
    checkup.add(name, ItemState::attention, fmt::format("{}: not valid before {}", identity->leaf().subject(), base::rfc3339(identity->leaf().not_before())), "look at the clock");
  else if (now > first_to_end->not_after())
    checkup.add(name, ItemState::attention, fmt::format("{}: has ended {}", whose, base::rfc3339(first_to_end->not_after())), renew);
  else
    checkup.add(name, days < days_wanted(configuration, key_class.name) ? ItemState::attention : ItemState::well,
                fmt::format("{}: {} days left, until {}", whose, days.count(), base::rfc3339(first_to_end->not_after())),
                days < days_wanted(configuration, key_class.name) ? renew : std::string());
}

// How young a list the key class's profiles want: the strictest; none when they want none.
unsigned crl_days_wanted(const Configuration& configuration, const std::string& key_class) {
  unsigned least = 0;
  for (const Profile& profile : configuration.profiles)
    if (profile.key_class == key_class && profile.rules.crl_days != 0 && (least == 0 || profile.rules.crl_days < least)) least = profile.rules.crl_days;
  return least;
}

void look_at_revocation(Checkup& checkup, const KeyClass& key_class, const CheckupSubject& subject) {
  const std::string name = "crl " + key_class.name;
  const std::string carry_in = "carry in the authority's newest list: coldseal-admin crl import FILE";
  const Result<crypto::SigningIdentity> identity = key_class.identity();
  if (!identity || subject.administered == nullptr) return;   // said elsewhere
  const unsigned wanted = crl_days_wanted(*subject.configuration, key_class.name);
  const base::Time now = subject.clock->now();
  if (const Result<void> good = expect_not_revoked(*subject.layout, *subject.administered, *identity, wanted, now); !good)
    return checkup.add(name, ItemState::attention, good.error().text(), carry_in);
  const crypto::Certificate* const issuer = issuer_in(identity->chain(), identity->leaf());
  const ImportedList* const list = issuer == nullptr ? nullptr : subject.administered->list_of(crypto::sha256(issuer->public_key_der()).hex());
  if (list == nullptr) return checkup.add(name, ItemState::well, "no list is here, and no profile wants one");
  const auto days = std::chrono::floor<std::chrono::days>(now - list->this_update).count();
  checkup.add(name, ItemState::well, fmt::format("the list about the certificate is {} days old (number {}){}", days, list->number,
                                                 wanted == 0 ? std::string() : fmt::format("; profiles want at most {}", wanted)));
}

void look_at_submitters(Checkup& checkup, const Configuration& configuration, base::Time now) {
  std::string ending;
  std::size_t usable = 0;
  for (const Submitter& submitter : configuration.submitters) {
    if (submitter.expect_usable(now)) ++usable;
    if (!submitter.revoked && submitter.expires && *submitter.expires < now + kRenewAhead) ending += (ending.empty() ? "" : ", ") + submitter.name;
  }
  const std::string enrol = "coldseal-admin submitter add NAME K.pub.pem";
  const std::string found = fmt::format("{} enrolled, {} may send requests", configuration.submitters.size(), usable);
  if (usable == 0) return checkup.add("submitters", ItemState::attention, found, enrol);
  if (!ending.empty()) return checkup.add("submitters", ItemState::attention, fmt::format("{}; keys that end within {} days or have: {}", found, kRenewAhead.count(), ending), enrol);
  checkup.add("submitters", ItemState::well, found);
}

void look_at_keys(Checkup& checkup, const CheckupSubject& subject) {
  const Result<std::vector<std::string>> names = key_classes(*subject.layout);
  if (!names) return checkup.add("keys", ItemState::attention, names.error().text(), to_have_all(*subject.layout));
  for (const std::string& name : *names) {
    const Result<KeyClass> key_class = KeyClass::load(*subject.layout, name);
    if (!key_class) {
      checkup.add("key " + name, ItemState::attention, key_class.error().text(), "put back keys/" + name + " from a copy of the disk");
      continue;
    }
    if (subject.custody != nullptr && subject.custody->device()) look_at_key(checkup, *key_class, *subject.custody);
    look_at_certificate(checkup, *key_class, *subject.configuration, subject.clock->now());
    look_at_revocation(checkup, *key_class, subject);
  }
}

std::string duration_text(std::chrono::seconds time) {
  if (time < std::chrono::hours(2)) return fmt::format("{} s", time.count());
  return fmt::format("{} h", std::chrono::floor<std::chrono::hours>(time).count());
}

void look_at_clock(Checkup& checkup, const CheckupSubject& subject) {
  const base::Time now = subject.clock->now();
  const std::string shown = base::rfc3339(now);
  if (subject.log != nullptr && now + kClockSlack < subject.log->last)
    checkup.add("clock", ItemState::attention, fmt::format("{}, {} before the audit log's last line ({}): lines repeat that time", shown,
                                                           duration_text(subject.log->last - now), base::rfc3339(subject.log->last)), "set the machine's clock");
  else
    checkup.add("clock", ItemState::well, fmt::format("{}, not before the audit log's last line", shown));
  if (subject.custody == nullptr || !subject.custody->device()) return;
  const Result<tpm::Condition> condition = tpm::condition(**subject.custody->device());
  if (!condition) return;   // said above
  const std::chrono::seconds known_ahead = subject.administered == nullptr ? std::chrono::seconds(0) : subject.administered->tpm_ahead();
  const base::Time tpm_time = base::Time{std::chrono::floor<std::chrono::seconds>(std::chrono::milliseconds(condition->clock_ms))} - known_ahead;
  if (tpm_time > now + kClockSlack)
    checkup.add("tpm clock", ItemState::attention, fmt::format("{}, {} after the machine's: it cannot go back", base::rfc3339(tpm_time), duration_text(tpm_time - now)),
                "set the machine's clock; the TPM's goes on from where it is");
  else if (now - tpm_time > kClockFarBehind)
    checkup.add("tpm clock", ItemState::note, fmt::format("{} behind the machine's: it was not set, or the TPM was without power", duration_text(now - tpm_time)),
                "administrators may set it forward: coldseal-admin clock");
  else
    checkup.add("tpm clock", ItemState::well, fmt::format("{}, not after the machine's", base::rfc3339(tpm_time)));
}

void look_at_time(Checkup& checkup, const CheckupSubject& subject) {
  if (subject.trusted_clock == nullptr) return;
  if (const Result<void> sane = subject.trusted_clock->expect_sane(); !sane)
    checkup.add("time", ItemState::attention, sane.error().text(), "set the machine's clock, or let administrators say that it is right: coldseal-admin clock");
}

void look_at_log(Checkup& checkup, const CheckupSubject& subject) {
  if (subject.log == nullptr) return checkup.add("audit log", ItemState::attention, "it could not be read", "see what coldseald says when it starts");
  if (subject.custody == nullptr) return checkup.add("audit log", ItemState::note, fmt::format("{} lines; not held against its anchor while officers approve", subject.log->lines));
  if (const Result<void> fits = subject.log->check(); !fits)
    return checkup.add("audit log", ItemState::attention, fits.error().text(), "do not sign; docs/operations.md, \"The audit log does not fit\"");
  checkup.add("audit log", ItemState::well, fmt::format("{} lines, fits its anchor in the TPM", subject.log->lines));
}

void look_at_deny_list(Checkup& checkup, const CheckupSubject& subject) {
  const std::string& approved = subject.configuration->box.deny_list;
  const Result<package::DenyList> list = load_deny_list(*subject.layout, approved);
  if (!list)
    return checkup.add("deny list", ItemState::attention, list.error().text(), "do what it says: coldseald does not start like this; docs/administrators-handbook.md, \"Lists that are carried in\"");
  checkup.add("deny list", ItemState::well, approved.empty() ? "there is none" : fmt::format("{} rules, in the file that coldseal.toml names", list->size()));
}

void look_at_spool(Checkup& checkup, const CheckupSubject& subject) {
  const std::uint64_t quota = subject.configuration->box.spool_bytes;
  if (quota == 0 || subject.book == nullptr) return;
  const std::uint64_t taken = subject.book->unanswered_bytes();
  const bool is_near_full = taken >= quota / 10 * 9;
  checkup.add("spool", is_near_full ? ItemState::attention : ItemState::well,
              fmt::format("{} of {} MiB are taken by {} requests that wait", (taken + kMebibyte - 1) / kMebibyte, quota / kMebibyte, subject.book->unanswered()),
              is_near_full ? "let officers approve or reject some, or withdraw them (coldseal-admin request): others stay in the inbox" : "");
}

void look_at_space(Checkup& checkup, const Layout& layout) {
  struct statvfs about {};
  if (statvfs(layout.state().c_str(), &about) != 0)
    return checkup.add("space", ItemState::attention, layout.state().string() + " cannot be looked at", "mount the disk");
  const std::uint64_t free = std::uint64_t{about.f_bavail} * about.f_frsize;
  const std::string found = fmt::format("{} MiB free below {}", free >> 20U, layout.state().string());
  if (free >= kRoomWanted && about.f_favail >= 2 * base::limits::kPackageFiles) return checkup.add("space", ItemState::well, found);
  checkup.add("space", ItemState::attention, free >= kRoomWanted ? found + ", but hardly any files can be made" : found + ": a large request may not fit",
              "move old answers out of the outbox, or give it a larger disk");
}

}  // namespace

std::string_view item_state_name(ItemState state) {
  switch (state) {
    case ItemState::well:
      return "well";
    case ItemState::note:
      return "note";
    case ItemState::attention:
      return "attention";
  }
  return "attention";
}

std::size_t Checkup::need_attention() const {
  return static_cast<std::size_t>(std::count_if(items.begin(), items.end(), [](const CheckupItem& item) { return item.state == ItemState::attention; }));
}

void Checkup::add(std::string name, ItemState state, std::string found, std::string todo) {
  items.push_back({std::move(name), state, std::move(found), std::move(todo)});
}

std::string Checkup::to_json() const {
  nlohmann::json json{{"by", by}, {"needs-attention", need_attention()}, {"items", nlohmann::json::array()}};
  for (const CheckupItem& item : items)
    json["items"].push_back({{"name", base::printable(item.name)}, {"state", item_state_name(item.state)}, {"found", base::printable(item.found)}, {"todo", base::printable(item.todo)}});
  return json.dump(2) + "\n";
}

Result<Checkup> Checkup::from_json(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const auto is_text = [](const nlohmann::json& object, const char* key) { return object.contains(key) && object[key].is_string(); };
  if (!json.is_object() || !is_text(json, "by") || !json.contains("items") || !json["items"].is_array() || json["items"].size() > kMostItems)
    return fail(Errc::malformed, "coldseald's answer is not a check-up");
  Checkup checkup{json["by"].get<std::string>(), {}};
  for (const auto& item : json["items"]) {
    if (!item.is_object() || !is_text(item, "name") || !is_text(item, "state") || !is_text(item, "found") || !is_text(item, "todo"))
      return fail(Errc::malformed, "coldseald's answer has an item that is none");
    const auto state = item["state"].get<std::string>();
    checkup.add(item["name"].get<std::string>(), state == "well" ? ItemState::well : state == "note" ? ItemState::note : ItemState::attention,
                item["found"].get<std::string>(), item["todo"].get<std::string>());
  }
  return checkup;
}

std::vector<std::string> Checkup::lines() const {
  std::vector<std::string> all;
  for (const CheckupItem& item : items) {
    all.push_back(fmt::format("{} {:<20} {}", item.state == ItemState::attention ? "!" : item.state == ItemState::note ? "-" : " ", base::printable(item.name), base::printable(item.found)));
    if (!item.todo.empty()) all.push_back(fmt::format("  {:<20} to do: {}", "", base::printable(item.todo)));
  }
  return all;
}

void look_at_appliance(Checkup& checkup, const CheckupSubject& subject) {
  const std::string confined = confinement_in_words();
  checkup.add("confinement", confined == "seccomp and Landlock" ? ItemState::well : ItemState::note, confined);
  if (geteuid() == 0) checkup.add("user", ItemState::note, "runs as root; docs/operations.md has the units that give each program its own user");
  if (subject.custody == nullptr)
    checkup.add("tpm", ItemState::note, "not asked while officers approve a request");
  else
    look_at_tpm(checkup, *subject.layout, *subject.configuration, *subject.custody);
  look_at_keys(checkup, subject);
  look_at_submitters(checkup, *subject.configuration, subject.clock->now());
  look_at_deny_list(checkup, subject);
  look_at_log(checkup, subject);
  look_at_clock(checkup, subject);
  look_at_time(checkup, subject);
  look_at_spool(checkup, subject);
  look_at_space(checkup, *subject.layout);
}

}  // namespace appliance
