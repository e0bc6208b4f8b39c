#include "appliance/workflow.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "appliance/inspector_process.hpp"
#include "appliance/intake.hpp"
#include "appliance/receipt_parts.hpp"
#include "appliance/response.hpp"
#include "appliance/review.hpp"
#include "crypto/base/limits.hpp"
#include "usb/files/safe_write.hpp"

// The way of a request; what is named on the right is a line of the audit log, on the disk before the arrow takes effect.
// State is what those lines say and nothing else (request_book.hpp).
//
//   inbox ► spool             take_in_one                      received             or intake-refused (refuse_at_the_door)
//   spool ► waiting           inspect_one                      inspected            or refused (refuse)
//   waiting ► in approval     begin_approval                   approval-started
//   an officer's PIN          enter_pin                        approved-by          or approval-failed
//   in approval ► signed      sign                             signing, signed
//   in approval ► waiting     end_sitting, expire_sitting      returned-to-waiting, expired
//   waiting ► rejected        reject, answer_rejected          rejected
//   waiting ► answered        answer_unasked                   withdrawn, or request-expired when nobody decided in time
//   any answer ► outbox       publish                          delivered-to-outbox; then, in workflow_upkeep.cpp: delivered, removed
namespace appliance {

using base::Errc;
using base::fail;
using base::Result;
using transparency::AuditEvent;

// ---- courier ► inbox ► spool ------------------------------------------------------------------------------------

Result<void> Workflow::take_in_one(const std::string& id) {
  if (const RequestRecord* const known = book_.find(id); known != nullptr) {
    if (known->state == RequestState::removed && !is_there(settings_.layout.outbox() / id))
      return fail(Errc::refused, "request.answered: it was answered and delivered, and the answer is not kept any more; nothing is signed twice: create a "
                                 "new request to have it signed again");
    note(id, fmt::format("seen before, {}; nothing is signed twice", request_state_name(known->state)));
    return remove_from_inbox(id);
  }
  if (book_.unanswered() >= base::limits::kRequestsWaiting)
    return fail(Errc::unavailable, fmt::format("{} requests are waiting already", base::limits::kRequestsWaiting));
  const AcceptedRequest accepted = TRY(check_manifest(settings_.layout, settings_.configuration, id));
  const Profile* const profile = TRY(settings_.configuration.profile(accepted.request.profile));
  TRY(expect_submitter(accepted.keyid, *profile));
  TRY(expect_room(accepted.request));
  TRY(copy_to_spool(settings_.layout, id, accepted.request, accepted.manifest));
  TRY(record(AuditEvent::received, id,
             {{"submitter", accepted.submitter},
              {"keyid", accepted.keyid},
              {"profile", accepted.request.profile},
              {"files", fmt::format("{}", accepted.request.files.size())},
              {"bytes", fmt::format("{}", total_bytes(accepted.request))}}));
  TRY(complete_spool(id));
  mark_waiting(id);
  note(id, fmt::format("received from {}", accepted.submitter));
  return remove_from_inbox(id);
}

// ---- spool ► inspector ► waiting --------------------------------------------------------------------------------

Result<void> Workflow::inspect_one(const RequestRecord& record_before) {
  const std::string id = record_before.id;
  TRY(complete_spool(id));
  const Profile* const profile = TRY(profile_of(record_before));   // or it is refused: it would wait for ever
  const SpooledRequest spooled = TRY(SpooledRequest::load(settings_.layout, settings_.configuration, id));
  // Without a certificate nothing comes of an inspection, and it would be made again and again until there is one.
  const KeyClass key_class = TRY(KeyClass::load(settings_.layout, profile->key_class));
  TRY(key_class.identity());
  const base::Bytes answer = TRY(run_inspector({.program = settings_.inspector,
                                                .files = spooled.folder / wire::kFilesFolder,
                                                .os_targets = spooled.request.os_targets,
                                                .today = log_.now(),
                                                .user = settings_.inspector_user}));
  package::Inspection inspection = TRY(base::within("the inspector's answer", package::decode_inspection(answer)));
  const std::string digest = TRY(save_inspection(settings_.layout, answer));   // before a line of the log names it
  if (inspection.has_errors())
    return refuse(id, "the inspection found errors", inspection.findings, digest);
  if (const Result<void> allowed = profile->rules.expect_findings(inspection.findings); !allowed)
    return refuse(id, allowed.error().text(), inspection.findings, digest);
  const Prepared prepared = TRY(prepare(id, std::move(inspection)));
  if (const Result<void> allowed = prepared.rules.expect_findings(prepared.inspection.findings); !allowed)
    return refuse(id, allowed.error().text(), prepared.inspection.findings, digest);
  TRY(record(AuditEvent::inspected, id,
             {{"inspection", digest},
              {"signing-set", prepared.plan.set().fingerprint().hex()},
              {"signatures", fmt::format("{}", prepared.plan.set().items.size())}}));
  note(id, fmt::format("waits for the officers: {}", prepared.plan.set().words()));
  return {};
}

// ---- waiting ► in approval --------------------------------------------------------------------------------------

Result<Approval> Workflow::begin_approval(const std::string& id) {
  if (people_are_busy()) return fail(Errc::unavailable, "something else is being approved; one at a time");
  const RequestRecord* const known = TRY(waiting_request(id));
  Prepared prepared = TRY(prepare_as_inspected(*known));
  TRY(expect_rules(*known, prepared.key_class, prepared.identity, prepared.plan, prepared.inspection));
  custody_.notice_loss();   // the officers need not hear of a TPM that is back already
  auto sitting = Sitting::begin(custody_, std::move(prepared.spooled), std::move(prepared.key_class),
                                std::move(prepared.plan), settings_.clock->steady() + kSittingTime);
  if (!sitting) {
    when_tpm_fails(sitting.error());
    return tl::unexpected<base::Error>(sitting.error());
  }
  // The box must be able to show that it is itself before anybody types a PIN.
  if (const Result<std::string> words = custody_.words(); !words) {
    sitting->reset();   // what it holds of the TPM goes before the TPM does
    when_tpm_fails(words.error());
    return tl::unexpected<base::Error>(words.error());
  }
  TRY(record(AuditEvent::approval_started, id, {{"signing-set", (*sitting)->plan().set().fingerprint().hex()}}));
  sitting_ = std::move(*sitting);
  ++sitting_number_;
  note(id, "approval begins");
  return sitting_view();
}

Result<ConsoleAnswer> Workflow::enter_pin(const std::string& officer, base::SecretBytes pin, const OnProgress& progress) {
  if (remedy_ != nullptr) return enter_administrators_pin(officer, std::move(pin));
  if (sitting_ == nullptr) return fail(Errc::refused, "no request is being approved; begin again");
  const std::string id = sitting_->id();
  if (const Result<void> approved = sitting_->approve(officer, std::move(pin)); !approved) {
    const std::string name = name_to_record(sitting_->key_class(), officer);
    TRY(record(AuditEvent::approval_failed, id, {{"officer", name}, {"reason", approved.error().text()}}));
    note(id, fmt::format("{}: {}", name, approved.error().text()));
    when_tpm_fails(approved.error());
    return tl::unexpected<base::Error>(approved.error());
  }
  if (const Result<void> recorded = record(AuditEvent::approved_by, id, {{"officer", officer}, {"method", "PIN"}}); !recorded) {
    end_sitting("an approval could not be recorded");   // and must not count
    when_tpm_fails(recorded.error());
    return tl::unexpected<base::Error>(recorded.error());
  }
  note(id, fmt::format("approved by {}", officer));
  if (sitting_->needed() > 0) {
    Approval view = TRY(sitting_view());
    return ConsoleAnswer(std::move(view));
  }
  if (const Result<void> done = sign(progress); !done) {
    discard_response(settings_.layout, id);
    end_sitting(done.error().text());
    when_tpm_fails(done.error());
    return tl::unexpected<base::Error>(done.error().within("nothing was released; the request waits again"));
  }
  return ConsoleAnswer(Done{fmt::format("Request {} is signed. The response is on its way to the stick or the cable.", id.substr(0, 8))});
}

// ---- in approval ► signing ► outbox -----------------------------------------------------------------------------

Result<void> Workflow::sign(const OnProgress& progress) {
  const std::string id = sitting_->id();
  const std::string fingerprint = sitting_->plan().set().fingerprint().hex();
  const crypto::SigningIdentity identity = TRY(sitting_->key_class().identity());
  const package::Inspection inspection = TRY(inspection_in(*sitting_));
  TRY(expect_rules(*book_.find(id), sitting_->key_class(), identity, sitting_->plan(), inspection));
  TRY(record(AuditEvent::signing, id, {{"signing-set", fingerprint}}));
  const std::filesystem::path folder = TRY(begin_response(settings_.layout, id));
  const std::vector<transparency::OutputFile> outputs =
      TRY(sitting_->sign(folder / wire::kFilesFolder, progress));
  TRY(record(AuditEvent::signed_, id, {{"signing-set", fingerprint}, {"outputs", transparency::outputs_digest(outputs).hex()}}));
  transparency::Receipt receipt = TRY(receipt_of(id));
  describe_signing(receipt, sitting_->key_class(), identity, sitting_->plan(), inspection, outputs);
  TRY(publish(receipt));
  sitting_.reset();
  note(id, "signed");
  return {};
}

// ---- not signed -------------------------------------------------------------------------------------------------

Result<Done> Workflow::reject(const std::string& id, const std::string& officer, base::SecretBytes pin,
                              const std::string& reason) {
  const RequestRecord* const known = TRY(rejectable_request(id));
  const Profile* const profile = TRY(base::within("officers cannot reject it", profile_of(*known)));
  const KeyClass key_class = TRY(KeyClass::load(settings_.layout, profile->key_class));
  if (!people_are_busy()) custody_.notice_loss();
  if (const Result<void> proved = prove_officer(key_class, officer, std::move(pin)); !proved) {
    TRY(record(AuditEvent::approval_failed, id,
               {{"officer", name_to_record(key_class, officer)}, {"reason", proved.error().text()}}));
    when_tpm_fails(proved.error());
    return tl::unexpected<base::Error>(proved.error());
  }
  if (const Result<void> recorded = record(AuditEvent::rejected, id, {{"officer", officer}, {"reason", reason}}); !recorded) {
    when_tpm_fails(recorded.error());
    return tl::unexpected<base::Error>(recorded.error());
  }
  if (sitting_ != nullptr && sitting_->id() == id) sitting_.reset();
  note(id, fmt::format("rejected by {}", officer));
  // It is rejected now, whether or not the answer can be made at once.
  if (const Result<void> answered = answer_rejected(*known); !answered) put_off(catch_up_again_at_, id, answered.error());
  return Done{fmt::format("Request {} is rejected; the submitter gets your reason.", id.substr(0, 8))};
}

Result<void> Workflow::answer_rejected(const RequestRecord& rejected) {
  transparency::Receipt receipt = TRY(receipt_of(rejected.id));
  receipt.outcome = transparency::Outcome::rejected;
  receipt.reason = rejected.rejection->reason;
  receipt.rejection = transparency::Receipt::Rejection{rejected.rejection->officer, rejected.rejection->at};
  TRY(begin_response(settings_.layout, rejected.id));
  return publish(receipt);
}

// Withdrawn, or waited too long: what the line says, in a receipt.
Result<void> Workflow::answer_unasked(const RequestRecord& over) {
  transparency::Receipt receipt = TRY(receipt_of(over.id));
  receipt.outcome = transparency::Outcome::refused;
  receipt.reason = over.decision->data.at("reason");
  TRY(begin_response(settings_.layout, over.id));
  return publish(receipt);
}

Result<void> Workflow::refuse(const std::string& id, const std::string& reason,
                              const std::vector<package::Finding>& findings, const std::string& inspection) {
  TRY(custody_.receipt_key());
  Fields data{{"reason", reason}};
  if (!inspection.empty()) data["inspection"] = inspection;
  TRY(record(AuditEvent::refused, id, data));
  transparency::Receipt receipt = TRY(receipt_of(id));
  receipt.outcome = transparency::Outcome::refused;
  receipt.reason = reason;
  receipt.findings = findings_for_receipt(findings);
  TRY(begin_response(settings_.layout, id));
  TRY(publish(receipt));
  note(id, "refused: " + reason);
  return {};
}

Result<void> Workflow::refuse_at_the_door(const std::string& id, const base::Error& why) {
  TRY(custody_.receipt_key());   // nothing is recorded as answered that cannot be answered
  TRY(record(AuditEvent::intake_refused, id, {{"reason", why.text()}}));
  transparency::Receipt receipt = TRY(receipt_of(id));
  receipt.outcome = transparency::Outcome::refused;
  receipt.reason = why.text();
  TRY(begin_response(settings_.layout, id));
  TRY(write_receipt(settings_.layout, custody_, receipt));
  TRY(publish_response(settings_.layout, id));
  note(id, "refused at the door: " + why.text());
  Result<void> removed = remove_from_inbox(id);
  if (!removed) left_in_inbox_.remember_answered(id);   // or it would be refused, logged and signed again and again
  return removed;
}

void Workflow::end_sitting(const std::string& why) {
  if (remedy_ != nullptr) {
    note("", remedy_->what() + ": nothing was done: " + why);
    remedy_.reset();
  }
  if (sitting_ == nullptr) return;
  const std::string id = sitting_->id();
  sitting_.reset();
  // The sitting is over either way; a log that cannot be written stops the next step, not this one.
  if (const auto recorded = record(AuditEvent::returned_to_waiting, id, {{"why", why}}); !recorded)
    note(id, recorded.error().text());
  note(id, "waits again: " + why);
}

void Workflow::stop(const std::string& why) {
  end_sitting(why);
  if (const Result<void> recorded = record(AuditEvent::stopped, "", {}); !recorded) note("", "the log's end is not anchored: " + recorded.error().text());
}

void Workflow::expire_sitting() {
  if (remedy_ != nullptr && settings_.clock->steady() >= remedy_->ends()) end_sitting("the approval ran out of time");
  if (sitting_ == nullptr || settings_.clock->steady() < sitting_->ends()) return;
  const std::string id = sitting_->id();
  sitting_.reset();
  if (const auto recorded = record(AuditEvent::expired, id, {}); !recorded) note(id, recorded.error().text());
  note(id, "the approval ran out of time; the request waits again");
}

// ---- answers go out ---------------------------------------------------------------------------------------------

Result<void> Workflow::publish(const transparency::Receipt& receipt) {
  const std::string& id = receipt.request_id;
  const crypto::Digest digest = TRY(write_receipt(settings_.layout, custody_, receipt));
  TRY(record(AuditEvent::delivered_to_outbox, id,
             {{"outcome", std::string(transparency::outcome_name(receipt.outcome))}, {"receipt", digest.hex()}}));
  // The request is answered now: what follows is made up for, not taken back.
  if (const Result<void> published = publish_response(settings_.layout, id); !published) {
    unpublished_.push_back(id);
    put_off(catch_up_again_at_, id, published.error());
  }
  if (const Result<void> removed = remove_from_spool(id); !removed) {
    unremoved_.push_back(id);
    put_off(catch_up_again_at_, id, removed.error());
  }
  return {};
}

}  // namespace appliance
