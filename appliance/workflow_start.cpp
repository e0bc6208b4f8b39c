// How the workflow starts: the log is replayed and held against its anchor, then what a power cut left half done is put right.
#include <fmt/format.h>

#include "appliance/response.hpp"
#include "appliance/workflow.hpp"
#include "crypto/base/limits.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;
using transparency::AuditEvent;

namespace {

Result<void> make_state_folders(const Layout& layout) {
  for (const std::filesystem::path& folder : {layout.inbox(), layout.spool(), layout.outbox(), layout.runtime()})
    TRY(usb::make_folders(folder));
  return {};
}

// The ids under which something with that ending lies there.
std::vector<std::string> names_in(const std::filesystem::path& folder, std::string_view ending) {
  std::vector<std::string> ids;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    std::string name = entry.path().filename().string();
    if (!name.ends_with(ending)) continue;
    name.resize(name.size() - ending.size());
    if (wire::is_request_id(name)) ids.push_back(std::move(name));
  }
  return ids;
}

void remove_leftovers(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::vector<std::filesystem::path> leftovers;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (!wire::is_request_id(entry.path().filename().string())) leftovers.push_back(entry.path());
  for (const std::filesystem::path& leftover : leftovers) std::filesystem::remove_all(leftover, ignored);
}

// Whether coldseald was stopped in order, as far as the log says, and what could have been cut off behind the last anchored line.
class LastEnd {
 public:
  void apply(const transparency::AuditLine& line) {
    if (line.event == AuditEvent::started) runs_ = true;
    if (line.event == AuditEvent::stopped) runs_ = false;
    if (line.data.contains(std::string(transparency::kAnchorField)) && line.data.at(std::string(transparency::kAnchorField)) != transparency::kProvisional)
      anchored_ = line.index + 1;
    lines_ = line.index + 1;
  }
  std::map<std::string, std::string> in_words() const {
    if (!runs_) return {};
    return {{"not-stopped", anchored_ == lines_ ? "the power went, or it was killed"
                                                : fmt::format("the power went, or it was killed: nothing anchored the lines from {} on", anchored_ + 1)}};
  }

 private:
  bool runs_ = false;
  std::uint64_t anchored_ = 0;   // the last line that was
  std::uint64_t lines_ = 0;
};

}  // namespace

Result<std::unique_ptr<Workflow>> Workflow::start(Settings settings) {
  TRY(make_state_folders(settings.layout));
  package::DenyList deny_list = TRY(load_deny_list(settings.layout, settings.configuration.box.deny_list));
  auto clock = std::make_unique<TrustedClock>(*settings.clock, settings.configuration.box.clock_days);
  const std::optional<base::Time> last = TRY(last_time_in(settings.layout.audit_log()));
  if (last) clock->know(*last);
  RequestBook book;
  Administered administered;
  LastEnd last_end;
  AnchoredLog::Opened opened = TRY(AnchoredLog::open(settings.layout.audit_log(), *clock, [&](const transparency::AuditLine& line) -> Result<void> {
    TRY(book.apply(line));
    last_end.apply(line);
    return administered.apply(line);
  }));
  std::unique_ptr<Workflow> workflow(new Workflow(std::move(settings), std::move(clock), std::move(opened.log), std::move(deny_list)));
  workflow->book_ = std::move(book);
  workflow->administered_ = std::move(administered);
  workflow->settings_.configuration.heed(workflow->administered_);
  // Before anything is written, so that a log that was changed stays as it was found. It also lets every screen say from the
  // start what kind of TPM this is; without one, requests are still taken in.
  if (const Result<tpm::AuditAnchor> anchor = workflow->checked_anchor(); !anchor) {
    // What administrators must look at stops the start; what may pass does not.
    const Errc code = anchor.error().code();
    if (code == Errc::mismatch || code == Errc::refused) return tl::unexpected<base::Error>(anchor.error());
    workflow->note("", anchor.error().text());
  } else if (const Result<void> opens = workflow->custody_.gate().value()->test(); !opens && opens.error().code() == Errc::refused) {
    return tl::unexpected<base::Error>(opens.error());   // firmware that is not approved, or too old, can do nothing here
  }
  TRY(workflow->put_right_after_restart(last_end.in_words()));
  return workflow;
}

// A step is logged before it takes effect, so after a power cut the log is at most one step ahead of the folders.
Result<void> Workflow::put_right_after_restart(const Fields& how_it_ended) {
  const Layout& layout = settings_.layout;
  Fields data{{"version", COLDSEAL_VERSION}, {"configuration", settings_.configuration.digest.hex()}};
  data.insert(how_it_ended.begin(), how_it_ended.end());
  TRY(record(AuditEvent::started, "", data));
  for (const RequestState state : {RequestState::in_approval, RequestState::signing})
    for (const RequestRecord* const interrupted : book_.in_state(state))
      TRY(record(AuditEvent::returned_to_waiting, interrupted->id, {{"why", "coldseald was restarted"}}));
  for (const RequestRecord* const received : book_.in_state(RequestState::received))
    // A lost copy is refused later, with a receipt; everything else must not be taken for a leftover below.
    if (const Result<void> completed = complete_spool(received->id); !completed && completed.error().code() != Errc::mismatch)
      return completed;
  // Of the answered ones, which may be very many, only those of which something lies there.
  for (const std::string& id : names_in(layout.outbox(), ".part")) {
    const RequestRecord* const known = book_.find(id);
    if (known == nullptr || known->state != RequestState::answered) continue;
    const auto receipt = usb::read_file(layout.outbox() / (id + ".part") / wire::kReceiptName, base::limits::kReceiptBytes);
    if (receipt && crypto::sha256(*receipt).hex() == known->receipt_digest) TRY(publish_response(layout, id));
  }
  for (const std::string& id : names_in(layout.spool(), "")) {
    const RequestRecord* const known = book_.find(id);
    if (known != nullptr && known->state >= RequestState::answered) TRY(remove_from_spool(id));
  }
  for (const std::string& id : names_in(layout.outbox(), "")) {
    const RequestRecord* const known = book_.find(id);
    if (known == nullptr || known->state != RequestState::removed) continue;
    const auto receipt = usb::read_file(layout.outbox() / id / wire::kReceiptName, base::limits::kReceiptBytes);
    // The answer to one who sent it again lies under the same id.
    if (receipt && crypto::sha256(*receipt).hex() != known->receipt_digest) continue;
    if (const Result<void> gone = usb::remove_folder(layout.outbox() / id); !gone) note(id, gone.error().text());
  }
  remove_leftovers(layout.spool());
  remove_leftovers(layout.outbox());
  for (const RequestState state : {RequestState::received, RequestState::waiting})
    for (const RequestRecord* const open : book_.in_state(state)) mark_waiting(open->id);
  return {};
}

// A request that was received lies in the spool under its id, or under its name while it was being copied.
Result<void> Workflow::complete_spool(const std::string& id) const {
  const std::filesystem::path place = settings_.layout.spool() / id;
  const std::filesystem::path part = settings_.layout.spool() / (id + ".part");
  if (is_there(place)) return {};
  if (!is_there(part)) return fail(Errc::mismatch, "the appliance has lost its copy of the request; send a new request");
  return usb::rename_durably(part, place);
}

}  // namespace appliance
