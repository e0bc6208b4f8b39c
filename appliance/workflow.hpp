// What the appliance does with a request, one function for each arrow of the data path (docs/architecture.md). Owns
// the audit log and everything that is known of requests; the main program calls it, the console asks it. No threads:
// one call is over before the next.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "appliance/administered.hpp"
#include "appliance/anchored_log.hpp"
#include "appliance/checkup.hpp"
#include "appliance/clock.hpp"
#include "appliance/configuration.hpp"
#include "appliance/confinement.hpp"
#include "appliance/console_protocol.hpp"
#include "appliance/custody.hpp"
#include "appliance/layout.hpp"
#include "appliance/put_off.hpp"
#include "appliance/remedy.hpp"
#include "appliance/request_book.hpp"
#include "appliance/sitting.hpp"
#include "appliance/trusted_clock.hpp"
#include "crypto/base/result.hpp"
#include "crypto/package/inspection.hpp"
#include "crypto/transparency/receipt.hpp"

namespace appliance {

class Workflow {
 public:
  using Journal = std::function<void(const std::string& line)>;              // for whoever watches the box, not for auditors
  using OnProgress = std::function<void(std::size_t done, std::size_t total)>;   // signatures
  struct Settings {
    Layout layout;
    Configuration configuration;
    std::filesystem::path inspector;   // the program
    std::optional<UserIds> inspector_user = std::nullopt;
    const Clock* clock = nullptr;
    Journal journal;
  };

  // Replays the audit log, and puts right what a power cut left half done.
  static base::Result<std::unique_ptr<Workflow>> start(Settings settings);

  // inbox ► spool ► inspector: everything that has arrived. Call them again and again; what cannot be done now is left.
  // While officers enter their PINs nothing is taken in or inspected, so that they are not kept waiting.
  void take_in();
  void inspect_received();
  // What was recorded but could not be carried out (the TPM had gone, the disk was full). Call it again and again, too.
  void catch_up();
  // What time brings: requests that waited too long, responses that were delivered. Call it again and again; it looks now and then.
  void keep_house();

  // For the console.
  WaitingList waiting() const;
  base::Result<Document> review(const std::string& id);
  // How everything is, with what to do; during a sitting the TPM is left alone.
  Checkup checkup();
  // The TPM, opened anew, and what is to be done about it: where officers begin when it said no.
  base::Result<Document> look_at_tpm();
  base::Result<Approval> begin_approval(const std::string& id);
  // The answer of the last officer comes after everything was signed and published.
  base::Result<ConsoleAnswer> enter_pin(const std::string& officer, base::SecretBytes pin, const OnProgress& progress);
  // Administrators put something right; their PINs go to enter_pin().
  base::Result<Approval> begin_remedy(const BeginRemedy& asked);
  base::Result<Done> reject(const std::string& id, const std::string& officer, base::SecretBytes pin,
                            const std::string& reason);
  // The request waits again, and the officers enter anew; what administrators had begun is not done. Nothing happens when
  // no sitting goes on.
  void end_sitting(const std::string& why);
  void expire_sitting();   // when its time is over
  // The last call before the end: a sitting ends, and the log's end is anchored, so that nobody can cut it off or change it unnoticed.
  void stop(const std::string& why);
  // Each sitting has a number of its own, so that nobody takes the next one for theirs; 0 while there is none.
  std::uint64_t sitting_number() const { return people_are_busy() ? sitting_number_ : 0; }

 private:
  Workflow(Settings settings, std::unique_ptr<TrustedClock> clock, AnchoredLog log, package::DenyList deny_list);
  using Fields = std::map<std::string, std::string>;

  struct Prepared {
    SpooledRequest spooled;
    package::Inspection inspection;
    KeyClass key_class;
    crypto::SigningIdentity identity;
    SigningPlan plan;
    SignatureForm form;
    ProfileRules rules;
  };

  // The arrows (workflow.cpp).
  base::Result<void> take_in_one(const std::string& id);
  base::Result<void> inspect_one(const RequestRecord& record_before);
  base::Result<void> sign(const OnProgress& progress);
  base::Result<void> answer_rejected(const RequestRecord& rejected);
  base::Result<void> refuse(const std::string& id, const std::string& reason,
                            const std::vector<package::Finding>& findings, const std::string& inspection = {});   // its digest
  base::Result<void> answer_unasked(const RequestRecord& over);
  base::Result<void> refuse_at_the_door(const std::string& id, const base::Error& why);
  base::Result<void> publish(const transparency::Receipt& receipt);

  // Their parts (workflow_parts.cpp).
  base::Result<void> put_right_after_restart(const Fields& how_it_ended);
  base::Result<void> carry_out_what_was_recorded();
  base::Result<void> complete_spool(const std::string& id) const;
  void mark_waiting(const std::string& id) const;
  base::Result<void> record(transparency::AuditEvent event, const std::string& id, const Fields& data);
  // The anchor in the TPM, once the log was held against it since the TPM was opened.
  base::Result<tpm::AuditAnchor> checked_anchor();
  base::Result<void> remove_from_inbox(const std::string& id);
  base::Result<void> remove_from_spool(const std::string& id) const;
  base::Result<const RequestRecord*> waiting_request(const std::string& id) const;
  base::Result<const RequestRecord*> rejectable_request(const std::string& id) const;
  base::Result<Prepared> prepare(const std::string& id, package::Inspection inspection) const;
  base::Result<Prepared> prepare_as_inspected(const RequestRecord& record) const;
  base::Result<void> prove_officer(const KeyClass& key_class, const std::string& name, base::SecretBytes pin);

  // What must hold (workflow_rules.cpp): at the door, before officers are asked and again before anything is signed.
  base::Result<void> expect_submitter(const std::string& keyid, const Profile& profile) const;
  base::Result<const Profile*> profile_of(const RequestRecord& record) const;
  base::Result<void> expect_room(const wire::Request& request) const;
  base::Result<void> expect_rules(const RequestRecord& record, const KeyClass& key_class, const crypto::SigningIdentity& identity, const SigningPlan& plan,
                                  const package::Inspection& inspection) const;
  // What only the box can find, added to what the inspector found: files on the deny list, files that somebody else signed.
  void add_own_findings(package::Inspection& inspection, const SigningPlan& plan, const KeyClass& key_class) const;
  base::Result<package::Inspection> inspection_in(const Sitting& sitting) const;

  // What time brings (workflow_upkeep.cpp).
  base::Result<void> expire_waiting();
  base::Result<void> note_deliveries();
  base::Result<void> remove_old_responses();
  base::Result<void> remove_oldest_refusals();

  base::Result<transparency::Receipt> receipt_of(const std::string& id);
  // The receipt's side (workflow_receipts.cpp).
  base::Result<void> expect_receipt_of(const Prepared& prepared) const;
  static void describe_signing(transparency::Receipt& receipt, const KeyClass& key_class, const crypto::SigningIdentity& identity, const SigningPlan& plan,
                               const package::Inspection& inspection, std::vector<transparency::OutputFile> outputs);
  static std::string name_to_record(const KeyClass& key_class, const std::string& typed);
  base::Result<Approval> sitting_view();
  bool people_are_busy() const { return sitting_ != nullptr || remedy_ != nullptr; }   // entering PINs
  // The administrators' side (workflow_remedy.cpp).
  base::Result<Approval> remedy_view();
  base::Result<ConsoleAnswer> enter_administrators_pin(const std::string& name, base::SecretBytes pin);
  using Moment = std::chrono::steady_clock::time_point;
  bool is_due(Moment again_at) const { return settings_.clock->steady() >= again_at; }
  void put_off(Moment& again_at, const std::string& id, const base::Error& why);
  void leave_in_inbox(const std::string& id, const base::Error& why);
  void when_tpm_fails(const base::Error& error);
  void note(const std::string& id, const std::string& what) const;

  Settings settings_;
  std::unique_ptr<TrustedClock> clock_;   // before log_, which asks it
  AnchoredLog log_;
  RequestBook book_;
  Administered administered_;
  package::DenyList deny_list_;
  Custody custody_;
  std::unique_ptr<Sitting> sitting_;   // after custody_: it goes first
  std::unique_ptr<Remedy> remedy_;     // likewise, and never both
  std::uint64_t sitting_number_ = 0;
  std::uint64_t checked_opening_ = 0;   // custody_.openings() when the log was held against its anchor
  std::vector<std::string> unpublished_;   // answered, but the folder in the outbox has not got its name yet
  std::vector<std::string> unremoved_;     // answered, but their copies are still in the spool
  PutOff left_in_inbox_;
  std::string taken_last_;
  Moment take_in_again_at_{};
  Moment inspect_again_at_{};
  Moment catch_up_again_at_{};
  Moment keep_house_again_at_{};
};

}  // namespace appliance
