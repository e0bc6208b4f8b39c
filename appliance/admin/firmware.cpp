// Which firmware may sign: measured here, approved by a vendor elsewhere.
#include <fmt/format.h>

#include "appliance/admin/act_log.hpp"
#include "appliance/admin/acts.hpp"
#include "crypto/base/words.hpp"
#include "tpm/provisioning.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::printable;
using base::Result;
using transparency::AuditEvent;

Result<void> measure_firmware(const Layout& layout, const std::string& tcti, std::uint64_t version, attest::Mode mode,
                              const std::string& file, Terminal& terminal) {
  const TpmLock lock = TRY(TpmLock::take(layout));
  const std::unique_ptr<tpm::Device> device = TRY(tpm::Device::open(tcti));
  const crypto::Digest values = TRY(tpm::firmware_measurements(*device));
  const crypto::Digest policy = attest::firmware_policy(values, version);
  std::filesystem::path message = file;
  TRY(usb::write_file(file, base::as_bytes(firmware_approval_text(version, policy, mode))));
  TRY(usb::write_file(message.replace_extension(".tbs"), attest::firmware_message(policy, mode)));
  std::filesystem::path signature = file;
  signature.replace_extension(".sig");
  terminal.show(fmt::format("firmware version {}, measured: {}", version, values.hex()));
  terminal.show("as words: " + base::fingerprint_words(policy.bytes()));
  terminal.show(fmt::format("the vendor signs: openssl dgst -sha256 -sign KEY.pem -out {} {}", printable(signature.string()), printable(message.string())));
  return {};
}

Result<void> approve_firmware(const AdminDesk& desk, const std::string& file) {
  tpm::FirmwareApproval approval = TRY(read_firmware_approval(file));
  if (!desk.custody.device()) desk.custody.use_approval(approval);   // the stored one may be what keeps the TPM closed
  tpm::Device* const device = TRY(desk.custody.device());
  attest::FirmwareMap map = TRY(load_firmware_map(desk.layout));
  tpm::FirmwareGate gate = TRY(tpm::FirmwareGate::load(*device, std::move(map), approval));
  // Approved firmware that does not run here yet may be brought in before it is started.
  const Result<void> opens = gate.test();
  const std::map<std::string, std::string> data = {{"what", fmt::format("firmware version {} is approved by a vendor", approval.version)},
                                                   {"policy", approval.policy.hex()}};
  tpm::FirmwareGate* const until_now = TRY(desk.custody.gate());
  if (opens)   // one of the two must open, or the anchor cannot be written
    TRY(log_act(desk, AuditEvent::administration, data, &gate));
  else if (until_now->test())
    TRY(log_act(desk, AuditEvent::administration, data, until_now));
  else   // an act's line must be anchored; this says what happened in one that need not be
    TRY(log_provisionally(desk, AuditEvent::recovered, data));
  TRY(save_firmware_approval(desk.layout, approval));
  desk.terminal.show(fmt::format("firmware version {} is approved: {}", approval.version, base::fingerprint_words(approval.policy.bytes())));
  desk.terminal.show(opens ? "it is what runs now: the gate opens" : "it is not what runs now: " + printable(opens.error().text()));
  return {};
}

}  // namespace appliance
