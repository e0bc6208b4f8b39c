#include "appliance/admin/submitters.hpp"

#include <fmt/format.h>

#include "appliance/admin/act_log.hpp"
#include "appliance/audit_log.hpp"
#include "appliance/configuration.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/words.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::printable;
using base::Result;
using transparency::AuditEvent;

namespace {

Result<crypto::PublicKey> key_in(const std::filesystem::path& file) {
  const base::Bytes pem = TRY(usb::read_file(file, base::limits::kPemBytes));
  return base::within(printable(file.string()), crypto::PublicKey::parse_pem(base::as_text(pem)));
}

std::filesystem::path file_of(const AdminDesk& desk, const std::string& name) { return desk.layout.submitters() / (name + ".pem"); }

// Another key may take the place of one that is good for nothing any more.
Result<void> expect_name_free(const AdminDesk& desk, const Administered& log, const std::string& name, const std::string& keyid) {
  if (!is_there(file_of(desk, name))) return {};
  const crypto::PublicKey present = TRY(key_in(file_of(desk, name)));
  if (present.keyid() == keyid) return {};
  const Enrolment* const enrolment = log.enrolment(present.keyid());
  const bool is_over = enrolment != nullptr && (enrolment->revoked || (enrolment->expires && *enrolment->expires <= desk.clock.now()));
  if (is_over) return {};
  return fail(Errc::refused, fmt::format("submitter \"{}\" is enrolled already, with another key: revoke that one first (coldseal-admin submitter revoke)", name));
}

Result<void> expect_key_is_nobodys(const AdminDesk& desk, const std::string& name, const crypto::PublicKey& key) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(desk.layout.submitters(), ignored)) {
    if (entry.path().extension() != ".pem" || entry.path().stem() == name) continue;
    const Result<crypto::PublicKey> other = key_in(entry.path());
    if (other && *other == key)
      return fail(Errc::refused, fmt::format("{} has this key already, and nobody could tell their requests apart", printable(entry.path().stem().string())));
  }
  return {};
}

std::string standing(const Enrolment& enrolment, base::Time now) {
  if (enrolment.revoked) return fmt::format("revoked at {}: {}", base::rfc3339(*enrolment.revoked), printable(enrolment.reason));
  if (!enrolment.expires) return "does not expire";
  return fmt::format("{} {}", *enrolment.expires <= now ? "expired at" : "until", base::rfc3339(*enrolment.expires));
}

}  // namespace

Result<Administered> read_administered(const AdminDesk& desk) {
  Administered log;
  TRY(AuditLog::open(desk.layout.audit_log(), desk.clock, [&log](const transparency::AuditLine& line, const crypto::Digest&) { return log.apply(line); }));
  return log;
}

Result<void> expect_sound(const EnrolmentWish& wish) {
  if (!is_plain_name(wish.name))
    return fail(Errc::usage, fmt::format("submitter \"{}\": lower-case letters, digits, - and _ only", printable(wish.name)));
  if (!wish.person.empty() && !is_plain_name(wish.person))
    return fail(Errc::usage, fmt::format("person \"{}\": lower-case letters, digits, - and _ only", printable(wish.person)));
  const crypto::PublicKey key = TRY(key_in(wish.key_file));
  if (key.algorithm() != crypto::KeyAlgorithm::ecdsa_p256)
    return fail(Errc::unsupported, fmt::format("{}: submitters' keys are ECDSA P-256", printable(wish.key_file)));
  return {};
}

Result<void> enrol_submitter(const AdminDesk& desk, const EnrolmentWish& wish) {
  TRY(expect_sound(wish));
  const crypto::PublicKey key = TRY(key_in(wish.key_file));
  if (wish.expires && *wish.expires <= desk.clock.now())
    return fail(Errc::usage, fmt::format("--expires {} is over already", base::rfc3339(*wish.expires)));
  const Administered log = TRY(read_administered(desk));
  if (const Enrolment* const before = log.enrolment(key.keyid()); before != nullptr && before->revoked)
    return fail(Errc::refused, fmt::format("submitter.revoked: this key was revoked at {}: {}; have them make a new one (coldseal key create)",
                                           base::rfc3339(*before->revoked), printable(before->reason)));
  TRY(expect_name_free(desk, log, wish.name, key.keyid()));
  TRY(expect_key_is_nobodys(desk, wish.name, key));
  TRY(log_act(desk, AuditEvent::administration, Administered::line_of(Enrolment{wish.name, key.keyid(), wish.person, wish.expires, {}, {}})));
  TRY(usb::make_folders(desk.layout.submitters()));
  TRY(usb::write_file(file_of(desk, wish.name), base::as_bytes(key.pem())));
  desk.terminal.show(fmt::format("submitter {} is enrolled{}", wish.name, wish.expires ? ", until " + base::rfc3339(*wish.expires) : ""));
  desk.terminal.show(fmt::format("key {}", key.keyid()));
  desk.terminal.show(fmt::format("as words: {}", base::fingerprint_words(crypto::sha256(key.der()).bytes())));
  return {};
}

Result<void> revoke_submitter(const AdminDesk& desk, const std::string& name, const std::string& reason) {
  TRY(expect_reason(reason));
  if (!is_plain_name(name) || !is_there(file_of(desk, name)))
    return fail(Errc::not_found, fmt::format("there is no submitter \"{}\"; coldseal-admin submitter list shows them", printable(name)));
  const crypto::PublicKey key = TRY(key_in(file_of(desk, name)));
  const Administered log = TRY(read_administered(desk));
  if (const Enrolment* const before = log.enrolment(key.keyid()); before != nullptr && before->revoked)
    return fail(Errc::refused, fmt::format("the key of submitter {} was revoked already, at {}", name, base::rfc3339(*before->revoked)));
  TRY(log_act(desk, AuditEvent::administration, Administered::line_of(Enrolment{name, key.keyid(), {}, {}, desk.clock.now(), reason})));
  desk.terminal.show(fmt::format("the key of submitter {} is revoked: nothing that it signed is taken in or signed any more", name));
  return {};
}

Result<void> list_submitters(const AdminDesk& desk) {
  const Administered log = TRY(read_administered(desk));
  const Configuration configuration = TRY(Configuration::load(desk.layout));
  for (const Submitter& submitter : configuration.submitters) {
    const Enrolment* const enrolment = log.enrolment(submitter.key.keyid());
    const Enrolment unknown{submitter.name, submitter.key.keyid(), {}, {}, {}, {}};
    const Enrolment& shown = enrolment == nullptr ? unknown : *enrolment;
    desk.terminal.show(fmt::format("{:<16} {}  {}{}{}", submitter.name, submitter.key.keyid().substr(0, 16), standing(shown, desk.clock.now()),
                                   shown.person.empty() ? "" : ", key of " + shown.person, enrolment == nullptr ? ", the log does not say who enrolled it" : ""));
  }
  if (configuration.submitters.empty()) desk.terminal.show("no submitter is enrolled");
  return {};
}

}  // namespace appliance
