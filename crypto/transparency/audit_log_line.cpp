#include "crypto/transparency/audit_log_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "crypto/base/limits.hpp"
#include "crypto/transparency/canonical_json.hpp"
#include "crypto/transparency/json_fields.hpp"

namespace transparency {
namespace {

using base::Errc;
using base::fail;
using base::Result;

constexpr std::array<std::pair<AuditEvent, std::string_view>, 24> kEvents = {{
    {AuditEvent::started, "started"},
    {AuditEvent::stopped, "stopped"},
    {AuditEvent::received, "received"},
    {AuditEvent::intake_refused, "intake-refused"},
    {AuditEvent::inspected, "inspected"},
    {AuditEvent::refused, "refused"},
    {AuditEvent::review_opened, "review-opened"},
    {AuditEvent::approval_started, "approval-started"},
    {AuditEvent::approved_by, "approved-by"},
    {AuditEvent::approval_failed, "approval-failed"},
    {AuditEvent::rejected, "rejected"},
    {AuditEvent::signing, "signing"},
    {AuditEvent::signed_, "signed"},
    {AuditEvent::delivered_to_outbox, "delivered-to-outbox"},
    {AuditEvent::expired, "expired"},
    {AuditEvent::returned_to_waiting, "returned-to-waiting"},
    {AuditEvent::recovered, "recovered"},
    {AuditEvent::administration, "administration"},
    {AuditEvent::rebaselined, "rebaselined"},
    {AuditEvent::time_changed, "time-changed"},
    {AuditEvent::withdrawn, "withdrawn"},
    {AuditEvent::request_expired, "request-expired"},
    {AuditEvent::delivered, "delivered"},
    {AuditEvent::removed, "removed"},
}};

constexpr std::uint64_t kMostLines = 1ULL << 40;

bool is_data_name(std::string_view name) {
  const auto is_allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !name.empty() && name.size() <= base::limits::kNameBytes && std::all_of(name.begin(), name.end(), is_allowed);
}

crypto::Digest no_line() {
  const base::Bytes zeros(32, 0);
  return *crypto::Digest::from_bytes(crypto::DigestAlgorithm::sha256, zeros);
}

Result<std::map<std::string, std::string>> data_of(const Json& object) {
  std::map<std::string, std::string> data;
  for (const auto& [name, value] : object.items()) {
    if (!is_data_name(name)) return fail(Errc::malformed, fmt::format("data: name \"{}\"", base::printable(name)));
    if (!value.is_string()) return fail(Errc::malformed, fmt::format("data: {}: not text", name));
    data.emplace(name, value.get<std::string>());
  }
  if (data.size() > base::limits::kAuditData)
    return fail(Errc::too_large, fmt::format("data: {} fields, at most {}", data.size(), base::limits::kAuditData));
  return data;
}

}  // namespace

std::string_view audit_event_name(AuditEvent event) {
  for (const auto& [known, name] : kEvents)
    if (known == event) return name;
  base::stop("no such audit event");
}

bool is_anchored(AuditEvent event) {
  switch (event) {
    case AuditEvent::stopped:
    case AuditEvent::approved_by:
    case AuditEvent::rejected:
    case AuditEvent::signing:
    case AuditEvent::signed_:
    case AuditEvent::administration:
    case AuditEvent::rebaselined:
    case AuditEvent::time_changed:
    case AuditEvent::withdrawn:
      return true;
    default:
      return false;
  }
}

bool sets_time_back(AuditEvent event, const std::map<std::string, std::string>& data) {
  return event == AuditEvent::time_changed && data.contains(kSetBackField);
}

Result<AuditEvent> audit_event_from_name(std::string_view name) {
  for (const auto& [event, known] : kEvents)
    if (known == name) return event;
  return fail(Errc::malformed, fmt::format("unknown event \"{}\"", base::printable(name)));
}

std::string audit_line_json(const AuditLine& line) {
  Json values = Json::object();
  for (const auto& [name, value] : line.data) {
    base::require(is_data_name(name), "an audit data name outside a-z 0-9 -");
    values[name] = as_utf8(value);
  }
  return canonical({{"at", base::rfc3339(line.at)},
                    {"data", std::move(values)},
                    {"event", std::string(audit_event_name(line.event))},
                    {"index", line.index},
                    {"previous", line.previous.hex()},
                    {"request", as_utf8(line.request)}});
}

Result<AuditLine> audit_line_from_json(std::string_view line) {
  const Json value = TRY(parse_canonical(line, base::limits::kAuditLineBytes));
  Fields fields = TRY(Fields::of(value, "log line"));
  const std::uint64_t index = TRY(fields.number("index", kMostLines));
  const crypto::Digest previous = TRY(fields.sha256("previous"));
  AuditLine parsed{.index = index, .previous = previous, .request = {}, .data = {}};
  parsed.at = TRY(fields.time("at"));
  const std::string event = TRY(fields.text("event", 1, base::limits::kNameBytes));
  parsed.event = TRY(audit_event_from_name(event));
  parsed.request = TRY(fields.text("request", 0, base::limits::kNameBytes));
  if (!parsed.request.empty()) TRY(fields.hex("request", 32));
  TRY(fields.object("data"));
  parsed.data = TRY(data_of(value["data"]));
  TRY(fields.expect_no_others());
  return parsed;
}

AuditChain::AuditChain() : head_(no_line()) {}

Result<void> AuditChain::expect_continues(const AuditLine& line) const {
  if (line.index != lines_) return fail(Errc::mismatch, fmt::format("index {}, {} wanted", line.index, lines_));
  if (line.previous != head_)
    return fail(Errc::mismatch, lines_ == 0 ? fmt::format("does not begin a log: previous is {}, zeros wanted", line.previous.hex())
                                            : fmt::format("does not continue line {}; that one was changed, or this one: previous is {}, "
                                                          "that line's digest is {}",
                                                          lines_, line.previous.hex(), head_.hex()));
  if (line.at < last_at_ && !sets_time_back(line.event, line.data))
    return fail(Errc::mismatch, fmt::format("time {} is before the last line's {}", base::rfc3339(line.at),
                                            base::rfc3339(last_at_)));
  return {};
}

Result<AuditLine> AuditChain::accept(std::string_view line) {
  const std::string where = fmt::format("line {}", lines_ + 1);
  AuditLine parsed = TRY(base::within(where, audit_line_from_json(line)));
  TRY(base::within(where, expect_continues(parsed)));
  head_ = crypto::sha256(base::as_bytes(line));
  last_at_ = parsed.at;
  ++lines_;
  return parsed;
}

Result<std::string> AuditChain::append(base::Time at, AuditEvent event, std::string_view request,
                                       const std::map<std::string, std::string>& data) {
  if (at < last_at_ && !sets_time_back(event, data))
    return fail(Errc::refused, fmt::format("time {} is before the log's last line, {}", base::rfc3339(at),
                                           base::rfc3339(last_at_)));
  std::string line = audit_line_json({lines_, head_, at, event, std::string(request), data});
  TRY(accept(line));   // what we would not read we do not write
  return line;
}

Result<std::uint64_t> for_each_audit_line(const base::ByteSource& source, const std::function<Result<void>(std::string_view)>& use) {
  std::string pending;
  std::uint64_t whole = 0;
  std::uint64_t lines = 0;
  TRY(base::for_each_piece(source, 0, source.size(), [&](base::ByteView piece) -> Result<void> {
    pending += base::as_text(piece);
    std::size_t at = 0;
    for (std::size_t end = pending.find('\n'); end != std::string::npos; end = pending.find('\n', at)) {
      TRY(use(std::string_view(pending).substr(at, end - at)));
      ++lines;
      whole += end + 1 - at;
      at = end + 1;
    }
    pending.erase(0, at);
    if (pending.size() > base::limits::kAuditLineBytes)
      return fail(Errc::too_large, fmt::format("line {}: over {} bytes without an end", lines + 1, base::limits::kAuditLineBytes));
    return {};
  }));
  return whole;
}

}  // namespace transparency
