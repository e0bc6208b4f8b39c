#include "appliance/admin/ceremony.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "appliance/clock.hpp"
#include "appliance/configuration.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/base/words.hpp"
#include "tpm/device.hpp"
#include "tpm/officers.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::printable;
using base::Result;

namespace {

constexpr std::uint32_t kFirstOfficerIndex = 0x01800001;
constexpr std::uint32_t kLastOfficerIndex = 0x0180001F;

Result<void> expect_sound(const Layout& layout, const ProvisioningPlan& plan) {
  if (!is_plain_name(plan.key_class))
    return fail(Errc::usage, fmt::format("key class \"{}\": lower-case letters, digits, - and _ only", printable(plan.key_class)));
  if (plan.key_class == "receipt") return fail(Errc::usage, "\"receipt\" is the name of the appliance's own key");
  if (is_there(layout.key_class(plan.key_class)))
    return fail(Errc::refused, fmt::format("key class \"{}\" exists already", plan.key_class));
  const std::set<std::string> names(plan.officers.begin(), plan.officers.end());
  if (names.size() != plan.officers.size()) return fail(Errc::usage, "an officer is named twice");
  if (names.size() > base::limits::kOfficers)
    return fail(Errc::usage, fmt::format("{} officers, at most {}", names.size(), base::limits::kOfficers));
  if (plan.quorum < 2 || plan.quorum > names.size())
    return fail(Errc::usage, fmt::format("a quorum of {} of {} officers: at least 2, and not more than there are", plan.quorum, names.size()));
  for (const std::string& name : names)
    if (!is_plain_name(name))
      return fail(Errc::usage, fmt::format("officer \"{}\": lower-case letters, digits, - and _ only", printable(name)));
  for (const std::string& name : names)
    if (name.size() < 2) return fail(Errc::usage, fmt::format("officer \"{}\": single letters are answers at the console", name));
  return {};
}

// Typed twice; asked again until both agree and are long enough.
Result<base::SecretBytes> new_pin(const std::string& officer, Terminal& terminal) {
  for (;;) {
    base::SecretBytes first = TRY(terminal.ask_secret(fmt::format("{}: new PIN (at least {} characters): ", officer, base::limits::kPinDigits)));
    if (first.size() < base::limits::kPinDigits) {
      terminal.show("too short");
      continue;
    }
    const base::SecretBytes second = TRY(terminal.ask_secret(fmt::format("{}: the same PIN again: ", officer)));
    if (base::equal_secrets(first.reveal(), second.reveal())) return first;
    terminal.show("the two differ");
  }
}

// Appends each officer as soon as the TPM has the index.
Result<void> define_officers(tpm::Device& device, const ProvisioningPlan& plan, Terminal& terminal,
                             std::vector<tpm::Officer>& officers) {
  std::uint32_t index = kFirstOfficerIndex;
  for (const std::string& name : plan.officers) {
    // The next index that no other key class uses.
    for (; index <= kLastOfficerIndex; ++index) {
      const auto state = tpm::officer_state(device, {name, index});
      if (!state && state.error().code() == Errc::not_found) break;
    }
    if (index > kLastOfficerIndex) return fail(Errc::no_space, "the TPM's officer indices are all in use");
    const tpm::Officer officer{name, index++};
    base::SecretBytes pin = TRY(new_pin(name, terminal));
    TRY(tpm::define_officer(device, officer, pin));
    terminal.show(fmt::format("{} is enrolled: NV index {:#010x}, {} tries", name, officer.nv_index, tpm::kPinTries));
    officers.push_back(officer);
  }
  return {};
}

Result<void> make_key_class(const Layout& layout, tpm::Device& device, const ProvisioningPlan& plan, Terminal& terminal,
                            std::vector<tpm::Officer>& officers) {
  TRY(define_officers(device, plan, terminal, officers));
  const tpm::Quorum quorum{plan.quorum, officers};
  terminal.show("the TPM makes an RSA-3072 key; this takes up to a minute");
  const tpm::KeyBlob blob = TRY(tpm::QuorumKey::create(device, quorum, crypto::KeyAlgorithm::rsa_pkcs1));
  const tpm::QuorumKey key = TRY(tpm::QuorumKey::load(device, blob, quorum));
  TRY(KeyClass{plan.key_class, blob, quorum, key.name(), key.public_key(), {}}.save(layout));
  terminal.show(fmt::format("key class {}: {} of {} officers", plan.key_class, quorum.m, quorum.officers.size()));
  terminal.show(fmt::format("key name      {}", base::hex(key.name())));
  terminal.show(fmt::format("as words      {}", base::fingerprint_words(crypto::sha256(key.name()).bytes())));
  return {};
}

Result<void> make_receipt_key(const Layout& layout, tpm::Device& device, Terminal& terminal) {
  if (is_there(layout.receipt_key())) return {};
  const tpm::KeyBlob blob = TRY(tpm::ReceiptKey::create(device));
  const std::unique_ptr<tpm::ReceiptKey> key = TRY(tpm::ReceiptKey::load(device, blob));
  TRY(StoredReceiptKey{blob, key->public_key()}.save(layout));
  terminal.show(fmt::format("receipt key made: {}", key->public_key().keyid()));
  terminal.show(fmt::format("as words: {}", base::fingerprint_words(crypto::sha256(key->public_key().der()).bytes())));
  terminal.show(fmt::format("its public half, for whoever checks receipts: {}", (layout.receipt_key() / "key.pem").string()));
  return {};
}

Result<void> remember_srk(const Layout& layout, const tpm::Device& device) {
  if (!is_there(layout.keys() / "srk.name")) return save_srk_name(layout, device.srk_name());
  const base::Bytes known = TRY(load_srk_name(layout));
  return device.expect_srk(known);
}

}  // namespace

Result<void> provision(const Layout& layout, const ProvisioningPlan& plan, Terminal& terminal) {
  TRY(expect_sound(layout, plan));
  const TpmLock lock = TRY(TpmLock::take(layout));
  const std::unique_ptr<tpm::Device> device = TRY(tpm::Device::open(plan.tcti));
  terminal.show(fmt::format("TPM: {}{}", device->manufacturer(), device->is_software() ? " (software: development only)" : ""));
  TRY(remember_srk(layout, *device));
  TRY(make_receipt_key(layout, *device, terminal));

  std::vector<tpm::Officer> officers;
  const Result<void> made = make_key_class(layout, *device, plan, terminal, officers);
  if (!made)   // nothing is left in the TPM of what did not come about
    for (const tpm::Officer& officer : officers) (void)tpm::remove_officer(*device, officer);
  return made;
}

Result<void> request_certificate(const Layout& layout, Custody& custody, const std::string& name,
                                 const keys::SubjectName& subject, const std::string& file, Terminal& terminal) {
  if (is_there(file)) return fail(Errc::refused, fmt::format("{} exists already", printable(file)));
  const KeyClass key_class = TRY(KeyClass::load(layout, name));
  const keys::CertificateRequest request =
      TRY(keys::CertificateRequest::prepare(subject, key_class.public_key.der()));
  tpm::QuorumKey key = TRY(custody.load(key_class));
  terminal.show(fmt::format("certificate request for {}: {}", name, base::fingerprint_words(request.digest().bytes())));
  terminal.show(fmt::format("SHA-256 {}", request.digest().hex()));
  std::vector<tpm::Approval> approvals;
  const crypto::Digest digests[] = {request.digest()};
  while (approvals.size() < key_class.quorum.m) {
    const std::string officer = TRY(terminal.ask(fmt::format("officer ({} more needed, Enter to stop): ", key_class.quorum.m - approvals.size())));
    if (officer.empty()) return fail(Errc::refused, "stopped; nothing was signed");
    const bool repeated = std::any_of(approvals.begin(), approvals.end(), [&](const tpm::Approval& approval) { return approval.officer() == officer; });
    if (repeated) {
      terminal.show(fmt::format("{} has approved already", printable(officer)));
      continue;
    }
    base::SecretBytes pin = TRY(terminal.ask_secret(fmt::format("PIN of {}: ", printable(officer))));
    Result<tpm::Approval> approval = key.approve(officer, std::move(pin), digests);
    if (!approval && approval.error().code() == Errc::tpm) return tl::unexpected<base::Error>(approval.error());
    if (!approval) {
      terminal.show("not done: " + printable(approval.error().text()));
      continue;
    }
    approvals.push_back(std::move(*approval));
  }
  const base::Bytes signature = TRY(key.sign(request.digest(), approvals));
  const base::Bytes der = TRY(request.with_signature(signature));
  TRY(usb::write_file(file, base::as_bytes(keys::certificate_request_pem(der))));
  terminal.show(fmt::format("written to {}; have it signed, then: coldseal-admin certificate --key-class {} CHAIN.pem", printable(file), name));
  return {};
}

Result<void> unlock(const Layout& layout, Custody& custody, const std::string& name, const std::string& officer,
                    Terminal& terminal) {
  const KeyClass key_class = TRY(KeyClass::load(layout, name));
  tpm::Device* const device = TRY(custody.device());
  for (const tpm::Officer& known : key_class.quorum.officers) {
    if (known.name != officer) continue;
    TRY(tpm::unlock_officer(*device, known));
    terminal.show(fmt::format("{} is unlocked: {} tries, the same PIN", officer, tpm::kPinTries));
    return {};
  }
  return fail(Errc::not_found, fmt::format("{} is not an officer of key class \"{}\"", printable(officer), name));
}

Result<void> enrol_submitter(const Layout& layout, const std::string& name, const std::string& key_file, Terminal& terminal) {
  if (!is_plain_name(name))
    return fail(Errc::usage, fmt::format("submitter \"{}\": lower-case letters, digits, - and _ only", printable(name)));
  const base::Bytes pem = TRY(usb::read_file(key_file, base::limits::kPemBytes));
  const crypto::PublicKey key = TRY(base::within(printable(key_file), crypto::PublicKey::parse_pem(base::as_text(pem))));
  if (key.algorithm() != crypto::KeyAlgorithm::ecdsa_p256)
    return fail(Errc::unsupported, fmt::format("{}: submitters' keys are ECDSA P-256", printable(key_file)));
  TRY(usb::make_folders(layout.submitters()));
  const std::filesystem::path file = layout.submitters() / (name + ".pem");
  if (is_there(file)) return fail(Errc::refused, fmt::format("submitter \"{}\" is enrolled already", name));
  TRY(usb::write_file(file, base::as_bytes(key.pem())));
  terminal.show(fmt::format("submitter {} is enrolled", name));
  terminal.show(fmt::format("key {}", key.keyid()));
  terminal.show(fmt::format("as words: {}", base::fingerprint_words(crypto::sha256(key.der()).bytes())));
  terminal.show("a running coldseald learns of it when it is started again");
  return {};
}

Result<void> show_status(const Layout& layout, Custody& custody, Terminal& terminal) {
  tpm::Device* const device = TRY(custody.device());
  const tpm::ReceiptKey* const receipt_key = TRY(custody.receipt_key());
  terminal.show(fmt::format("TPM            {}", custody.kind()));
  terminal.show("mode           development: firmware not measured");
  terminal.show(fmt::format("receipt key    {}", custody.receipt_keyid()));
  terminal.show(fmt::format("  as words     {}", base::fingerprint_words(crypto::sha256(receipt_key->public_key().der()).bytes())));
  const base::Time now = SystemClock().now();
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(layout.keys(), ignored)) {
    const std::string name = entry.path().filename().string();
    if (!is_plain_name(name) || name == "receipt") continue;   // srk.name, and what a power cut left
    const KeyClass key_class = TRY(KeyClass::load(layout, name));
    TRY(custody.load(key_class));
    terminal.show(fmt::format("key class      {}: {} of {} officers, key {}", name, key_class.quorum.m,
                              key_class.quorum.officers.size(), base::hex(key_class.key_name)));
    for (const tpm::Officer& officer : key_class.quorum.officers) {
      const tpm::OfficerState state = TRY(tpm::officer_state(*device, officer));
      terminal.show(fmt::format("  officer      {}: {}", officer.name,
                                state.blocked() ? "blocked, an administrator must unlock" : fmt::format("{} tries left", state.tries_left())));
    }
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
