#include "appliance/configuration.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "appliance/toml_fields.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/package/finding_ids.hpp"
#include "crypto/package/os_targets.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;
using toml_fields::expect_only;
using toml_fields::flag_at;
using toml_fields::list_at;
using toml_fields::number_at;
using toml_fields::text_at;

namespace {

constexpr std::size_t kConfigurationBytes = 1U << 20;

Result<std::string> name_at(const toml::table& table, std::string_view where, std::string_view key) {
  std::string name = TRY(text_at(table, where, key));
  if (!is_plain_name(name))
    return fail(Errc::malformed, fmt::format("{}: {} = \"{}\": lower-case letters, digits, - and _ only", where, key,
                                             base::printable(name)));
  return name;
}

using base::limits::kMebibyte;
constexpr std::uint64_t kMostDays = 3650;
constexpr std::uint64_t kMostSignaturesADay = 1'000'000;
constexpr std::uint64_t kMostSpoolMib = 1ULL << 24;

Result<unsigned> days_at(const toml::table& table, std::string_view where, std::string_view key) {
  const std::uint64_t days = TRY(number_at(table, where, key, 1, kMostDays));
  return static_cast<unsigned>(days);
}

Result<BoxRules> parse_box_rules(const toml::table& table, std::string_view where) {
  BoxRules rules;
  if (table.contains("keep_days")) rules.keep_days = TRY(days_at(table, where, "keep_days"));
  if (table.contains("clock_days")) rules.clock_days = TRY(days_at(table, where, "clock_days"));
  if (table.contains("spool_mib")) rules.spool_bytes = kMebibyte * TRY(number_at(table, where, "spool_mib", 1, kMostSpoolMib));
  if (table.contains("deny_list")) {
    rules.deny_list = TRY(text_at(table, where, "deny_list"));
    if (rules.deny_list.size() != 64 || rules.deny_list.find_first_not_of("0123456789abcdef") != std::string::npos)
      return fail(Errc::malformed, fmt::format("{}: deny_list: the SHA-256 of the deny list wanted, 64 lower-case hex digits", where));
  }
  return rules;
}

// A misspelt id would block nothing, in silence.
Result<void> expect_finding_id(std::string_view where, std::string_view id) {
  if (package::is_finding_id(id)) return {};
  if (id.size() > base::limits::kNameBytes) return fail(Errc::malformed, fmt::format("{}: blocking: an id of {} letters", where, id.size()));
  return fail(Errc::malformed, fmt::format("{}: blocking: \"{}\" is not the id of a finding; did you mean {}? docs/catalogs.md, section 9, has them all", where,
                                           base::printable(id), package::nearest_finding_id(id)));
}

Result<ProfileRules> parse_rules(const toml::table& table, std::string_view where) {
  ProfileRules rules;
  if (table.contains("os")) {
    rules.os = TRY(list_at(table, where, "os"));
    if (const auto targets = package::os_targets_from_names(rules.os); !targets)
      return fail(Errc::malformed, fmt::format("{}: os: {}", where, targets.error().text()));
  }
  if (table.contains("request_mib"))
    rules.request_bytes = kMebibyte * TRY(number_at(table, where, "request_mib", 1, base::limits::kPackageBytes / kMebibyte));
  if (table.contains("certificate_days"))
    rules.certificate_days = TRY(days_at(table, where, "certificate_days"));
  if (table.contains("crl_days")) rules.crl_days = TRY(days_at(table, where, "crl_days"));
  if (table.contains("waiting_days")) rules.waiting_days = TRY(days_at(table, where, "waiting_days"));
  if (table.contains("officers_may_submit")) rules.officers_may_submit = TRY(flag_at(table, where, "officers_may_submit"));
  if (table.contains("signatures_a_day")) rules.signatures_a_day = TRY(number_at(table, where, "signatures_a_day", 1, kMostSignaturesADay));
  if (table.contains("blocking")) {
    rules.blocking = TRY(list_at(table, where, "blocking"));
    for (const std::string& id : rules.blocking) TRY(expect_finding_id(where, id));
  }
  return rules;
}

Result<Profile> parse_profile(const toml::table& table) {
  Profile profile;
  profile.name = TRY(name_at(table, "[[profile]]", "name"));
  const std::string where = fmt::format("profile \"{}\"", profile.name);
  TRY(expect_only(table, where, {"name", "key_class", "operations", "submitters", "description", "url", "dual_signing",
                                "os", "request_mib", "certificate_days", "signatures_a_day", "blocking", "crl_days", "waiting_days", "officers_may_submit"}));
  cms::SignedAttributes& attributes = profile.form.attributes;
  for (const auto& [key, text] : {std::pair("description", &attributes.description), {"url", &attributes.url}})
    if (table.contains(key)) *text = TRY(text_at(table, where, key));
  if (std::any_of(attributes.url.begin(), attributes.url.end(), [](char c) { return c <= ' ' || c > '~'; }))
    return fail(Errc::malformed, fmt::format("{}: url: printable ASCII wanted", where));
  if (std::max(attributes.description.size(), attributes.url.size()) > base::limits::kAttributeTextBytes)
    return fail(Errc::malformed, fmt::format("{}: description and url have at most {} bytes", where, base::limits::kAttributeTextBytes));
  if (table.contains("dual_signing")) {
    const bool wanted = TRY(flag_at(table, where, "dual_signing"));
    profile.form.sha1 = wanted ? crypto::Sha1::for_old_windows : crypto::Sha1::refused;
  }
  profile.rules = TRY(parse_rules(table, where));
  profile.key_class = TRY(name_at(table, where, "key_class"));
  profile.submitters = TRY(list_at(table, where, "submitters"));
  for (const std::string& submitter : profile.submitters)
    if (!is_plain_name(submitter))
      return fail(Errc::malformed, fmt::format("{}: submitter \"{}\": lower-case letters, digits, - and _ only", where,
                                               base::printable(submitter)));
  const std::vector<std::string> operations = TRY(list_at(table, where, "operations"));
  for (const std::string& name : operations) {
    const wire::Operation operation = TRY(base::within(where, wire::operation_from_name(name)));
    if (std::find(profile.operations.begin(), profile.operations.end(), operation) != profile.operations.end())
      return fail(Errc::malformed, fmt::format("{}: operation \"{}\" is there twice", where, name));
    profile.operations.push_back(operation);
  }
  return profile;
}

Result<std::vector<Submitter>> load_submitters(const Layout& layout) {
  std::vector<Submitter> submitters;
  std::error_code error;
  std::filesystem::directory_iterator entries(layout.submitters(), error);
  if (error && error != std::errc::no_such_file_or_directory)
    return fail(Errc::io, fmt::format("{}: {}", layout.submitters().string(), error.message()));
  for (const auto& entry : entries) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() != ".pem" || !is_plain_name(name)) continue;
    const base::Bytes pem = TRY(usb::read_file(entry.path(), base::limits::kPemBytes));
    crypto::PublicKey key = TRY(base::within(entry.path().string(), crypto::PublicKey::parse_pem(base::as_text(pem))));
    submitters.push_back({name, std::move(key), {}, {}, {}, {}});
  }
  std::sort(submitters.begin(), submitters.end(), [](const Submitter& a, const Submitter& b) { return a.name < b.name; });
  for (auto a = submitters.begin(); a != submitters.end(); ++a)
    for (auto b = a + 1; b != submitters.end(); ++b)
      if (a->key == b->key)
        return fail(Errc::malformed, fmt::format("{}: {} and {} have the same key, so nobody could tell their requests apart",
                                                 layout.submitters().string(), a->name, b->name));
  return submitters;
}

}  // namespace

crypto::Digest profile_digest(const Profile& profile, const std::vector<crypto::Certificate>& chain) {
  base::ByteWriter text;
  text.put_counted(base::as_bytes(profile.name)).put_counted(base::as_bytes(profile.key_class));
  for (const wire::Operation operation : profile.operations)
    text.put_counted(base::as_bytes(wire::operation_name(operation)));
  text.put_counted({});
  for (const std::string& submitter : profile.submitters) text.put_counted(base::as_bytes(submitter));
  text.put_counted({});
  const SignatureForm& form = profile.form;
  text.put_counted(base::as_bytes(form.attributes.description)).put_counted(base::as_bytes(form.attributes.url));
  const ProfileRules& rules = profile.rules;
  for (const auto* const list : {&rules.os, &rules.blocking}) {
    for (const std::string& each : *list) text.put_counted(base::as_bytes(each));
    text.put_counted({});
  }
  text.u64be(rules.request_bytes).u64be(rules.certificate_days).u64be(rules.signatures_a_day);
  text.u64be(rules.crl_days).u64be(rules.waiting_days).u8(rules.officers_may_submit ? 1 : 0);
  text.u8(form.sha1 == crypto::Sha1::for_old_windows ? 1 : 0);
  for (const crypto::Certificate& certificate : chain) text.put_counted(certificate.fingerprint().bytes());
  return crypto::sha256(text.bytes());
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= base::limits::kNameBytes &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string_view::npos;
}

Result<Configuration> Configuration::parse(std::string_view text) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed)
    return fail(Errc::malformed, fmt::format("line {}: {}", parsed.error().source().begin.line,
                                             base::printable(parsed.error().description())));
  const toml::table& table = parsed.table();
  TRY(expect_only(table, "the file", {"appliance", "profile"}));
  const toml::table* const general = table["appliance"].as_table();
  if (general == nullptr) return fail(Errc::malformed, "[appliance] is missing");
  TRY(expect_only(*general, "[appliance]", {"name", "tpm", "mode", "keep_days", "spool_mib", "clock_days", "deny_list"}));
  Configuration configuration{.name = {}, .tpm = {}, .mode = {}, .profiles = {}, .submitters = {},
                              .digest = crypto::sha256(base::as_bytes(text))};
  configuration.name = TRY(name_at(*general, "[appliance]", "name"));
  configuration.tpm = TRY(text_at(*general, "[appliance]", "tpm"));
  const std::string mode = TRY(text_at(*general, "[appliance]", "mode"));
  const std::optional<attest::Mode> known = attest::mode_from_name(mode);
  if (!known)
    return fail(Errc::malformed, fmt::format("[appliance]: mode = \"{}\"; production or development wanted", base::printable(mode)));
  configuration.mode = *known;
  configuration.box = TRY(parse_box_rules(*general, "[appliance]"));
  const toml::array* const profiles = table["profile"].as_array();
  if (profiles == nullptr || profiles->empty()) return fail(Errc::malformed, "there is no [[profile]]");
  for (const toml::node& node : *profiles) {
    const toml::table* const profile = node.as_table();
    if (profile == nullptr) return fail(Errc::malformed, "[[profile]] is not a table");
    configuration.profiles.push_back(TRY(parse_profile(*profile)));
    for (std::size_t i = 0; i + 1 < configuration.profiles.size(); ++i)
      if (configuration.profiles[i].name == configuration.profiles.back().name)
        return fail(Errc::malformed, fmt::format("profile \"{}\" is there twice", configuration.profiles[i].name));
  }
  return configuration;
}

Result<Configuration> Configuration::load(const Layout& layout) {
  const std::string file = layout.configuration().string();
  const Result<base::Bytes> text = usb::read_file(file, kConfigurationBytes);
  if (!text && text.error().code() == Errc::not_found)
    return fail(Errc::not_found, text.error().text() + "; docs/administrators-handbook.md says what belongs into it");
  if (!text) return tl::unexpected<base::Error>(text.error());
  Configuration configuration = TRY(base::within(file, parse(base::as_text(*text))));
  configuration.submitters = TRY(load_submitters(layout));
  return configuration;
}

Result<void> Configuration::expect_unchanged(const Layout& layout) const {
  const Result<base::Bytes> text = usb::read_file(layout.configuration().string(), kConfigurationBytes);
  if (text && crypto::sha256(*text) == digest) return {};
  return fail(Errc::unavailable, fmt::format("configuration.changed: {} was changed since coldseald started{}: put it back as it was, or let administrators approve it "
                                             "(coldseal-admin configuration approve) and start coldseald again",
                                             layout.configuration().string(), text ? "" : " and cannot be read"));
}

Result<const Profile*> Configuration::profile(std::string_view wanted) const {
  for (const Profile& candidate : profiles)
    if (candidate.name == wanted) return &candidate;
  return fail(Errc::not_found, fmt::format("this appliance has no profile \"{}\"", base::printable(wanted)));
}

Result<const Submitter*> Configuration::submitter_of_key(std::string_view keyid) const {
  for (const Submitter& candidate : submitters)
    if (candidate.key.keyid() == keyid) return &candidate;
  return fail(Errc::refused, fmt::format("submitter.not-enrolled: the request is signed by a key that is not enrolled here ({})",
                                         base::printable(keyid.substr(0, 64))));
}

Result<package::DenyList> load_deny_list(const Layout& layout, const std::string& sha256) {
  const std::string file = layout.deny_list().string();
  if (sha256.empty()) {
    if (!is_there(layout.deny_list())) return package::DenyList();
    return fail(Errc::refused, fmt::format("deny-list.not-approved: {} is there and coldseal.toml has no deny_list: write its SHA-256 there and let the "
                                           "administrators approve it (coldseal-admin configuration approve), or remove it", file));
  }
  const base::Bytes text = TRY(usb::read_file(file, base::limits::kDenyListBytes));
  if (const std::string found = crypto::sha256(text).hex(); found != sha256)
    return fail(Errc::refused, fmt::format("deny-list.changed: {} has the SHA-256 {}, and administrators approved {}: put it back, or write the new digest "
                                           "into coldseal.toml and have that approved", file, found, sha256));
  return base::within(file, package::DenyList::parse(base::as_text(text)));
}

void Configuration::heed(const Administered& log) {
  for (Submitter& submitter : submitters)
    if (const Enrolment* const enrolment = log.enrolment(submitter.key.keyid()); enrolment != nullptr) {
      submitter.person = enrolment->person;
      submitter.expires = enrolment->expires;
      submitter.revoked = enrolment->revoked;
      submitter.revocation_reason = enrolment->reason;
    }
}

}  // namespace appliance
