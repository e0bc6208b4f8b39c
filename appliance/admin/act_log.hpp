// What coldseal-admin writes into the audit log: acts before they take effect, anchored in the TPM, and failed PINs before
// anybody is told of them.
#pragma once

#include <map>
#include <string>

#include "appliance/admin/acts.hpp"
#include "crypto/transparency/audit_log_line.hpp"

namespace appliance {

// On disk and in the TPM when this returns. Errc::mismatch when the log and its anchor do not agree. gate: under whose approval the
// anchor is written; the one in use when there is none. request: what it is about, when it is about one.
base::Result<void> log_act(const AdminDesk& desk, transparency::AuditEvent event, const std::map<std::string, std::string>& data,
                           tpm::FirmwareGate* gate = nullptr, const std::string& request = {});
// The same without the anchor, and the line says so: for when no approval opens the gate. Not for events that are always anchored.
base::Result<void> log_provisionally(const AdminDesk& desk, transparency::AuditEvent event, const std::map<std::string, std::string>& data);
// A wrong PIN, a blocked person, somebody unknown. What was typed as a name is written down only when it is one: it may be a PIN.
base::Result<void> log_failed_pin(const Layout& layout, const Clock& clock, const tpm::Quorum& known, const std::string& typed, const std::string& reason);
// Of --reason: Errc::usage for one that would not stand whole in the log and in receipts.
base::Result<void> expect_reason(const std::string& reason);

}  // namespace appliance
