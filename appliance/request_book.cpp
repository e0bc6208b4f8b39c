#include "appliance/request_book.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;
using transparency::AuditEvent;
using transparency::AuditLine;

namespace {

constexpr std::chrono::hours kSignedKept(48);

std::string field(const AuditLine& line, const std::string& name) {
  const auto found = line.data.find(name);
  return found == line.data.end() ? std::string() : found->second;
}

// In which states of its request an event may be recorded.
std::vector<RequestState> states_before(AuditEvent event) {
  switch (event) {
    case AuditEvent::inspected:
    case AuditEvent::refused:
      return {RequestState::received};
    case AuditEvent::review_opened:
    case AuditEvent::approval_started:
    case AuditEvent::request_expired:
      return {RequestState::waiting};
    case AuditEvent::withdrawn:
      return {RequestState::received, RequestState::waiting};
    case AuditEvent::approval_failed:
    case AuditEvent::rejected:
      return {RequestState::waiting, RequestState::in_approval};
    case AuditEvent::approved_by:
    case AuditEvent::signing:
      return {RequestState::in_approval};
    case AuditEvent::signed_:
      return {RequestState::signing};
    case AuditEvent::expired:
    case AuditEvent::returned_to_waiting:
      return {RequestState::in_approval, RequestState::signing};
    case AuditEvent::delivered_to_outbox:   // a refusal, a rejection, a signature
      return {RequestState::received, RequestState::rejected, RequestState::withdrawn, RequestState::expired, RequestState::signing};
    case AuditEvent::delivered:
      return {RequestState::answered};
    case AuditEvent::removed:
      return {RequestState::delivered};
    default:   // started, recovered: about no request
      return {};
  }
}

}  // namespace

std::string_view request_state_name(RequestState state) {
  switch (state) {
    case RequestState::received:
      return "received";
    case RequestState::waiting:
      return "waiting";
    case RequestState::in_approval:
      return "in approval";
    case RequestState::signing:
      return "signing";
    case RequestState::rejected:
      return "rejected";
    case RequestState::withdrawn:
      return "withdrawn";
    case RequestState::expired:
      return "expired";
    case RequestState::answered:
      return "answered";
    case RequestState::delivered:
      return "delivered";
    case RequestState::removed:
      return "delivered, and its response is not kept any more";
  }
  return "unknown";
}

Result<void> RequestBook::expect_can_follow(AuditEvent event, std::string_view id) const {
  if (id.empty() || event == AuditEvent::intake_refused) return {};
  const RequestRecord* const known = find(id);
  if (event == AuditEvent::received) {
    if (known != nullptr) return fail(Errc::mismatch, fmt::format("request {} is received twice", id));
    return {};
  }
  if (known == nullptr) return fail(Errc::mismatch, fmt::format("request {} was never received", id));
  const std::vector<RequestState> allowed = states_before(event);
  if (std::find(allowed.begin(), allowed.end(), known->state) != allowed.end()) return {};
  return fail(Errc::mismatch, fmt::format("{} cannot follow for request {}, which is {}",
                                          transparency::audit_event_name(event), id, request_state_name(known->state)));
}

Result<void> RequestBook::apply(const AuditLine& line) {
  TRY(base::within(fmt::format("line {}", line.index + 1), expect_can_follow(line.event, line.request)));
  if (line.event == AuditEvent::time_changed && line.data.contains(transparency::kSetBackField)) know_no_time_after(line.at);
  if (line.request.empty() || line.event == AuditEvent::intake_refused) return {};
  if (line.event == AuditEvent::received) {
    RequestRecord& record = open_[line.request];
    record.id = line.request;
    record.submitter = field(line, "submitter");
    record.keyid = field(line, "keyid");
    record.profile = field(line, "profile");
    record.bytes = base::whole_number(field(line, "bytes")).value_or(0);
    record.received_at = line.at;
    return {};
  }
  RequestRecord& record = *find_any(line.request);
  switch (line.event) {
    case AuditEvent::inspected:
      record.state = RequestState::waiting;
      record.inspection_digest = field(line, "inspection");
      record.signing_set = field(line, "signing-set");
      record.signatures = base::whole_number(field(line, "signatures")).value_or(0);
      return {};
    case AuditEvent::approval_started:
      record.state = RequestState::in_approval;
      record.approvals.clear();
      return {};
    case AuditEvent::approved_by:
      record.approvals.push_back({field(line, "officer"), line.at});
      return {};
    case AuditEvent::signing:
      record.state = RequestState::signing;
      return {};
    case AuditEvent::expired:
    case AuditEvent::returned_to_waiting:
      record.state = RequestState::waiting;
      record.approvals.clear();
      return {};
    case AuditEvent::rejected:
      record.state = RequestState::rejected;
      record.rejection = std::make_shared<const RecordedRejection>(RecordedRejection{field(line, "officer"), field(line, "reason"), line.at});
      record.decision = std::make_shared<const AuditLine>(line);
      return {};
    case AuditEvent::withdrawn:
      record.state = RequestState::withdrawn;
      record.decision = std::make_shared<const AuditLine>(line);
      return {};
    case AuditEvent::request_expired:
      record.state = RequestState::expired;
      record.decision = std::make_shared<const AuditLine>(line);
      return {};
    case AuditEvent::delivered:
      record.state = RequestState::delivered;
      record.delivered_at = line.at;
      return {};
    case AuditEvent::removed:
      record.state = RequestState::removed;
      return {};
    case AuditEvent::delivered_to_outbox:
      record.state = RequestState::answered;
      record.receipt_digest = field(line, "receipt");
      forget_details(record);
      if (auto node = open_.extract(line.request)) answered_.insert(std::move(node));   // it stays where it is in memory
      return {};
    case AuditEvent::signed_:
      record.signed_at = line.at;
      record.decision = std::make_shared<const AuditLine>(line);
      signed_.push_back({record.profile, line.at, record.signatures});
      while (signed_.front().at < line.at - kSignedKept) signed_.pop_front();
      return {};
    case AuditEvent::refused:
      record.decision = std::make_shared<const AuditLine>(line);
      return {};
    default:   // failed PINs, readings: what they lead to is said by a line of its own
      return {};
  }
}

// Administrators said that later times never were. Left as they are, they would let days count for nothing until the clock is there
// again: signatures a day, days of waiting, days that a response is kept.
void RequestBook::know_no_time_after(base::Time now) {
  for (Records* const records : {&open_, &answered_})
    for (auto& [id, record] : *records) {
      record.received_at = std::min(record.received_at, now);
      record.delivered_at = std::min(record.delivered_at, now);
      if (record.signed_at) record.signed_at = std::min(*record.signed_at, now);
    }
  for (Signed& each : signed_) each.at = std::min(each.at, now);
}

void RequestBook::forget_details(RequestRecord& record) {
  for (std::string* const text : {&record.submitter, &record.keyid, &record.inspection_digest, &record.signing_set}) std::string().swap(*text);
  std::vector<RecordedApproval>().swap(record.approvals);
  record.rejection.reset();
  record.decision.reset();
}

const RequestRecord* RequestBook::find(std::string_view id) const {
  if (const auto found = open_.find(id); found != open_.end()) return &found->second;
  const auto found = answered_.find(id);
  return found == answered_.end() ? nullptr : &found->second;
}

RequestRecord* RequestBook::find_any(std::string_view id) {
  if (const auto found = open_.find(id); found != open_.end()) return &found->second;
  const auto found = answered_.find(id);
  return found == answered_.end() ? nullptr : &found->second;
}

std::vector<const RequestRecord*> RequestBook::in_state(RequestState state) const {
  std::vector<const RequestRecord*> found;
  for (const auto& [id, record] : state >= RequestState::answered ? answered_ : open_)
    if (record.state == state) found.push_back(&record);
  std::sort(found.begin(), found.end(), [](const RequestRecord* a, const RequestRecord* b) {
    return a->received_at != b->received_at ? a->received_at < b->received_at : a->id < b->id;
  });
  return found;
}

std::uint64_t RequestBook::signatures_since(std::string_view profile, base::Time since) const {
  std::uint64_t count = 0;
  for (const Signed& each : signed_)
    if (each.profile == profile && each.at > since) count += each.signatures;
  return count;
}

std::size_t RequestBook::unanswered() const { return open_.size(); }

std::uint64_t RequestBook::unanswered_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [id, record] : open_) bytes += record.bytes;
  return bytes;
}

}  // namespace appliance
