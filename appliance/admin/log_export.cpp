#include "appliance/admin/log_export.hpp"

#include <fmt/format.h>

#include "appliance/anchored_log.hpp"
#include "appliance/configuration.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/transparency/checkpoint.hpp"
#include "crypto/transparency/kept_inspection.hpp"
#include "crypto/transparency/log_anchor_proof.hpp"
#include "tpm/attestation.hpp"
#include "usb/files/file_source.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

namespace {

Result<transparency::TranscriptProof> certified(tpm::Device& device, const attest::NvPublic& area, const crypto::Digest& nonce) {
  tpm::Attestation attestation = TRY(tpm::certify_readable_index(device, area, nonce.bytes()));
  return transparency::TranscriptProof{std::move(attestation.statement), std::move(attestation.signature)};
}

// What the log's lines name in their field "inspection". What is not there, or is not that any more, is left out and said: whoever
// verifies the export is told which line it was.
Result<std::size_t> copy_inspections(const Layout& layout, const std::vector<std::string>& digests, const std::filesystem::path& to) {
  std::size_t missing = 0;
  for (const std::string& digest : digests) {
    const std::string place = transparency::kept_inspection_path(digest);
    const auto kept = usb::read_file(layout.inspections() / place, base::limits::kInspectionBytes);
    if (!kept || crypto::sha256(*kept).hex() != digest) {
      ++missing;
      continue;
    }
    TRY(usb::make_folders((to / place).parent_path()));
    TRY(usb::write_file(to / place, *kept));
  }
  return missing;
}

}  // namespace

Result<void> export_log(const AdminDesk& desk, const std::filesystem::path& to) {
  const Configuration configuration = TRY(Configuration::load(desk.layout));
  tpm::AuditAnchor anchor = TRY(desk.custody.anchor());
  if (!is_there(desk.layout.audit_log()))   // opening would begin a new one
    return fail(Errc::mismatch, fmt::format("{}: there is no audit log", desk.layout.audit_log().string()));
  std::vector<std::string> inspections;
  AnchoredLog::Opened opened = TRY(AnchoredLog::open(desk.layout.audit_log(), desk.clock, [&](const transparency::AuditLine& line) -> Result<void> {
    if (const auto named = line.data.find(std::string(transparency::kInspectionField)); named != line.data.end()) inspections.push_back(named->second);
    return {};
  }));
  TRY(opened.log.check(anchor));
  if (opened.log.lines() == 0) return fail(Errc::refused, "the audit log has no line yet");
  tpm::ReceiptKey* const key = TRY(desk.custody.receipt_key());
  const std::string checkpoint = TRY(transparency::sign_checkpoint(
      {transparency::log_origin(configuration.name), opened.log.lines(), opened.log.tree().root()}, *key));
  const crypto::Digest nonce = crypto::sha256(base::as_bytes(checkpoint));
  tpm::Device* const device = TRY(desk.custody.device());
  tpm::FirmwareGate* const gate = TRY(desk.custody.gate());
  transparency::LogAnchorProof proof;
  proof.count = TRY(certified(*device, gate->map().audit_count(), nonce));
  proof.extended = TRY(certified(*device, gate->map().audit_extend(), nonce));
  proof.baseline = TRY(certified(*device, attest::baseline_index(), nonce));

  const std::filesystem::path folder = to / fmt::format("coldseal-audit-{}-{}", configuration.name, opened.log.lines());
  const std::filesystem::path part = folder.string() + ".part";
  std::error_code ignored;
  std::filesystem::remove_all(part, ignored);
  std::size_t missing = 0;
  const auto written = [&]() -> Result<void> {
    TRY(usb::make_folders(part));
    const usb::FileSource log = TRY(usb::FileSource::open(desk.layout.audit_log()));
    TRY(usb::copy_file(log, part / kExportedLog));
    TRY(usb::make_folders(part / transparency::kInspectionsFolder));
    missing = TRY(copy_inspections(desk.layout, inspections, part / transparency::kInspectionsFolder));
    TRY(usb::write_file(part / kExportedCheckpoint, base::as_bytes(checkpoint)));
    TRY(usb::write_file(part / kExportedAnchor, base::as_bytes(proof.to_json())));
    return usb::rename_durably(part, folder, usb::IfThere::replace);
  }();
  if (!written) {
    std::filesystem::remove_all(part, ignored);
    return written;
  }
  desk.terminal.show(fmt::format("{} lines of the audit log, with checkpoint and the TPM's word, are in {}", opened.log.lines(), folder.string()));
  if (missing > 0)
    desk.terminal.show(fmt::format("{} of {} inspections that the log names are not there, or are not those any more; coldseal audit verify names the line",
                                   missing, inspections.size()));
  desk.terminal.show("whoever keeps the checkpoint can prove later that the log only grew: coldseal audit verify --since");
  return {};
}

}  // namespace appliance
