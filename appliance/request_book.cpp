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

std::string field(const AuditLine& line, const std::string& name) {
  const auto found = line.data.find(name);
  return found == line.data.end() ? std::string() : found->second;
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
    case RequestState::answered:
      return "answered";
  }
  return "unknown";
}

Result<void> RequestBook::apply(const AuditLine& line) {
  if (line.request.empty() || line.event == AuditEvent::intake_refused) return {};
  const auto found = records_.find(line.request);
  if (line.event == AuditEvent::received) {
    if (found != records_.end())
      return fail(Errc::mismatch, fmt::format("line {}: request {} is received twice", line.index + 1, line.request));
    RequestRecord record;
    record.id = line.request;
    record.submitter = field(line, "submitter");
    record.profile = field(line, "profile");
    record.received_at = line.at;
    records_.emplace(line.request, std::move(record));
    return {};
  }
  if (found == records_.end())
    return fail(Errc::mismatch, fmt::format("line {}: request {} was never received", line.index + 1, line.request));
  RequestRecord& record = found->second;
  const auto expect = [&](std::initializer_list<RequestState> allowed) -> Result<void> {
    if (std::find(allowed.begin(), allowed.end(), record.state) != allowed.end()) return {};
    return fail(Errc::mismatch, fmt::format("line {}: {} cannot follow for request {}, which is {}", line.index + 1,
                                            transparency::audit_event_name(line.event), line.request,
                                            request_state_name(record.state)));
  };
  switch (line.event) {
    case AuditEvent::inspected:
      TRY(expect({RequestState::received}));
      record.state = RequestState::waiting;
      record.inspection_digest = field(line, "inspection");
      record.signing_set = field(line, "signing-set");
      return {};
    case AuditEvent::approval_started:
      TRY(expect({RequestState::waiting}));
      record.state = RequestState::in_approval;
      record.approvals.clear();
      return {};
    case AuditEvent::approved_by:
      TRY(expect({RequestState::in_approval}));
      record.approvals.push_back({field(line, "officer"), line.at});
      return {};
    case AuditEvent::signing:
      TRY(expect({RequestState::in_approval}));
      record.state = RequestState::signing;
      return {};
    case AuditEvent::expired:
    case AuditEvent::returned_to_waiting:
      TRY(expect({RequestState::in_approval, RequestState::signing}));
      record.state = RequestState::waiting;
      record.approvals.clear();
      return {};
    case AuditEvent::delivered_to_outbox:
      record.state = RequestState::answered;
      record.receipt_digest = field(line, "receipt");
      return {};
    default:   // refused, rejected, signed, failed PINs, readings: what they lead to is said by a line of its own
      return {};
  }
}

const RequestRecord* RequestBook::find(std::string_view id) const {
  const auto found = records_.find(id);
  return found == records_.end() ? nullptr : &found->second;
}

std::vector<const RequestRecord*> RequestBook::in_state(RequestState state) const {
  std::vector<const RequestRecord*> found;
  for (const auto& [id, record] : records_)
    if (record.state == state) found.push_back(&record);
  std::sort(found.begin(), found.end(), [](const RequestRecord* a, const RequestRecord* b) {
    return a->received_at != b->received_at ? a->received_at < b->received_at : a->id < b->id;
  });
  return found;
}

std::size_t RequestBook::unanswered() const {
  return static_cast<std::size_t>(std::count_if(records_.begin(), records_.end(), [](const auto& entry) {
    return entry.second.state != RequestState::answered;
  }));
}

}  // namespace appliance
