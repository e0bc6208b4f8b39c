#include "appliance/tpm_report.hpp"

#include <fmt/format.h>

#include "tpm/officers.hpp"

namespace appliance {
namespace {

using base::Result;

// One person: tries left, or why they cannot approve and what helps.
std::string line_about(tpm::Device& device, const tpm::Officer& person, const std::string& unlock) {
  const Result<tpm::OfficerState> state = tpm::officer_state(device, person);
  if (!state) return fmt::format("{:<12} {}", person.name, state.error().text());
  if (state->blocked())
    return fmt::format("{:<12} blocked after {} wrong PINs; administrators unlock: type u here, or {} {}", person.name, state->tries_used, unlock, person.name);
  return fmt::format("{:<12} {} tries left", person.name, state->tries_left());
}

Section about_class(const Layout& layout, Custody& custody, tpm::Device& device, const std::string& name) {
  Section section{"Key class " + name, {}};
  const Result<KeyClass> key_class = KeyClass::load(layout, name);
  if (!key_class) {
    section.lines.push_back(key_class.error().text());
    return section;
  }
  if (const Result<tpm::QuorumKey> loaded = custody.load(*key_class); loaded)
    section.lines.push_back(fmt::format("the key is there; any {} of {} officers", key_class->quorum.m, key_class->quorum.officers.size()));
  else
    section.lines.push_back(loaded.error().text());
  for (const tpm::Officer& officer : key_class->quorum.officers)
    section.lines.push_back(line_about(device, officer, "coldseal-admin unlock --key-class " + name));
  return section;
}

}  // namespace

Document report_on_tpm(const Layout& layout, Custody& custody) {
  Document document;
  const Result<tpm::Device*> device = custody.device();
  if (!device) {
    document.sections.push_back({"TPM", {device.error().text(), "type t to look again once it was put right"}});
    return document;
  }
  Section general{"TPM", {fmt::format("{}, opened anew; whatever was left in it is flushed", custody.kind())}};
  const Result<tpm::FirmwareGate*> gate = custody.gate();
  const Result<void> opens = gate ? (*gate)->test() : Result<void>(tl::unexpected<base::Error>(gate.error()));
  general.lines.push_back(opens ? "the firmware gate opens for what runs now" : "firmware gate: " + opens.error().text());
  if (const Result<tpm::ReceiptKey*> receipt = custody.receipt_key(); !receipt)
    general.lines.push_back("receipt key: " + receipt.error().text());
  document.sections.push_back(std::move(general));
  const Result<std::vector<std::string>> names = key_classes(layout);
  if (!names) {
    document.sections.push_back({"Key classes", {names.error().text()}});
    return document;
  }
  for (const std::string& name : *names) document.sections.push_back(about_class(layout, custody, **device, name));
  return document;
}

}  // namespace appliance
