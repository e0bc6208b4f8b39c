#include "appliance/admin/imports.hpp"

#include <fmt/format.h>

#include "appliance/admin/act_log.hpp"
#include "appliance/admin/block_list.hpp"
#include "appliance/admin/submitters.hpp"
#include "appliance/configuration.hpp"
#include "appliance/revocation.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/package/deny_list.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::printable;
using base::Result;
using transparency::AuditEvent;

namespace {

constexpr std::string_view kImportBegins = "# imported rules begin";
constexpr std::string_view kImportEnds = "# imported rules end";

// Of all key classes that have a chain.
Result<std::vector<crypto::Certificate>> installed_authorities(const AdminDesk& desk) {
  std::vector<crypto::Certificate> authorities;
  const std::vector<std::string> names = TRY(key_classes(desk.layout));
  for (const std::string& name : names) {
    const KeyClass key_class = TRY(KeyClass::load(desk.layout, name));
    for (std::size_t i = 1; i < key_class.chain.size(); ++i) authorities.push_back(key_class.chain[i]);
  }
  return authorities;
}

// What stands outside the two marks.
std::string own_rules(std::string_view text) {
  std::string kept;
  bool is_imported = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with(kImportBegins)) is_imported = true;
    if (!is_imported) kept += std::string(line) + "\n";
    if (line.starts_with(kImportEnds)) is_imported = false;
  }
  return kept;
}

void tell_digest(const AdminDesk& desk, const std::string& digest) {
  const Result<Configuration> configuration = Configuration::load(desk.layout);
  if (configuration && configuration->box.deny_list == digest) {
    desk.terminal.show("it is the one that coldseal.toml names");
    return;
  }
  desk.terminal.show("it counts once coldseal.toml says so and the administrators approve that; coldseald does not start before. In [appliance]:");
  desk.terminal.show(fmt::format("   deny_list = \"{}\"", digest));
  desk.terminal.show("then: coldseal-admin configuration approve");
}

}  // namespace

Result<void> import_revocation_list(const AdminDesk& desk, const std::string& file) {
  const base::Bytes bytes = TRY(usb::read_file(file, base::limits::kRevocationListBytes));
  const Administered log = TRY(read_administered(desk));
  const std::vector<crypto::Certificate> authorities = TRY(installed_authorities(desk));
  const CheckedList checked = TRY(base::within(printable(file), check_new_list(bytes, authorities, log, desk.clock.now())));
  TRY(usb::make_folders(desk.layout.revocation_lists()));
  // The line first. When the file is not written, coldseald says that it is not the one imported, and the same list is imported again,
  // without another line.
  if (!checked.is_recorded) TRY(log_act(desk, AuditEvent::administration, Administered::line_of(checked.line, checked.issuer)));
  TRY(usb::write_file(list_file(desk.layout, checked.line.authority), checked.list.der()));
  desk.terminal.show(fmt::format("revocation list number {} of {}: {} certificates, of {}", checked.line.number, checked.issuer, checked.list.size(),
                                 base::rfc3339(checked.line.this_update)));
  const std::vector<std::string> names = TRY(key_classes(desk.layout));
  for (const std::string& name : names) {
    const KeyClass key_class = TRY(KeyClass::load(desk.layout, name));
    for (const crypto::Certificate& certificate : key_class.chain) {
      const crypto::Certificate* const issuer = issuer_in(key_class.chain, certificate);
      if (issuer != nullptr && checked.list.expect_issued_by(*issuer) && checked.list.revoked_at(certificate.serial()))
        desk.terminal.show(fmt::format("REVOKED: the certificate of {} of key class {}; nothing is signed with it any more", certificate.subject(), name));
    }
  }
  return {};
}

Result<void> show_revocation_lists(const AdminDesk& desk) {
  const Administered log = TRY(read_administered(desk));
  for (const ImportedList* const list : log.lists()) {
    const auto days = std::chrono::floor<std::chrono::days>(desk.clock.now() - list->this_update).count();
    desk.terminal.show(fmt::format("authority {}  number {}, of {}, {} days old", list->authority.substr(0, 16), list->number, base::rfc3339(list->this_update), days));
  }
  if (log.lists().empty()) desk.terminal.show("no revocation list was imported");
  return {};
}

Result<void> import_deny_list(const AdminDesk& desk, const std::string& file) {
  const base::Bytes xml = TRY(usb::read_file(file, base::limits::kBlockListXmlBytes));
  const BlockList list = TRY(base::within(printable(file), read_block_list(xml)));
  std::string text;
  if (is_there(desk.layout.deny_list())) {
    const base::Bytes before = TRY(usb::read_file(desk.layout.deny_list(), base::limits::kDenyListBytes));
    text = own_rules(base::as_text(before));
  }
  text += fmt::format("{} (from a file with SHA-256 {})\n{}{}\n", kImportBegins, crypto::sha256(xml).hex(), list.rules, kImportEnds);
  const package::DenyList parsed = TRY(package::DenyList::parse(text));
  const crypto::Digest digest = TRY(usb::write_file(desk.layout.deny_list(), base::as_bytes(text)));
  desk.terminal.show(fmt::format("{} digests and {} names with versions imported; {} rules in all", list.digests, list.names, parsed.size()));
  desk.terminal.show(fmt::format("left out: {} rules without a digest or a plain name, {} signers that are denied as a whole", list.left_out, list.whole_signers));
  tell_digest(desk, digest.hex());
  return {};
}

Result<void> show_deny_list(const AdminDesk& desk) {
  if (!is_there(desk.layout.deny_list())) {
    desk.terminal.show("there is no deny list");
    return {};
  }
  const base::Bytes text = TRY(usb::read_file(desk.layout.deny_list(), base::limits::kDenyListBytes));
  const package::DenyList parsed = TRY(package::DenyList::parse(base::as_text(text)));
  desk.terminal.show(fmt::format("{} rules, SHA-256 {}", parsed.size(), crypto::sha256(text).hex()));
  tell_digest(desk, crypto::sha256(text).hex());
  return {};
}

}  // namespace appliance
