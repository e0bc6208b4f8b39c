// What the running service knows of the appliance's condition (appliance/checkup.hpp).
#include <fmt/format.h>

#include "appliance/checkup.hpp"
#include "appliance/workflow.hpp"

namespace appliance {

Checkup Workflow::checkup() {
  Checkup checkup{"coldseald", {}};
  std::string counts;
  for (const RequestState state : {RequestState::received, RequestState::waiting, RequestState::in_approval, RequestState::signing, RequestState::rejected, RequestState::withdrawn, RequestState::expired})
    if (const std::size_t count = book_.in_state(state).size(); count != 0)
      counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", count, request_state_name(state));
  checkup.add("requests", ItemState::well, counts.empty() ? "none open" : counts);
  if (!people_are_busy()) custody_.notice_loss();
  const LogFacts log{log_.now(), log_.lines(), [this]() -> base::Result<void> {
                       tpm::AuditAnchor anchor = TRY(custody_.anchor());
                       return log_.check(anchor);
                     }};
  look_at_appliance(checkup, {.layout = &settings_.layout,
                              .configuration = &settings_.configuration,
                              .custody = people_are_busy() ? nullptr : &custody_,
                              .log = &log,
                              .administered = &administered_,
                              .clock = settings_.clock,
                              .trusted_clock = clock_.get(),
                              .book = &book_});
  checked_opening_ = 0;   // looked at in passing: the next step holds the log against its anchor again
  return checkup;
}

}  // namespace appliance
