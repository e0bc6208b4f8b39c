#include "appliance/admin/certificates.hpp"

#include <fmt/format.h>

#include "appliance/admin/act_log.hpp"
#include "appliance/admin/people.hpp"
#include "appliance/clock.hpp"
#include "appliance/configuration.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/base/words.hpp"
#include "tpm/officers.hpp"
#include "tpm/provisioning.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::printable;
using base::Result;

namespace {

// The index is read by its owner alone once the hierarchies are closed; the TPM says how many tries are left when a PIN was wrong.
Result<void> show_person(tpm::Device& device, const tpm::Officer& person, Terminal& terminal) {
  const Result<tpm::OfficerState> state = tpm::officer_state(device, person);
  if (!state && state.error().code() == Errc::not_found) return tl::unexpected<base::Error>(state.error());
  const std::string tries = !state              ? state.error().text()
                            : state->blocked() ? std::string("blocked, administrators must unlock")
                                               : fmt::format("{} tries left", state->tries_left());
  terminal.show(fmt::format("  {:<12} {}", person.name, tries));
  return {};
}

}  // namespace

Result<void> request_certificate(const AdminDesk& desk, const std::string& name, const keys::SubjectName& subject, const std::string& file) {
  const Layout& layout = desk.layout;
  Custody& custody = desk.custody;
  Terminal& terminal = desk.terminal;
  if (is_there(file)) return fail(Errc::refused, fmt::format("{} exists already", printable(file)));
  const KeyClass key_class = TRY(KeyClass::load(layout, name));
  const keys::CertificateRequest request =
      TRY(keys::CertificateRequest::prepare(subject, key_class.public_key.der()));
  tpm::QuorumKey key = TRY(custody.load(key_class));
  terminal.show(fmt::format("certificate request for {}: {}", name, base::fingerprint_words(request.digest().bytes())));
  terminal.show(fmt::format("SHA-256 {}", request.digest().hex()));
  TRY(show_box(desk));
  const crypto::Digest digests[] = {request.digest()};
  const std::vector<tpm::Approval> approvals =
      TRY(collect_approvals(key_class.quorum.m, "officer", terminal,
                            [&](const std::string& officer, base::SecretBytes pin) { return key.approve(officer, std::move(pin), digests); },
                            [&](const std::string& officer, const std::string& reason) { return log_failed_pin(desk.layout, desk.clock, key_class.quorum, officer, reason); }));
  std::string names;
  for (const tpm::Approval& approval : approvals) names += (names.empty() ? "" : ", ") + approval.officer();
  TRY(log_act(desk, transparency::AuditEvent::administration,
              {{"what", "certificate request for key class " + name}, {"officers", names}, {"digest", request.digest().hex()}}));
  const base::Bytes signature = TRY(key.sign(request.digest(), approvals));
  const base::Bytes der = TRY(request.with_signature(signature));
  TRY(usb::write_file(file, base::as_bytes(keys::certificate_request_pem(der))));
  terminal.show(fmt::format("written to {}; have it signed, then: coldseal-admin certificate --key-class {} CHAIN.pem", printable(file), name));
  return {};
}

Result<crypto::SigningIdentity> expect_chain(const Layout& layout, const std::string& name, const std::string& file) {
  const base::Bytes pem = TRY(usb::read_file(file, base::limits::kPemBytes));
  return base::within(file, identity_with_chain(layout, name, base::as_text(pem)));
}

Result<void> install_certificate(const AdminDesk& desk, const std::string& name, const std::string& file) {
  const base::Bytes pem = TRY(usb::read_file(file, base::limits::kPemBytes));
  const crypto::SigningIdentity identity = TRY(base::within(file, identity_with_chain(desk.layout, name, base::as_text(pem))));
  const std::string fingerprint = identity.leaf().fingerprint().hex();
  TRY(log_act(desk, transparency::AuditEvent::administration,
              {{"what", fmt::format("a certificate is installed for key class {}", name)}, {"key-class", name}, {"certificate", fingerprint}}));
  TRY(install_chain(desk.layout, name, base::as_text(pem)));
  desk.terminal.show("certificate chain installed for key class " + name);
  desk.terminal.show("certificate  SHA-256 " + fingerprint);
  return {};
}

Result<void> show_status(const Layout& layout, Custody& custody, Terminal& terminal) {
  tpm::Device* const device = TRY(custody.device());
  const tpm::ReceiptKey* const receipt_key = TRY(custody.receipt_key());
  terminal.show(fmt::format("TPM            {}", custody.kind()));
  const tpm::FirmwareGate* const gate = TRY(custody.gate());
  const Result<void> opens = gate->test();
  terminal.show(fmt::format("mode           {}{}", attest::mode_name(custody.mode()),
                            custody.mode() == attest::Mode::development ? ": firmware not measured; not for release keys" : ", for the life of these keys"));
  terminal.show(fmt::format("firmware       version {}, {}", gate->approval().version, opens ? "the gate opens" : opens.error().text()));
  const base::Bytes floor = TRY(tpm::read_public_index(*device, attest::floor_index()));
  terminal.show(fmt::format("  floor        {}", base::hex(floor)));
  const tpm::Administration administration = TRY(custody.administration());
  terminal.show(fmt::format("administrators {} of {}", administration.administrators().m, administration.administrators().officers.size()));
  for (const tpm::Officer& person : administration.administrators().officers) TRY(show_person(*device, person, terminal));
  terminal.show(fmt::format("receipt key    {}", custody.receipt_keyid()));
  terminal.show(fmt::format("  as words     {}", base::fingerprint_words(crypto::sha256(receipt_key->public_key().der()).bytes())));
  const base::Time now = SystemClock().now();
  const std::vector<std::string> names = TRY(key_classes(layout));
  for (const std::string& name : names) {
    const KeyClass key_class = TRY(KeyClass::load(layout, name));
    TRY(custody.load(key_class));
    terminal.show(fmt::format("key class      {}: {} of {} officers, key {}", name, key_class.quorum.m,
                              key_class.quorum.officers.size(), base::hex(key_class.key_name)));
    for (const tpm::Officer& officer : key_class.quorum.officers) TRY(show_person(*device, officer, terminal));
    const Result<crypto::SigningIdentity> identity = key_class.identity();
    if (!identity) {
      terminal.show("  certificate  " + identity.error().text());
      continue;
    }
    const auto days = std::chrono::floor<std::chrono::days>(identity->leaf().not_after() - now).count();
    terminal.show(fmt::format("  certificate  {}, {} days left", identity->leaf().subject(), days));
  }
  return {};
}

}  // namespace appliance
