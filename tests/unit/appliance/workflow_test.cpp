// The workflow without its TPM: what is taken in, what a restart puts right, what a failure leaves alone. With a TPM it is
// tested through the real programs, in tests/end_to_end.
#include "appliance/workflow.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "appliance/response.hpp"
#include "tests/support/inspector_double.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using transparency::AuditEvent;
namespace fs = std::filesystem;

class WorkflowWithoutTpm : public SmallAppliance {
 protected:
  WorkflowWithoutTpm() {
    const KeyClass key_class{"release", 0, {base::Bytes{1}, base::Bytes{2}}, {2, {{"ada", 0x01800001}, {"ben", 0x01800002}}},
                             base::Bytes(34, 0x0B), must(vendor.leaf().public_key()), {}};
    must(key_class.save(layout));
    const fs::path chain = layout.key_class("release") / "chain.pem";
    const auto pem = [](const crypto::Certificate& certificate) {
      return "-----BEGIN CERTIFICATE-----\n" + base::base64(certificate.der()) + "\n-----END CERTIFICATE-----\n";
    };
    tests::write_text(chain, pem(vendor.leaf()) + pem(vendor.root()));
    // An inspector that has read the INF.
    package::Inspection inspection;
    inspection.catalogs.push_back({"coldsample.cat", "_v100_X64", {"root\\coldsample"}, {{"coldsample.sys", "coldsample.sys", "2:10.0"}}});
    answer = "answer " + std::string(base::as_text(package::encode_inspection(inspection)));
    set_inspector(answer);
    request.write_below(layout.inbox(), submitter);
  }

  void set_inspector(const std::string& orders) const { tests::write_inspector_double(folder / "inspector", orders); }

  std::unique_ptr<Workflow> start() {
    return must(Workflow::start({.layout = layout, .configuration = configuration(), .inspector = folder / "inspector", .clock = &clock,
                                 .journal = [this](const std::string& line) { journal += line + "\n"; }}));
  }
  // Takes in and inspects, once each.
  static void look_around(Workflow& workflow) {
    workflow.expire_sitting();
    workflow.catch_up();
    workflow.take_in();
    workflow.inspect_received();
  }
  void write_log(const std::vector<std::pair<AuditEvent, std::map<std::string, std::string>>>& lines) {
    AuditLog::Opened opened = must(AuditLog::open(layout.audit_log(), clock));
    for (const auto& [event, data] : lines) must(opened.log.append(event, request.id(), data));
  }
  std::vector<AuditEvent> events() {
    std::vector<AuditEvent> all;
    for (const transparency::AuditLine& line : must(AuditLog::open(layout.audit_log(), clock)).lines)
      if (line.request == request.id()) all.push_back(line.event);
    return all;
  }
  bool waits(const Workflow& workflow) const {
    const WaitingList list = workflow.waiting();
    return std::any_of(list.requests.begin(), list.requests.end(), [&](const auto& waiting) { return waiting.id == request.id(); });
  }

  tests::Vendor vendor;
  TestRequest request = sample_request();
  std::string journal;
  std::string answer;   // orders for an inspector that has read the INF
};

TEST_F(WorkflowWithoutTpm, ARequestIsTakenInInspectedAndWaits) {
  auto workflow = start();
  look_around(*workflow);
  EXPECT_TRUE(waits(*workflow)) << journal;
  EXPECT_TRUE(fs::is_empty(layout.inbox()));
  const WaitingList before = workflow->waiting();
  const Document document = must(workflow->review(request.id()));
  EXPECT_FALSE(document.sections.empty());
  workflow.reset();
  EXPECT_EQ(events(), (std::vector<AuditEvent>{AuditEvent::received, AuditEvent::inspected, AuditEvent::review_opened}));
  // And after a restart everything is as it was.
  workflow = start();
  ASSERT_EQ(workflow->waiting().requests.size(), 1U);
  EXPECT_EQ(workflow->waiting().requests[0].words, before.requests[0].words);
  EXPECT_TRUE(must(workflow->review(request.id())).sections.size() == document.sections.size());
}

TEST_F(WorkflowWithoutTpm, ARequestSeenBeforeIsNotTakenInAgain) {
  auto workflow = start();
  look_around(*workflow);
  request.write_below(layout.inbox(), submitter);
  look_around(*workflow);
  EXPECT_TRUE(fs::is_empty(layout.inbox()));
  EXPECT_NE(journal.find("seen before, waiting"), std::string::npos) << journal;
  EXPECT_EQ(workflow->waiting().requests.size(), 1U);
}

TEST_F(WorkflowWithoutTpm, APowerCutAfterReceivedWasLoggedLosesNothing) {
  {
    const auto workflow = start();
    workflow->take_in();
  }
  ASSERT_EQ(events(), std::vector<AuditEvent>{AuditEvent::received});
  fs::rename(layout.spool() / request.id(), layout.spool() / (request.id() + ".part"));
  request.write_below(layout.inbox(), submitter);   // it was to be removed after that
  const auto workflow = start();
  EXPECT_TRUE(fs::exists(layout.spool() / request.id()));
  look_around(*workflow);
  EXPECT_TRUE(waits(*workflow)) << journal;
  EXPECT_TRUE(fs::is_empty(layout.inbox()));
}

TEST_F(WorkflowWithoutTpm, APowerCutBeforeReceivedWasLoggedStartsAnew) {
  tests::write_text(layout.spool() / (request.id() + ".part") / "files/coldsample.sys", "half");
  const auto workflow = start();
  EXPECT_TRUE(fs::is_empty(layout.spool()));
  look_around(*workflow);
  EXPECT_TRUE(waits(*workflow)) << journal;
}

TEST_F(WorkflowWithoutTpm, ASpoolThatIsLostIsNotARequestThatWaitsForever) {
  {
    const auto workflow = start();
    workflow->take_in();
  }
  fs::remove_all(layout.spool() / request.id());
  const auto workflow = start();   // and does not keep the appliance from starting
  look_around(*workflow);
  EXPECT_FALSE(waits(*workflow));
  // Its refusal needs the TPM's receipt key, and is tried again.
  EXPECT_NE(journal.find("put off"), std::string::npos) << journal;
}

TEST_F(WorkflowWithoutTpm, AnApprovalOrASignatureThatWasInterruptedWaitsAgain) {
  {
    const auto workflow = start();
    look_around(*workflow);
  }
  for (const bool was_signing : {false, true}) {
    write_log({{AuditEvent::approval_started, {}}, {AuditEvent::approved_by, {{"officer", "ada"}}}});
    if (was_signing) write_log({{AuditEvent::signing, {}}, {AuditEvent::signed_, {}}});
    tests::write_text(layout.outbox() / (request.id() + ".part") / "files/coldsample.sys", "signed, but not released");
    const auto workflow = start();
    EXPECT_TRUE(waits(*workflow));
    EXPECT_EQ(workflow->sitting_number(), 0U);
    for (const auto& left : fs::directory_iterator(layout.outbox()))
      EXPECT_EQ(left.path().filename(), request.id() + ".waiting") << "what the submitter may see, and nothing else";
    EXPECT_FALSE(tests::read_text(layout.outbox() / (request.id() + ".waiting")).empty());
  }
  EXPECT_EQ(events().back(), AuditEvent::returned_to_waiting);
}

TEST_F(WorkflowWithoutTpm, AnAnswerThatWasLoggedIsPublishedAfterTheRestart) {
  {
    const auto workflow = start();
    look_around(*workflow);
  }
  const std::string receipt = "a receipt";
  const fs::path part = layout.outbox() / (request.id() + ".part");
  tests::write_text(part / wire::kReceiptName, receipt);
  tests::write_text(part / "files/coldsample.sys", "signed");
  tests::write_text(layout.outbox() / request.id() / wire::kReceiptName, "refused at the door, earlier");
  write_log({{AuditEvent::approval_started, {}}, {AuditEvent::signing, {}}, {AuditEvent::signed_, {}},
             {AuditEvent::delivered_to_outbox, {{"receipt", crypto::sha256(base::as_bytes(receipt)).hex()}}}});
  const auto workflow = start();
  EXPECT_FALSE(waits(*workflow));
  EXPECT_EQ(tests::read_text(layout.outbox() / request.id() / wire::kReceiptName), receipt);
  EXPECT_EQ(tests::read_text(layout.outbox() / request.id() / "files/coldsample.sys"), "signed");
  EXPECT_FALSE(fs::exists(part));
  EXPECT_FALSE(fs::exists(layout.spool() / request.id()));   // not needed any more
}

TEST_F(WorkflowWithoutTpm, AnAnswerThatWasNotLoggedIsNotPublished) {
  {
    const auto workflow = start();
    look_around(*workflow);
  }
  write_log({{AuditEvent::approval_started, {}}, {AuditEvent::signing, {}}, {AuditEvent::signed_, {}},
             {AuditEvent::delivered_to_outbox, {{"receipt", crypto::sha256(base::as_bytes("the receipt")).hex()}}}});
  tests::write_text(layout.outbox() / request.id() / wire::kReceiptName, "the receipt");
  tests::write_text(layout.outbox() / (request.id() + ".part") / wire::kReceiptName, "another receipt");
  const auto workflow = start();
  EXPECT_EQ(tests::read_text(layout.outbox() / request.id() / wire::kReceiptName), "the receipt");
  EXPECT_FALSE(fs::exists(layout.outbox() / (request.id() + ".part")));
}

TEST_F(WorkflowWithoutTpm, ARejectionIsFinalEvenIfItsAnswerCouldNotBeMade) {
  {
    const auto workflow = start();
    look_around(*workflow);
  }
  write_log({{AuditEvent::rejected, {{"officer", "ada"}, {"reason", "old"}}}});
  const auto workflow = start();
  look_around(*workflow);
  EXPECT_FALSE(waits(*workflow));
  expect_error(workflow->review(request.id()), base::Errc::refused, "is rejected, not waiting");
  EXPECT_NE(journal.find("put off"), std::string::npos) << journal;   // until the TPM is there
}

TEST_F(WorkflowWithoutTpm, OneThatCannotBeAnsweredNowDoesNotHoldUpTheOthers) {
  // A stranger's request, whose refusal would have to be signed by the TPM.
  keys::SubmitterKey stranger = keys::SubmitterKey::generate();
  TestRequest other = sample_request();
  other.manifest.note = "let me in";
  other.write_below(layout.inbox(), stranger);
  const auto workflow = start();
  for (int round = 0; round < 3 && !waits(*workflow); ++round) {
    look_around(*workflow);
    clock.steady_time += std::chrono::seconds(6);
  }
  EXPECT_TRUE(waits(*workflow)) << journal;
  EXPECT_TRUE(fs::exists(layout.inbox() / other.id()));   // it stays until it can be answered
}

TEST_F(WorkflowWithoutTpm, OnesThatCannotBeReadDoNotHoldUpTheOthers) {
  // A socket cannot be opened, by nobody: neither a good request nor a bad one, as far as anybody knows.
  for (int i = 0; i < 20; ++i) {
    const fs::path manifest = layout.inbox() / crypto::sha256(base::as_bytes(std::to_string(i))).hex() / wire::kManifestName;
    fs::create_directories(manifest.parent_path());
    ASSERT_EQ(mknod(manifest.c_str(), S_IFSOCK | 0600, 0), 0);
  }
  const auto workflow = start();
  const auto times_put_off = [this] {
    std::size_t times = 0;
    for (std::size_t at = journal.find("put off"); at != std::string::npos; at = journal.find("put off", at + 1)) ++times;
    return times;
  };
  for (int round = 0; round < 10; ++round) {   // as often as coldseald looks around in two seconds
    look_around(*workflow);
    clock.steady_time += std::chrono::milliseconds(200);
  }
  EXPECT_TRUE(waits(*workflow)) << journal;
  EXPECT_EQ(times_put_off(), 20U) << journal;   // each once
  for (int round = 0; round < 3000; ++round) {
    look_around(*workflow);
    clock.steady_time += std::chrono::milliseconds(200);
  }
  EXPECT_LT(times_put_off(), 20U * 20U);   // seldomer and seldomer
  EXPECT_GT(times_put_off(), 20U * 5U);
}

TEST_F(WorkflowWithoutTpm, NothingIsInspectedWhileThereIsNoCertificateForTheKey) {
  fs::remove(layout.key_class("release") / "chain.pem");
  set_inspector("signal 11");   // which would be a reason to refuse the package
  {
    const auto workflow = start();
    look_around(*workflow);
  }
  EXPECT_NE(journal.find("key class \"release\" has no certificate yet"), std::string::npos) << journal;
  const auto all = events();
  EXPECT_EQ(std::count(all.begin(), all.end(), AuditEvent::received), 1);
  EXPECT_EQ(std::count(all.begin(), all.end(), AuditEvent::refused), 0);
}

TEST_F(WorkflowWithoutTpm, WhatCannotBeDoneIsTriedAgainAfterAWhileAndNotAtOnce) {
  fs::remove_all(layout.key_class("release"));
  const auto workflow = start();
  const auto times_put_off = [this] {
    std::size_t times = 0;
    for (std::size_t at = journal.find("put off"); at != std::string::npos; at = journal.find("put off", at + 1)) ++times;
    return times;
  };
  for (int i = 0; i < 10; ++i) look_around(*workflow);
  EXPECT_EQ(times_put_off(), 1U) << journal;
  clock.steady_time += std::chrono::seconds(6);
  look_around(*workflow);
  EXPECT_EQ(times_put_off(), 2U) << journal;
}

TEST_F(WorkflowWithoutTpm, AnInspectorToldToStopCostsTheRequestNothing) {
  set_inspector("signal 15");
  const auto workflow = start();
  look_around(*workflow);
  EXPECT_NE(journal.find("told to stop"), std::string::npos) << journal;
  set_inspector(answer);
  clock.steady_time += std::chrono::seconds(6);
  look_around(*workflow);
  EXPECT_TRUE(waits(*workflow)) << journal;
}

TEST_F(WorkflowWithoutTpm, AChangedSpoolConfigurationOrCertificateIsNotReviewedAsIfNothingHadHappened) {
  {
    const auto workflow = start();
    look_around(*workflow);
  }
  const fs::path inf = layout.spool() / request.id() / "files/coldsample.inf";
  const base::Bytes good = tests::read_file(inf);
  tests::write_text(inf, "altered");
  EXPECT_FALSE(start()->review(request.id()).has_value());
  tests::write_file(inf, good);
  must(start()->review(request.id()));
  std::string text(kConfigurationText);
  tests::write_text(layout.configuration(), text + "# a comment\n");   // which changes nothing that is signed
  must(start()->review(request.id()));
  tests::write_text(layout.configuration(), text.replace(text.find("[\"build-1\"]"), 11, "[\"build-1\", \"build-2\"]"));
  expect_error(start()->review(request.id()), base::Errc::mismatch, "was changed since");
}

TEST_F(WorkflowWithoutTpm, AClockSetBackDoesNotMakeTheCertificateTooYoungOrYoungAgain) {
  std::string text(kConfigurationText);
  tests::write_text(layout.configuration(), text.insert(text.find("mode ="), "clock_days = 3650\n"));
  {
    const auto workflow = start();
    look_around(*workflow);
  }
  clock.time = tests::at("2024-01-01T00:00:00Z");   // before the certificate; the log knows better
  must(start()->review(request.id()));
  clock.time = tests::at("2036-01-01T00:00:00Z");   // within the ten years above
  expect_error(start()->review(request.id()), base::Errc::refused, "valid");
  clock.time = tests::at("2026-12-01T00:00:00Z");   // nobody makes it valid again by setting the clock back
  expect_error(start()->review(request.id()), base::Errc::refused, "valid");
}

TEST_F(WorkflowWithoutTpm, UnknownRequestsAndSittingsAreRefused) {
  const auto workflow = start();
  expect_error(workflow->review("no such\x1B id"), base::Errc::not_found, "no such\\x1b id");
  expect_error(workflow->begin_approval(std::string(64, 'f')), base::Errc::not_found, "there is no request");
  expect_error(workflow->enter_pin("ada", base::SecretBytes::copy_of(base::as_bytes("314159")), {}), base::Errc::refused, "begin again");
  workflow->end_sitting("nothing");   // harmless
  EXPECT_EQ(workflow->sitting_number(), 0U);
}

TEST_F(WorkflowWithoutTpm, AnApprovalThatCannotBeginLeavesTheRequestWaiting) {
  const auto workflow = start();
  look_around(*workflow);
  EXPECT_FALSE(workflow->begin_approval(request.id()).has_value());   // there is no TPM
  EXPECT_TRUE(waits(*workflow));
  EXPECT_EQ(workflow->sitting_number(), 0U);
}

}  // namespace
}  // namespace appliance
