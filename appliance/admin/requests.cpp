#include "appliance/admin/requests.hpp"

#include <fmt/format.h>

#include "appliance/admin/act_log.hpp"
#include "appliance/admin/people.hpp"
#include "appliance/audit_log.hpp"
#include "appliance/request_book.hpp"
#include "tpm/officers.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::printable;
using base::Result;
using transparency::AuditEvent;

namespace {

constexpr RequestState kOpen[] = {RequestState::received, RequestState::waiting, RequestState::in_approval, RequestState::signing, RequestState::rejected,
                                  RequestState::withdrawn, RequestState::expired};

Result<RequestBook> read_book(const AdminDesk& desk) {
  RequestBook book;
  TRY(AuditLog::open(desk.layout.audit_log(), desk.clock, [&book](const transparency::AuditLine& line, const crypto::Digest&) { return book.apply(line); }));
  return book;
}

Result<const RequestRecord*> open_request(const RequestBook& book, const std::string& beginning) {
  std::vector<const RequestRecord*> found;
  for (const RequestState state : kOpen)
    for (const RequestRecord* const record : book.in_state(state))
      if (record->id.starts_with(beginning)) found.push_back(record);
  if (found.size() == 1 && beginning.size() >= 8) return found.front();
  if (found.size() > 1) return fail(Errc::usage, fmt::format("{} requests begin with {}; give more of it", found.size(), printable(beginning)));
  return fail(Errc::not_found, fmt::format("no request that waits begins with {} (at least 8 digits); coldseal-admin request list shows them", printable(beginning)));
}

}  // namespace

Result<void> list_requests(const AdminDesk& desk) {
  const RequestBook book = TRY(read_book(desk));
  for (const RequestState state : kOpen)
    for (const RequestRecord* const record : book.in_state(state))
      desk.terminal.show(fmt::format("{}  {}, from {}, profile {}, received {}", record->id.substr(0, 16), request_state_name(state), record->submitter,
                                     record->profile, base::rfc3339(record->received_at)));
  if (book.unanswered() == 0) desk.terminal.show("every request has its answer");
  return {};
}

Result<void> withdraw_request(const AdminDesk& desk, const std::string& id, const std::string& name, const std::string& reason) {
  TRY(expect_reason(reason));
  const RequestBook book = TRY(read_book(desk));
  const RequestRecord* const request = TRY(open_request(book, id));
  // What was being approved when coldseald was stopped waits again at its next start.
  if (const Result<void> may = book.expect_can_follow(AuditEvent::withdrawn, request->id); !may)
    return fail(Errc::refused, fmt::format("request {} is {}: start coldseald once, so that it puts right what was interrupted", request->id.substr(0, 8),
                                           request_state_name(request->state)));
  tpm::Device* const device = TRY(desk.custody.device());
  const tpm::Quorum administrators = TRY(load_administrators(desk.layout));
  for (const tpm::Officer& person : administrators.officers) {
    if (person.name != name) continue;
    TRY(show_box(desk));
    desk.terminal.show(fmt::format("request {} from {}, received {}, is withdrawn: {}", request->id.substr(0, 16), request->submitter,
                                   base::rfc3339(request->received_at), printable(reason)));
    const base::SecretBytes pin = TRY(ask_pin(person.name, desk.terminal));
    if (const Result<void> proved = tpm::prove_officer(*device, person, pin); !proved) {
      TRY(log_failed_pin(desk.layout, desk.clock, administrators, person.name, proved.error().text()));
      return proved;
    }
    TRY(log_act(desk, AuditEvent::withdrawn, {{"administrator", person.name}, {"reason", "request.withdrawn: " + reason}}, nullptr, request->id));
    desk.terminal.show("withdrawn; coldseald tells the submitter when it is started");
    return {};
  }
  return fail(Errc::not_found, fmt::format("no administrator is called {}", printable(name)));
}

}  // namespace appliance
