// What the arrows of workflow.cpp are made of: catching up, loading and preparing, receipts, notes.
#include <fmt/format.h>

#include <algorithm>

#include "appliance/response.hpp"
#include "appliance/review.hpp"
#include "appliance/tpm_report.hpp"
#include "appliance/workflow.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/words.hpp"
#include "crypto/transparency/checkpoint.hpp"
#include "tpm/officers.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;
using transparency::AuditEvent;

namespace {

constexpr std::chrono::seconds kRetryAfter{5};
constexpr std::size_t kTakenAtOnce = 4;

// Failures of the box and not of the request: it stays where it is and is tried again.
bool may_pass(const base::Error& error) {
  switch (error.code()) {
    case Errc::io:
    case Errc::no_space:
    case Errc::tpm:
    case Errc::unavailable:
      return true;
    default:
      return false;
  }
}

// Submitters are told of their files by the paths that they have in the request, not in the box.
base::Error without_places(const Layout& layout, const std::string& id, const base::Error& error) {
  std::string text = error.text();
  for (const std::filesystem::path& place : {layout.inbox() / id, layout.spool() / id, layout.spool() / (id + ".part")}) {
    const std::string folder = base::printable(place.string()) + "/";
    for (std::size_t at = text.find(folder); at != std::string::npos; at = text.find(folder, at)) text.erase(at, folder.size());
  }
  return {error.code(), std::move(text)};
}

}  // namespace

Workflow::Workflow(Settings settings, std::unique_ptr<TrustedClock> clock, AnchoredLog log, package::DenyList deny_list)
    : settings_(std::move(settings)),
      clock_(std::move(clock)),
      log_(std::move(log)),
      deny_list_(std::move(deny_list)),
      custody_(settings_.layout, settings_.configuration.tpm, settings_.configuration.mode, settings_.configuration.digest) {}

// Only for the submitter's information: without the mark everything goes on as well.
void Workflow::mark_waiting(const std::string& id) const {
  if (const Result<void> marked = appliance::mark_waiting(settings_.layout, id, book_.find(id)->keyid); !marked)
    note(id, marked.error().text());
}

// One that cannot be answered does not keep the others from it.
Result<void> Workflow::carry_out_what_was_recorded() {
  Result<void> all;
  const auto attempt = [&all](const Result<void>& done) {
    if (!done && all) all = done;
    return done.has_value();
  };
  if (sitting_ == nullptr)
    for (const RequestState state : {RequestState::in_approval, RequestState::signing})
      for (const RequestRecord* const interrupted : book_.in_state(state))
        TRY(record(AuditEvent::returned_to_waiting, interrupted->id, {{"why", "the approval was interrupted"}}));
  for (const RequestRecord* const rejected : book_.in_state(RequestState::rejected)) attempt(answer_rejected(*rejected));
  for (const RequestState state : {RequestState::withdrawn, RequestState::expired})
    for (const RequestRecord* const over : book_.in_state(state)) attempt(answer_unasked(*over));
  std::erase_if(unpublished_, [&](const std::string& id) { return attempt(publish_response(settings_.layout, id)); });
  std::erase_if(unremoved_, [&](const std::string& id) { return attempt(remove_from_spool(id)); });
  return all;
}

void Workflow::catch_up() {
  if (!is_due(catch_up_again_at_)) return;
  if (const Result<void> done = carry_out_what_was_recorded(); !done) put_off(catch_up_again_at_, "", done.error());
}

// The book agrees first, or our own state machine is wrong and nothing may be written that could not be replayed.
Result<void> Workflow::record(AuditEvent event, const std::string& id, const Fields& data) {
  base::require(book_.expect_can_follow(event, id).has_value(), "a step that the request's state does not allow");
  if (!transparency::is_anchored(event)) {
    const transparency::AuditLine line = TRY(log_.append(event, id, data));
    base::require(book_.apply(line).has_value(), "the book refuses a line that it would replay");
    return {};
  }
  tpm::AuditAnchor anchor = TRY(checked_anchor());
  const AnchoredLog::Anchored written = TRY(log_.append_anchored(anchor, event, id, data));
  base::require(book_.apply(written.line).has_value(), "the book refuses a line that it would replay");
  if (!written.anchored) checked_opening_ = 0;   // to be looked at, and made up for, before the next one
  return written.anchored;
}

Result<tpm::AuditAnchor> Workflow::checked_anchor() {
  tpm::AuditAnchor anchor = TRY(custody_.anchor());
  if (checked_opening_ != custody_.openings()) {
    TRY(log_.check(anchor));
    const std::optional<base::Time> tpm_time = TRY(custody_.time());
    if (tpm_time) clock_->know(*tpm_time - administered_.tpm_ahead());
    checked_opening_ = custody_.openings();
  }
  return anchor;
}

void Workflow::note(const std::string& id, const std::string& what) const {
  settings_.journal(fmt::format("{}  {}", id.substr(0, 8), base::printable(what)));
}

void Workflow::when_tpm_fails(const base::Error& error) {
  if (error.code() != Errc::tpm) return;
  end_sitting("the TPM failed");
  custody_.let_go();
}

// Whatever it says, it is no fault of the request.
Result<void> Workflow::remove_from_inbox(const std::string& id) {
  if (const Result<void> removed = usb::remove_folder(settings_.layout.inbox() / id); !removed) return fail(Errc::io, removed.error().text());
  return {};
}

Result<void> Workflow::remove_from_spool(const std::string& id) const { return usb::remove_folder(settings_.layout.spool() / id); }

void Workflow::take_in() {
  if (people_are_busy() || !is_due(take_in_again_at_)) return;
  std::vector<std::string> ids;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(settings_.layout.inbox(), ignored))
    if (wire::is_request_id(entry.path().filename().string())) ids.push_back(entry.path().filename().string());
  std::sort(ids.begin(), ids.end());
  left_in_inbox_.keep_only(ids);
  std::erase_if(ids, [&](const std::string& id) { return left_in_inbox_.holds(id, settings_.clock->steady()); });
  // A few at a time, going round: a flood keeps neither officers nor other requests waiting.
  std::rotate(ids.begin(), std::upper_bound(ids.begin(), ids.end(), taken_last_), ids.end());
  ids.resize(std::min(ids.size(), kTakenAtOnce));
  for (const std::string& id : ids) {
    taken_last_ = id;
    Result<void> taken = left_in_inbox_.was_answered(id) ? remove_from_inbox(id) : take_in_one(id);
    if (!taken && !may_pass(taken.error())) taken = refuse_at_the_door(id, without_places(settings_.layout, id, taken.error()));
    if (!taken) leave_in_inbox(id, taken.error());
  }
}

// What cannot be read or removed is the matter of one request; the others need not wait for it. What the box lacks is everybody's.
void Workflow::leave_in_inbox(const std::string& id, const base::Error& why) {
  const std::chrono::seconds wait = why.code() == Errc::io ? left_in_inbox_.put_off(id, settings_.clock->steady()) : std::chrono::seconds(0);
  if (wait.count() == 0) return put_off(take_in_again_at_, id, why);
  note(id, fmt::format("put off for {} s: {}", wait.count(), why.text()));
}

void Workflow::inspect_received() {
  if (people_are_busy() || !is_due(inspect_again_at_)) return;
  for (const RequestRecord* const received : book_.in_state(RequestState::received)) {
    const std::string id = received->id;
    Result<void> inspected = inspect_one(*received);
    if (!inspected && !may_pass(inspected.error()) && inspected.error().code() != Errc::not_found)
      inspected = refuse(id, without_places(settings_.layout, id, inspected.error()).text(), {});
    if (!inspected) put_off(inspect_again_at_, id, inspected.error());
  }
}

void Workflow::put_off(Moment& again_at, const std::string& id, const base::Error& why) {
  when_tpm_fails(why);
  again_at = settings_.clock->steady() + kRetryAfter;
  note(id, fmt::format("put off for {} s: {}", kRetryAfter.count(), why.text()));
}

WaitingList Workflow::waiting() const {
  WaitingList list;
  list.banner = banner_of(settings_.configuration.name, custody_.mode(), custody_.kind());
  for (const RequestRecord* const record : book_.in_state(RequestState::waiting)) {
    const auto id = base::from_hex(record->id);
    list.requests.push_back({record->id,
                             fmt::format("{}  from {}, profile {}, received {}", record->id.substr(0, 8), record->submitter,
                                         record->profile, base::rfc3339(record->received_at)),
                             id ? base::fingerprint_words(*id) : ""});
  }
  return list;
}

Result<const RequestRecord*> Workflow::waiting_request(const std::string& id) const {
  const RequestRecord* const known = book_.find(id);
  if (known == nullptr) return fail(Errc::not_found, fmt::format("there is no request {}", base::printable(id)));
  if (known->state != RequestState::waiting)
    return fail(Errc::refused, fmt::format("request {} is {}, not waiting", id.substr(0, 8), request_state_name(known->state)));
  return known;
}

Result<const RequestRecord*> Workflow::rejectable_request(const std::string& id) const {
  if (sitting_ != nullptr && sitting_->id() == id) return book_.find(id);
  return waiting_request(id);
}

Result<Workflow::Prepared> Workflow::prepare(const std::string& id, package::Inspection inspection) const {
  SpooledRequest spooled = TRY(SpooledRequest::load(settings_.layout, settings_.configuration, id));
  const Profile* const profile = TRY(settings_.configuration.profile(spooled.request.profile));
  KeyClass key_class = TRY(KeyClass::load(settings_.layout, profile->key_class));
  crypto::SigningIdentity identity = TRY(key_class.identity());
  TRY(identity.expect_valid_at(log_.now()));
  SigningPlan plan =
      TRY(SigningPlan::make(spooled, inspection, key_class, identity,
                                         profile_digest(*profile, identity.chain()), profile->form));
  add_own_findings(inspection, plan, key_class);
  Prepared prepared{std::move(spooled), std::move(inspection), std::move(key_class), std::move(identity), std::move(plan), profile->form, profile->rules};
  TRY(expect_receipt_of(prepared));
  return prepared;
}

Result<Workflow::Prepared> Workflow::prepare_as_inspected(const RequestRecord& record) const {
  if (const auto profile = profile_of(record); !profile)
    return fail(profile.error().code(), fmt::format("{}; an administrator puts it back, or withdraws the request: coldseal-admin request withdraw {}",
                                                    profile.error().text(), record.id.substr(0, 12)));
  const SpooledRequest spooled = TRY(SpooledRequest::load(settings_.layout, settings_.configuration, record.id));
  package::Inspection inspection = TRY(load_inspection(settings_.layout, record.inspection_digest));
  Prepared prepared = TRY(prepare(record.id, std::move(inspection)));
  if (prepared.plan.set().fingerprint().hex() != record.signing_set)
    return fail(Errc::mismatch, "what would be signed is not what was inspected: the configuration, the certificate or the "
                                "spool was changed since; reject the request and have it sent again");
  return prepared;
}

Result<Document> Workflow::review(const std::string& id) {
  const RequestRecord* const known = TRY(waiting_request(id));
  const Prepared prepared = TRY(prepare_as_inspected(*known));
  TRY(record(AuditEvent::review_opened, id, {}));
  Document document = review_of(*known, prepared.spooled, prepared.inspection, prepared.key_class, prepared.identity,
                                prepared.form, prepared.plan.set(), prepared.plan.catalogs());
  const Result<void> sane = clock_->expect_sane();
  document.sections.insert(document.sections.begin(), {banner_of(settings_.configuration.name, custody_.mode(), custody_.kind()),
                                                       {fmt::format("it is {} here   (another time on your watch: approve nothing, call an administrator)",
                                                                    base::rfc3339(clock_->machine_time())),
                                                        sane ? std::string() : sane.error().text()}});
  if (sane) document.sections.front().lines.pop_back();
  return document;
}

Result<Document> Workflow::look_at_tpm() {
  if (people_are_busy()) return fail(Errc::unavailable, "something is being approved; look at the TPM afterwards");
  custody_.let_go();
  const Result<tpm::AuditAnchor> anchor = checked_anchor();
  Document document = report_on_tpm(settings_.layout, custody_);
  document.sections.insert(document.sections.begin(),
                           {banner_of(settings_.configuration.name, custody_.mode(), custody_.kind()),
                            {anchor ? std::string("the audit log agrees with the TPM") : "audit log: " + anchor.error().text()}});
  if (!anchor) when_tpm_fails(anchor.error());
  return document;
}

// What was typed where a name was asked for may be a PIN: only names of officers are written down.
std::string Workflow::name_to_record(const KeyClass& key_class, const std::string& typed) {
  const auto& officers = key_class.quorum.officers;
  const bool known = std::any_of(officers.begin(), officers.end(), [&](const tpm::Officer& officer) { return officer.name == typed; });
  return known ? typed : "not an officer of the key class";
}

Result<Approval> Workflow::sitting_view() {
  std::string words = TRY(custody_.words());
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(sitting_->ends() - settings_.clock->steady());
  const auto signing = std::chrono::ceil<std::chrono::seconds>(sitting_->estimate());
  return Approval{.approved = sitting_->approved(),
                  .needed = sitting_->needed(),
                  .officers = sitting_->may_still_approve(),
                  .seconds_left = static_cast<std::uint32_t>(std::max<std::int64_t>(0, left.count())),
                  .signing_seconds = static_cast<std::uint32_t>(signing.count()),
                  .words = std::move(words),
                  .commands = {}};
}

Result<void> Workflow::prove_officer(const KeyClass& key_class, const std::string& name, base::SecretBytes pin) {
  for (const tpm::Officer& officer : key_class.quorum.officers)
    if (officer.name == name) {
      tpm::Device* const device = TRY(custody_.device());
      return tpm::prove_officer(*device, officer, pin);
    }
  return fail(Errc::not_found, fmt::format("no officer of that name among the {} of key class \"{}\"",
                                           key_class.quorum.officers.size(), key_class.name));
}

Result<transparency::Receipt> Workflow::receipt_of(const std::string& id) {
  TRY(custody_.receipt_key());
  transparency::Receipt receipt;
  receipt.request_id = id;
  receipt.created = log_.now();
  receipt.appliance = {.name = settings_.configuration.name,
                       .mode = std::string(attest::mode_name(custody_.mode())),
                       .firmware_gate = custody_.firmware(),
                       .tpm = custody_.kind(),
                       .receipt_keyid = custody_.receipt_keyid(),
                       .version = COLDSEAL_VERSION};
  const RequestRecord* const decided = book_.find(id);
  // Refused at the door, it is in no book: the line was written just now.
  const std::string line = decided != nullptr && decided->decision ? transparency::audit_line_json(*decided->decision) : log_.last_line();
  const std::uint64_t index = decided != nullptr && decided->decision ? decided->decision->index : log_.lines() - 1;
  tpm::ReceiptKey* const key = TRY(custody_.receipt_key());
  if (index < log_.tree().first_provable())
    return fail(Errc::refused, fmt::format("line {} of the audit log is too far back to be proved in a receipt", index + 1));
  transparency::TlogProof proof{index, log_.tree().inclusion(index, log_.lines()), {}};
  proof.checkpoint =
      TRY(transparency::sign_checkpoint({transparency::log_origin(settings_.configuration.name), log_.lines(), log_.tree().root()}, *key));
  receipt.log = {index, crypto::sha256(base::as_bytes(line)).hex(), line, proof.text()};
  if (const RequestRecord* const known = book_.find(id); known != nullptr) {
    receipt.profile = known->profile;
    // With the key that signed the request, whatever key that name has by now.
    if (!known->keyid.empty()) receipt.submitter = {known->submitter, known->keyid};
    for (const RecordedApproval& approval : known->approvals)
      receipt.approvals.push_back({approval.officer, "PIN", approval.at});
  }
  return receipt;
}

}  // namespace appliance
