#include "appliance/admin/act_log.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "appliance/anchored_log.hpp"
#include "crypto/base/limits.hpp"

namespace appliance {

using base::Result;

Result<void> expect_reason(const std::string& reason) {
  constexpr std::size_t kMost = base::limits::kNoteBytes / 2;   // beside what is said before it
  if (base::is_utf8(reason) && reason.size() <= kMost) return {};
  return base::fail(base::Errc::usage, fmt::format("--reason: UTF-8 of at most {} bytes wanted", kMost));
}

Result<void> log_provisionally(const AdminDesk& desk, transparency::AuditEvent event, const std::map<std::string, std::string>& data) {
  AnchoredLog::Opened opened = TRY(AnchoredLog::open(desk.layout.audit_log(), desk.clock));
  TRY(opened.log.append(event, "", data));
  return {};
}

Result<void> log_act(const AdminDesk& desk, transparency::AuditEvent event, const std::map<std::string, std::string>& data,
                     tpm::FirmwareGate* gate, const std::string& request) {
  // A line about the time says the time that was approved.
  const bool is_time = event == transparency::AuditEvent::time_changed;
  AnchoredLog::Opened opened = TRY(AnchoredLog::open(desk.layout.audit_log(), is_time ? desk.machine : desk.clock));
  tpm::Device* const device = TRY(desk.custody.device());
  if (gate == nullptr) gate = TRY(desk.custody.gate());
  tpm::AuditAnchor anchor(*device, *gate);
  TRY(opened.log.check(anchor));
  const AnchoredLog::Anchored written = TRY(opened.log.append_anchored(anchor, event, request, data));
  return written.anchored;
}

Result<void> log_failed_pin(const Layout& layout, const Clock& clock, const tpm::Quorum& known, const std::string& typed,
                            const std::string& reason) {
  const bool is_name = std::any_of(known.officers.begin(), known.officers.end(), [&](const tpm::Officer& person) { return person.name == typed; });
  AnchoredLog::Opened opened = TRY(AnchoredLog::open(layout.audit_log(), clock));
  TRY(opened.log.append(transparency::AuditEvent::approval_failed, "",
                        {{"officer", is_name ? typed : "nobody of that roster"}, {"reason", reason}}));
  return {};
}

}  // namespace appliance
