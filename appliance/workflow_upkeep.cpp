// What time brings: requests that nobody approved, responses that have arrived, responses that were kept long enough.
#include <fmt/format.h>

#include <algorithm>

#include "appliance/workflow.hpp"
#include "crypto/base/limits.hpp"
#include "usb/files/parcel.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Result;
using transparency::AuditEvent;
namespace fs = std::filesystem;

namespace {

constexpr std::chrono::seconds kLookEvery{10};

// Names in a folder, as they were when it was opened.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) names.push_back(entry.path().filename().string());
  return names;
}

}  // namespace

void Workflow::keep_house() {
  if (people_are_busy() || !is_due(keep_house_again_at_)) return;
  keep_house_again_at_ = settings_.clock->steady() + kLookEvery;
  for (const auto step : {&Workflow::expire_waiting, &Workflow::note_deliveries, &Workflow::remove_old_responses, &Workflow::remove_oldest_refusals})
    if (const Result<void> done = (this->*step)(); !done) put_off(keep_house_again_at_, "", done.error());
}

// Not while the clock is doubtful: a jump into the future must cost no request. The answer is made by catch_up().
Result<void> Workflow::expire_waiting() {
  if (!clock_->expect_sane()) return {};
  for (const RequestRecord* const waiting : book_.in_state(RequestState::waiting)) {
    const Result<const Profile*> profile = settings_.configuration.profile(waiting->profile);
    if (!profile || (*profile)->rules.waiting_days == 0) continue;
    const std::chrono::hours limit = std::chrono::hours(24) * (*profile)->rules.waiting_days;
    if (log_.now() - waiting->received_at <= limit) continue;
    TRY(custody_.receipt_key());   // nothing is over that cannot be answered
    TRY(record(AuditEvent::request_expired, waiting->id,
               {{"reason", fmt::format("request.expired: no officers signed it within {} days; send it again", limit.count() / 24)}}));
    note(waiting->id, "waited too long");
  }
  return {};
}

// The courier leaves a file for each response that it has read back from the stick, or that a host has taken whole: with the SHA-256 of
// the receipt, so that an old refusal's arrival is not taken for a signature's.
Result<void> Workflow::note_deliveries() {
  Result<void> all;
  for (const std::string& name : names_in(settings_.layout.inbox())) {
    if (name.ends_with(usb::kGoneSuffix)) {   // what usb::remove_folder() could not remove then
      std::error_code ignored;
      fs::remove_all(settings_.layout.inbox() / name, ignored);
      continue;
    }
    if (!name.ends_with(usb::kDeliveredSuffix)) continue;
    const std::string id = name.substr(0, name.size() - std::string_view(usb::kDeliveredSuffix).size());
    const fs::path file = settings_.layout.inbox() / name;
    const Result<base::Bytes> receipt = usb::read_file(file, base::limits::kNameBytes);
    const RequestRecord* const known = book_.find(id);
    if (receipt && known != nullptr && known->state == RequestState::answered && base::as_text(*receipt) == known->receipt_digest) {
      TRY(record(AuditEvent::delivered, id, {{"receipt", known->receipt_digest}}));
      note(id, "its response was delivered");
    }
    // Whoever may write there may leave a folder of that name: the other deliveries do not wait for it.
    if (Result<void> removed = usb::remove_folder(file); !removed && all) all = std::move(removed);
  }
  return all;
}

Result<void> Workflow::remove_old_responses() {
  const unsigned days = settings_.configuration.box.keep_days;
  if (days == 0 || !clock_->expect_sane()) return {};
  const base::Time before = log_.now() - std::chrono::hours(24) * days;
  std::error_code ignored;
  // What lies there, and not every request there ever was.
  for (const std::string& name : names_in(settings_.layout.outbox())) {
    if (!wire::is_request_id(name)) continue;
    if (const RequestRecord* const known = book_.find(name); known != nullptr && known->state != RequestState::removed) {
      if (known->state != RequestState::delivered || known->delivered_at > before) continue;
      TRY(record(AuditEvent::removed, name, {{"why", fmt::format("delivered over {} days ago", days)}}));
      TRY(usb::remove_folder(settings_.layout.outbox() / name));   // the courier must never see half of it
      note(name, "its response is not kept any more");
      continue;
    }
    // Such an answer is not remembered, and goes by its age, fetched or not.
    const auto written = fs::last_write_time(settings_.layout.outbox() / name / wire::kReceiptName, ignored);
    if (ignored) continue;
    const auto age = fs::file_time_type::clock::now() - written;
    if (age > std::chrono::hours(24) * days) TRY(usb::remove_folder(settings_.layout.outbox() / name));
  }
  return {};
}

// Refused at the door, or sent again after its response was removed: anybody can have any number of such answers made, whatever keep_days
// says, and they must not fill the disk.
Result<void> Workflow::remove_oldest_refusals() {
  std::vector<std::pair<fs::file_time_type, std::string>> refusals;
  for (std::string& name : names_in(settings_.layout.outbox())) {
    if (!wire::is_request_id(name)) continue;
    if (const RequestRecord* const known = book_.find(name); known != nullptr && known->state != RequestState::removed) continue;
    std::error_code error;
    const auto written = fs::last_write_time(settings_.layout.outbox() / name / wire::kReceiptName, error);
    if (!error) refusals.emplace_back(written, std::move(name));
  }
  if (refusals.size() <= base::limits::kRefusalsKept) return {};
  std::sort(refusals.begin(), refusals.end());
  refusals.resize(refusals.size() - base::limits::kRefusalsKept);
  // One line for all of them: a flood must not write its ids into the log twice. Each has an intake-refused line of its own.
  const std::string why = fmt::format("of more than {} refusals at the door the oldest {} are not kept any more", base::limits::kRefusalsKept, refusals.size());
  TRY(record(AuditEvent::removed, "", {{"why", why}}));
  for (const auto& [written, name] : refusals) TRY(usb::remove_folder(settings_.layout.outbox() / name));
  note("", why);
  return {};
}

}  // namespace appliance
