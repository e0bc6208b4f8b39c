// What administrators put right at the console: begun, approved PIN by PIN, logged, carried out.
#include <fmt/format.h>

#include <algorithm>

#include "appliance/workflow.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;
using transparency::AuditEvent;

Result<Approval> Workflow::begin_remedy(const BeginRemedy& asked) {
  if (people_are_busy()) return fail(Errc::unavailable, "something else is being approved; one at a time");
  custody_.notice_loss();
  const Moment ends = settings_.clock->steady() + kSittingTime;
  Result<std::unique_ptr<Remedy>> begun = asked.person.empty() ? Remedy::reset_lockout(custody_, ends)
                                                               : Remedy::unlock(settings_.layout, custody_, asked.person, ends);
  if (!begun) {
    when_tpm_fails(begun.error());
    return tl::unexpected<base::Error>(begun.error());
  }
  remedy_ = std::move(*begun);
  ++sitting_number_;
  note("", remedy_->what() + ": the administrators are asked");
  Result<Approval> view = remedy_view();
  if (!view) {   // without the box's words nobody types a PIN
    remedy_.reset();
    when_tpm_fails(view.error());
  }
  return view;
}

Result<Approval> Workflow::remedy_view() {
  std::string words = TRY(custody_.words());
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(remedy_->ends() - settings_.clock->steady());
  return Approval{.approved = remedy_->approved(),
                  .needed = remedy_->needed(),
                  .officers = remedy_->may_still_approve(),
                  .seconds_left = static_cast<std::uint32_t>(std::max<std::int64_t>(0, left.count())),
                  .signing_seconds = 0,
                  .words = std::move(words),
                  .commands = remedy_->lines()};
}

Result<ConsoleAnswer> Workflow::enter_administrators_pin(const std::string& name, base::SecretBytes pin) {
  if (const Result<void> approved = remedy_->approve(name, std::move(pin)); !approved) {
    const std::string who = remedy_->is_administrator(name) ? name : "nobody of that roster";
    TRY(record(AuditEvent::approval_failed, "", {{"officer", who}, {"reason", approved.error().text()}}));
    note("", fmt::format("{}: {}", who, approved.error().text()));
    when_tpm_fails(approved.error());
    return tl::unexpected<base::Error>(approved.error());
  }
  if (remedy_->needed() > 0) {
    Approval view = TRY(remedy_view());
    return ConsoleAnswer(std::move(view));
  }
  std::unique_ptr<Remedy> remedy = std::move(remedy_);   // it is over now, whatever comes of it
  std::string names;
  for (const std::string& one : remedy->approved()) names += (names.empty() ? "" : ", ") + one;
  Result<void> done = record(AuditEvent::administration, "",
                             {{"what", remedy->what()}, {"administrators", names}, {"commands", remedy->commands_digest().hex()}});
  if (done) done = remedy->run();
  if (!done) {
    note("", remedy->what() + ": " + done.error().text());
    remedy.reset();   // what it holds of the TPM goes before the TPM does
    when_tpm_fails(done.error());
    return tl::unexpected<base::Error>(done.error());
  }
  note("", fmt::format("{}: done, approved by {}", remedy->what(), names));
  return ConsoleAnswer(Done{remedy->what() + ": done"});
}

}  // namespace appliance
