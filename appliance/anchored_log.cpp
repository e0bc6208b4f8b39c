#include "appliance/anchored_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;
using transparency::AuditEvent;
using transparency::AuditLine;

namespace {

constexpr const char* kField = "anchor";

// 0 for a provisional line.
std::uint64_t count_in(const AuditLine& line) {
  const auto field = line.data.find(kField);
  if (field == line.data.end()) return 0;
  std::uint64_t count = 0;
  const char* const last = std::to_address(field->second.end());
  const auto [end, error] = std::from_chars(field->second.data(), last, count);
  return error == std::errc{} && end == last ? count : 0;
}

bool is_zero(const crypto::Digest& digest) {
  return std::all_of(digest.bytes().begin(), digest.bytes().end(), [](std::uint8_t octet) { return octet == 0; });
}

}  // namespace

bool is_anchored(AuditEvent event) {
  switch (event) {
    case AuditEvent::approved_by:
    case AuditEvent::rejected:
    case AuditEvent::signing:
    case AuditEvent::signed_:
    case AuditEvent::administration:
    case AuditEvent::rebaselined:
    case AuditEvent::time_changed:
      return true;
    default:
      return false;
  }
}

Result<AnchoredLog::Opened> AnchoredLog::open(const std::filesystem::path& file, const Clock& clock) {
  AuditLog::Opened opened = TRY(AuditLog::open(file, clock));
  Opened result{AnchoredLog(std::move(opened.log)), std::move(opened.lines)};
  for (std::size_t i = 0; i < result.lines.size(); ++i)
    result.log.remember(result.lines[i], i + 1 < result.lines.size() ? result.lines[i + 1].previous : result.log.log_.head());
  return result;
}

void AnchoredLog::remember(const AuditLine& line, const crypto::Digest& digest) {
  heads_.push_back(digest);
  if (const std::uint64_t count = count_in(line); count != 0) entries_.push_back({count, digest, line.index + 1});
}

Result<AuditLine> AnchoredLog::append(AuditEvent event, const std::string& request, std::map<std::string, std::string> data) {
  data[kField] = "provisional";
  AuditLine line = TRY(log_.append(event, request, data));
  remember(line, log_.head());
  return line;
}

Result<AnchoredLog::Anchored> AnchoredLog::append_anchored(tpm::AuditAnchor& anchor, AuditEvent event, const std::string& request,
                                                           std::map<std::string, std::string> data) {
  base::require(next_count_ != 0, "a log that was not held against its anchor");
  data[kField] = fmt::format("{}", next_count_);
  AuditLine line = TRY(log_.append(event, request, data));
  remember(line, log_.head());
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
  std::uint64_t first_line = 0;
  if (!is_zero(baseline.head)) {
    const auto found = std::find(heads_.begin(), heads_.end(), baseline.head);
    if (found == heads_.end())
      return fail(Errc::mismatch, "audit log: the line that administrators accepted last is not in it; this is an older or another "
                                  "log: do not sign, keep the file, bring the newest copy");
    first_line = static_cast<std::uint64_t>(found - heads_.begin()) + 1;
  }
  crypto::Digest extended = baseline.extended;
  crypto::Digest before_last = extended;
  std::uint64_t count = baseline.count;
  const Entry* last = nullptr;
  for (const Entry& entry : entries_) {
    if (entry.line <= first_line) continue;
    if (entry.count != count + 1)
      return fail(Errc::mismatch, fmt::format("audit log: line {} says it is anchored as number {}, {} wanted; the log was changed: do "
                                              "not sign, keep the file, call an administrator", entry.line, entry.count, count + 1));
    before_last = extended;
    extended = tpm::extended_by(extended, entry.digest);
    ++count;
    last = &entry;
  }
  const tpm::AnchorState state = TRY(anchor.state());
  const bool as_many = state.count == count;
  const bool one_behind = last != nullptr && state.count + 1 == count;
  if (as_many && state.extended == extended) {
    next_count_ = count + 1;
    return {};
  }
  if (one_behind && (state.extended == extended || state.extended == before_last)) {
    // The power went, or the TPM, between the line on disk and its anchor.
    if (state.extended == before_last) TRY(anchor.extend(last->digest));
    TRY(anchor.increment());
    const std::uint64_t line = last->line;
    next_count_ = count + 1;
    TRY(append(AuditEvent::recovered, "", {{"what", fmt::format("the anchor of line {} was completed", line)}}));
    return {};
  }
  const std::string advice = "do not sign, keep the file, call the administrators; they can accept the log as it is with "
                             "coldseal-admin log rebaseline, which stays visible for ever";
  if (state.count > count)
    return fail(Errc::mismatch, fmt::format("audit log: the TPM counted {} anchored lines and the log has {}: lines are missing, or it "
                                            "is an older copy; {}", state.count, count, advice));
  if (state.count < count)
    return fail(Errc::mismatch, fmt::format("audit log: it has {} anchored lines and the TPM counted {}: the TPM was set back, or is "
                                            "another one; {}", count, state.count, advice));
  return fail(Errc::mismatch, fmt::format("audit log: its anchored lines are not those that the TPM saw: a line was changed; {}", advice));
}

Result<tpm::AnchorBaseline> AnchoredLog::as_it_is(const tpm::AuditAnchor& anchor) const {
  const tpm::AnchorState state = TRY(anchor.state());
  return tpm::AnchorBaseline{state.count, state.extended, log_.head()};
}

}  // namespace appliance
