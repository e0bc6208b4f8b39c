#include "appliance/anchored_log.hpp"

#include <fmt/format.h>

#include "crypto/base/limits.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;
using transparency::AuditEvent;
using transparency::AuditLine;

namespace {

const std::string kField(transparency::kAnchorField);

// A reason may quote what somebody sent, at any length; a line has its limit, and must be written.
void shorten(std::map<std::string, std::string>& data) {
  for (auto& [name, value] : data)
    if (value.size() > base::limits::kNoteBytes) value = base::shortened(value, base::limits::kNoteBytes);
}

}  // namespace

Result<AnchoredLog::Opened> AnchoredLog::open(const std::filesystem::path& file, const Clock& clock, const SeeLine& see) {
  transparency::AnchoredLines lines;
  AuditLog log = TRY(AuditLog::open(file, clock, [&](const AuditLine& line, const crypto::Digest& digest) -> Result<void> {
    lines.add(line, digest);
    return see ? see(line) : Result<void>();
  }));
  return Opened{AnchoredLog(std::move(log), std::move(lines))};
}

Result<void> AnchoredLog::mend() {
  const std::optional<AuditLine> line = TRY(log_.mend());
  if (line) lines_.add(*line, log_.head());
  return {};
}

Result<AuditLine> AnchoredLog::append(AuditEvent event, const std::string& request, std::map<std::string, std::string> data) {
  data[kField] = transparency::kProvisional;
  shorten(data);
  TRY(mend());
  AuditLine line = TRY(log_.append(event, request, data));
  lines_.add(line, log_.head());
  return line;
}

Result<AnchoredLog::Anchored> AnchoredLog::append_anchored(tpm::AuditAnchor& anchor, AuditEvent event, const std::string& request,
                                                           std::map<std::string, std::string> data) {
  base::require(next_count_ != 0, "a log that was not held against its anchor");
  data[kField] = fmt::format("{}", next_count_);
  shorten(data);
  TRY(mend());
  AuditLine line = TRY(log_.append(event, request, data));
  lines_.add(line, log_.head());
  Result<void> anchored = anchor.extend(log_.head());
  if (anchored) anchored = anchor.increment();
  if (anchored)
    ++next_count_;
  else
    next_count_ = 0;   // until check() has looked what the TPM did
  return Anchored{std::move(line), std::move(anchored)};
}

Result<void> AnchoredLog::check(tpm::AuditAnchor& anchor) {
  next_count_ = 0;
  const tpm::AnchorBaseline baseline = TRY(anchor.baseline());
  const transparency::AnchoredLines::Expected expected = TRY(lines_.expected(baseline));
  const std::uint64_t count = expected.state.count;
  const tpm::AnchorState state = TRY(anchor.state());
  const bool as_many = state.count == count;
  const bool one_behind = expected.last && state.count + 1 == count;
  if (as_many && state.extended == expected.state.extended) {
    next_count_ = count + 1;
    return mend();
  }
  if (one_behind && (state.extended == expected.state.extended || state.extended == expected.before_last)) {
    // The power went, or the TPM, between the line on disk and its anchor.
    if (state.extended == expected.before_last) TRY(anchor.extend(expected.last->digest));
    TRY(anchor.increment());
    const std::uint64_t line = expected.last->number;
    next_count_ = count + 1;
    TRY(append(AuditEvent::recovered, "", {{"what", fmt::format("the anchor of line {} was completed", line)}}));
    return {};
  }
  const std::string advice = "do not sign, keep the file, call the administrators; they can accept the log as it is with "
                             "coldseal-admin log rebaseline, which stays visible for ever";
  if (state.count > count)
    return fail(Errc::mismatch, fmt::format("audit log: the TPM counted {} anchored lines and the log has {}: lines are missing from line {} on, or it "
                                            "is an older copy; {}", state.count, count, log_.lines() + 1, advice));
  if (state.count < count)
    return fail(Errc::mismatch, fmt::format("audit log: it has {} anchored lines and the TPM counted {}: the TPM was set back, or is "
                                            "another one; {}", count, state.count, advice));
  return fail(Errc::mismatch, fmt::format("audit log: its anchored lines are not those that the TPM saw: line {} was changed, or every line from an "
                                          "earlier one on; {}", expected.last ? expected.last->number : log_.lines(), advice));
}

Result<tpm::AnchorBaseline> AnchoredLog::as_it_is(const tpm::AuditAnchor& anchor) const {
  const tpm::AnchorState state = TRY(anchor.state());
  return tpm::AnchorBaseline{state.count, state.extended, log_.head()};
}

}  // namespace appliance
