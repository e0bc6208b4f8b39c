// What coldseal-admin writes into the audit log: acts before they take effect, anchored in the TPM, and failed PINs before
// anybody is told of them.
#pragma once

#include <map>
#include <string>

#include "appliance/admin/acts.hpp"
#include "crypto/transparency/audit_log_line.hpp"

namespace appliance {

// On disk and in the TPM when this returns. Errc::mismatch when the log and its anchor do not agree.
base::Result<void> log_act(const AdminDesk& desk, transparency::AuditEvent event, const std::map<std::string, std::string>& data);
// A wrong PIN, a blocked person, somebody unknown. What was typed as a name is written down only when it is one: it may be a PIN.
base::Result<void> log_failed_pin(const AdminDesk& desk, const tpm::Quorum& known, const std::string& typed, const std::string& reason);

}  // namespace appliance
