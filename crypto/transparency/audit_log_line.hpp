// The audit log: canonical JSON, one object a line, each holding the SHA-256 of the line before it.
//   {"at":"2026-11-23T16:20:00Z","data":{"officer":"ana"},"event":"approved-by","index":4,"previous":"<hex>","request":"<hex>"}
// Bytes only: the file belongs to the appliance. Whether the last line is the newest is not for the chain to say;
// the TPM's anchor does.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "crypto/base/byte_source.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "crypto/digest.hpp"

namespace transparency {

enum class AuditEvent : std::uint8_t {
  started,              // coldseald started
  stopped,              // and was stopped: what was written before is anchored with it
  received,             // a request arrived whole
  intake_refused,       // a request was refused before inspection
  inspected,
  refused,              // after inspection, by a rule
  review_opened,        // an officer opened it on the screen
  approval_started,
  approved_by,
  approval_failed,      // a wrong PIN, a locked officer
  rejected,             // an officer said no
  signing,              // written before the TPM signs
  signed_,
  delivered_to_outbox,
  expired,              // the approval ran out of time
  returned_to_waiting,
  recovered,            // after a restart
  administration,       // a change that administrators approved
  rebaselined,          // administrators accepted the log as it is
  time_changed,
  withdrawn,            // an administrator took a request back
  request_expired,      // nobody approved it for as long as the profile lets it wait
  delivered,            // the courier read the response back on the stick, or the host has it
  removed,              // a response that was delivered long ago
};
std::string_view audit_event_name(AuditEvent event);                          // "started", "intake-refused", ...
base::Result<AuditEvent> audit_event_from_name(std::string_view name);
// Whether lines of that kind are always anchored in the TPM (anchored_lines.hpp): approvals, rejections, withdrawals, signatures, changes by
// administrators, of time and of configuration, and the end of coldseald's part.
bool is_anchored(AuditEvent event);

// A time-changed line with this field may be earlier than the line before, whose time it names: administrators say that it was a mistake.
inline constexpr const char* kSetBackField = "set-back-from";
bool sets_time_back(AuditEvent event, const std::map<std::string, std::string>& data);

struct AuditLine {
  std::uint64_t index = 0;    // of the line, from 0
  crypto::Digest previous;    // SHA-256 of the previous line without its newline; 32 zeros for the first
  base::Time at{};
  AuditEvent event = AuditEvent::started;
  std::string request;        // 64 hex, or empty when it is about no request
  std::map<std::string, std::string> data;   // names of lower-case letters, digits and '-'; at most limits::kAuditData
};

// One line, without newline, at most limits::kAuditLineBytes.
base::Result<AuditLine> audit_line_from_json(std::string_view line);
std::string audit_line_json(const AuditLine& line);   // as it was read, byte for byte; values that are not UTF-8 are escaped

// Hands each whole line, without its newline, to `use`; returns how many bytes they were. A line of over kAuditLineBytes is
// Errc::too_large; the last one may lack its end.
base::Result<std::uint64_t> for_each_audit_line(const base::ByteSource& source, const std::function<base::Result<void>(std::string_view)>& use);

class AuditChain {  // where the log ends: what the next line must say
 public:
  AuditChain();   // of an empty log
  // Takes the next line when it is well formed, continues the chain, and is not earlier than the line before (or sets the time back);
  // the error says which line ("line 17: ...", counted from 1) and why. After an error the chain is where it was.
  base::Result<AuditLine> accept(std::string_view line);
  // The next line, without newline; the chain has moved on. Values that are not UTF-8 are escaped. Errc::refused when
  // `at` is before the last line; Errc::too_large over a limit.
  base::Result<std::string> append(base::Time at, AuditEvent event, std::string_view request,
                                   const std::map<std::string, std::string>& data);

  std::uint64_t lines() const { return lines_; }
  const crypto::Digest& head() const { return head_; }   // SHA-256 of the last line; zeros for an empty log
  base::Time last_at() const { return last_at_; }        // the epoch for an empty log

 private:
  base::Result<void> expect_continues(const AuditLine& line) const;
  std::uint64_t lines_ = 0;
  crypto::Digest head_;
  base::Time last_at_{};
};

}  // namespace transparency
