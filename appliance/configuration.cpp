#include "appliance/configuration.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "appliance/toml_fields.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;
using toml_fields::expect_only;
using toml_fields::flag_at;
using toml_fields::list_at;
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

Result<Profile> parse_profile(const toml::table& table) {
  Profile profile;
  profile.name = TRY(name_at(table, "[[profile]]", "name"));
  const std::string where = fmt::format("profile \"{}\"", profile.name);
  TRY(expect_only(table, where, {"name", "key_class", "operations", "submitters", "description", "url", "dual_signing"}));
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
    submitters.push_back({name, std::move(key)});
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
  TRY(expect_only(*general, "[appliance]", {"name", "tpm", "mode"}));
  Configuration configuration{.name = {}, .tpm = {}, .mode = {}, .profiles = {}, .submitters = {},
                              .digest = crypto::sha256(base::as_bytes(text))};
  configuration.name = TRY(name_at(*general, "[appliance]", "name"));
  configuration.tpm = TRY(text_at(*general, "[appliance]", "tpm"));
  const std::string mode = TRY(text_at(*general, "[appliance]", "mode"));
  const std::optional<attest::Mode> known = attest::mode_from_name(mode);
  if (!known)
    return fail(Errc::malformed, fmt::format("[appliance]: mode = \"{}\"; production or development wanted", base::printable(mode)));
  configuration.mode = *known;
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

Result<const Profile*> Configuration::profile(std::string_view wanted) const {
  for (const Profile& candidate : profiles)
    if (candidate.name == wanted) return &candidate;
  return fail(Errc::not_found, fmt::format("this appliance has no profile \"{}\"", base::printable(wanted)));
}

Result<const Submitter*> Configuration::submitter_of_key(std::string_view keyid) const {
  for (const Submitter& candidate : submitters)
    if (candidate.key.keyid() == keyid) return &candidate;
  return fail(Errc::refused, fmt::format("the request is signed by a key that is not enrolled here ({})",
                                         base::printable(keyid.substr(0, 64))));
}

}  // namespace appliance
