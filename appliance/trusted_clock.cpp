#include "appliance/trusted_clock.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/transparency/audit_log_line.hpp"
#include "usb/files/file_source.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

void TrustedClock::know(base::Time time) {
  if (known_ && time <= expected()) return;
  known_ = time;
  known_at_ = machine_->steady();
}

base::Time TrustedClock::expected() const { return *known_ + std::chrono::floor<std::chrono::seconds>(machine_->steady() - known_at_); }

base::Time TrustedClock::now() const {
  const base::Time machine = machine_->now();
  if (!known_) return machine;
  if (machine > expected() + step_) return expected();
  return std::max(machine, *known_);
}

Result<void> TrustedClock::expect_sane() const {
  const base::Time machine = machine_->now();
  if (!known_) return {};
  if (machine > expected() + step_)
    return fail(Errc::unavailable, fmt::format("clock.ahead: this machine's clock says {} and the last time known here is {}: compare it with a watch; "
                                               "administrators say that it is right with coldseal-admin clock",
                                               base::rfc3339(machine), base::rfc3339(*known_)));
  if (machine + std::chrono::hours(1) < *known_)
    return fail(Errc::unavailable, fmt::format("clock.behind: this machine's clock says {} and it was {} here already: set the machine's clock; if that time "
                                               "was a mistake, see docs/audit-log.md, \"Time\"",
                                               base::rfc3339(machine), base::rfc3339(*known_)));
  return {};
}

Result<std::optional<base::Time>> last_time_in(const std::filesystem::path& audit_log) {
  std::error_code error;
  if (!std::filesystem::exists(audit_log, error)) return std::optional<base::Time>();
  const usb::FileSource source = TRY(usb::FileSource::open(audit_log));
  // The last whole line, and perhaps a torn one behind it.
  const std::uint64_t length = std::min<std::uint64_t>(source.size(), 2 * base::limits::kAuditLineBytes + 2);
  const base::Bytes end = TRY(base::read_region(source, source.size() - length, length, length));
  std::string_view text = base::as_text(end);
  const std::size_t last = text.rfind('\n');
  if (last == std::string_view::npos) return std::optional<base::Time>();
  text = text.substr(0, last);
  const std::size_t before = text.rfind('\n');
  if (before != std::string_view::npos) text.remove_prefix(before + 1);
  const Result<transparency::AuditLine> line = transparency::audit_line_from_json(text);
  if (!line) return std::optional<base::Time>();   // whoever opens the log says what is wrong with it
  return std::optional(line->at);
}

}  // namespace appliance
