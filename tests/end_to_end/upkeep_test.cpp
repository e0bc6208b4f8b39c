// What time brings (workflow_upkeep.cpp), with a TPM: requests that wait too long or are withdrawn, responses that were delivered, room in the spool.
#include "appliance/workflow.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <fstream>

#include "tests/support/faults.hpp"
#include "tests/support/parcels.hpp"
#include "tests/support/rules_fixture.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

class Upkeep : public RulesFixture {};

TEST_F(Upkeep, RequestsThatWaitTooLongAndWithdrawnOnesGetTheirAnswerAndResponsesAreKeptAsLongAsWanted) {
  approve_rules("keep_days = 5\nspool_mib = 1\n", "waiting_days = 2\n");
  start();
  const std::string signed_one = send();
  const std::string old = send();
  look_around();
  ASSERT_EQ(refusal_of_approval(signed_one), "");
  ASSERT_EQ(refusal_of_pins(), "");
  clock_.ahead += hours(60);
  const std::string young = send();
  look_around();
  look_around();
  expect_says(answer(old), "request.expired: no officers signed it within 2 days");
  ASSERT_TRUE(waits(young)) << journal_;
  // Again with the same id: the same response, and nothing is signed.
  const std::string receipt = read_text(rig_.outbox(old) / "receipt.dsse.json");
  look_around();
  EXPECT_EQ(read_text(rig_.outbox(old) / "receipt.dsse.json"), receipt);
  // Delivered: kept for five days more, and then gone. What was not delivered stays.
  const auto mark = [&](const std::string& id, const std::string& of) {
    write_text(rig_.state() / "inbox" / (id + ".delivered"), crypto::sha256(base::as_bytes(of)).hex());
  };
  mark(signed_one, "another receipt");
  look_around();
  EXPECT_EQ(journal_.find("was delivered"), std::string::npos) << journal_;
  // Folders of such names, which nobody should leave there, do not hold it up.
  for (int i = 0; i < 20; ++i) write_text(rig_.state() / "inbox" / (std::to_string(i) + ".delivered") / "x", "");
  mark(signed_one, read_text(rig_.outbox(signed_one) / "receipt.dsse.json"));
  look_around();
  expect_says(journal_, "its response was delivered");
  EXPECT_TRUE(fs::is_empty(rig_.state() / "inbox"));
  EXPECT_TRUE(fs::exists(rig_.outbox(signed_one)));
  stop();
  AtTerminal terminal({program("coldseal-admin"), "--root", rig_.root(), "request", "withdraw", young.substr(0, 12), "--administrator", "uma", "--reason", "wrong branch"});
  terminal.expect("PIN of uma");
  terminal.type(ApplianceRig::administrators()[0].pin);
  EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
  start();
  look_around();
  expect_says(answer(young), "request.withdrawn: wrong branch");
  clock_.ahead += hours(24 * 6);
  look_around();
  EXPECT_FALSE(fs::exists(rig_.outbox(signed_one)));
  EXPECT_TRUE(fs::exists(rig_.outbox(old)));
  stop();
  start();   // and the log says all of it again
  EXPECT_FALSE(waits(young));
}

TEST_F(Upkeep, ARequestSentAgainLongAfterItsAnswerIsGoneIsToldSoAndNothingIsSignedTwice) {
  approve_rules("keep_days = 1\n", "");
  start();
  const ForgedRequest request(rig_, COLDSEAL_SAMPLE_DIR, folder_ / "host");
  const std::string id = request.id();
  const fs::path kept = folder_ / "kept";
  const auto send_again = [&] {
    fs::copy(kept, folder_ / id, fs::copy_options::recursive);
    fs::rename(folder_ / id, rig_.state() / "inbox" / id);
  };
  fs::copy(request.path(), kept, fs::copy_options::recursive);
  request.into_inbox();
  look_around();
  ASSERT_EQ(refusal_of_approval(id), "");
  ASSERT_EQ(refusal_of_pins(), "");
  const std::string signed_receipt = read_text(rig_.outbox(id) / "receipt.dsse.json");
  send_again();
  look_around();
  EXPECT_EQ(read_text(rig_.outbox(id) / "receipt.dsse.json"), signed_receipt);   // kept: the same again
  write_text(rig_.state() / "inbox" / (id + ".delivered"), crypto::sha256(base::as_bytes(signed_receipt)).hex());
  look_around();
  clock_.ahead += hours(30);
  look_around();
  ASSERT_FALSE(fs::exists(rig_.outbox(id))) << journal_;

  send_again();
  look_around();
  expect_says(answer(id), "request.answered: it was answered and delivered");
  const std::string told = read_text(rig_.outbox(id) / "receipt.dsse.json");
  send_again();
  look_around();
  EXPECT_EQ(read_text(rig_.outbox(id) / "receipt.dsse.json"), told);   // said once, however often it comes
  EXPECT_TRUE(fs::is_empty(rig_.state() / "inbox"));
  EXPECT_FALSE(waits(id));
  stop();
  start();   // that answer outlives a restart, and is cleaned up like any refusal
  EXPECT_EQ(read_text(rig_.outbox(id) / "receipt.dsse.json"), told);
  fs::last_write_time(rig_.outbox(id) / "receipt.dsse.json", fs::file_time_type::clock::now() - hours(48));
  look_around();
  EXPECT_FALSE(fs::exists(rig_.outbox(id)));
  const std::vector<std::string> events = rig_.audit_events();
  EXPECT_EQ(std::count(events.begin(), events.end(), "signed"), 1);
}

TEST_F(Upkeep, AResponseThatGoesIsNeverHalfThereUnderItsIdWhereverTheRemovalIsCutOff) {
  approve_rules("keep_days = 1\nclock_days = 3650\n", "");
  const fs::path package = folder_ / "broken";
  fs::copy(COLDSEAL_SAMPLE_DIR, package, fs::copy_options::recursive);
  fs::resize_file(package / "coldsample.sys", 200);   // refused by the inspection: no officer is needed
  Faults faults;
  faults.let_the_clock_run(10);
  rig_.run_daemon_under(faults);
  std::size_t last = 1;
  for (std::size_t at = 1; at <= last; ++at) {
    SCOPED_TRACE(at);
    rig_.start_daemon();
    const std::string id = send(package);
    rig_.wait_for_response(id);
    const auto whole = all_files(rig_.outbox(id));
    last = whole.size() + 1;   // each file, and the folder
    ASSERT_GE(last, 3U);
    const fs::path mark = rig_.state() / "inbox" / (id + ".delivered");
    write_text(folder_ / "mark", crypto::sha256(whole.at("receipt.dsse.json")).hex());
    fs::rename(folder_ / "mark", mark);
    rig_.wait_for_journal(id, "its response was delivered");
    wait_until("the mark is gone", [&] { return fs::is_empty(rig_.state() / "inbox"); });   // under its other name, too: that is a removal
    faults.arm(at, FaultDeed::kill, mask_of(FaultKind::remove));
    faults.let_the_machines_clock_be_ahead(hours(48) * static_cast<int>(at));
    wait_until("coldseald dies", [&] { return !rig_.daemon().is_running(); });
    EXPECT_EQ(faults.struck(), 1U) << faults.what();
    EXPECT_TRUE(!fs::exists(rig_.outbox(id)) || all_files(rig_.outbox(id)) == whole);
    faults.disarm();
    rig_.daemon().kill();
    rig_.stop_daemon();
    rig_.start_daemon();
    EXPECT_TRUE(fs::is_empty(rig_.state() / "outbox"));
    rig_.stop_daemon();
  }
}

TEST_F(Upkeep, WhatDoesNotFitIntoTheSpoolStaysInTheInboxAndWhatNeverFitsIsRefused) {
  std::uintmax_t bytes = 0;
  for (const auto& file : fs::recursive_directory_iterator(COLDSEAL_SAMPLE_DIR))
    if (file.is_regular_file()) bytes += file.file_size();
  const std::uintmax_t mebibyte = 1U << 20;
  // Each about 2/3 of the room.
  const auto package = [&](const std::string& name, std::uintmax_t size) {
    fs::copy(COLDSEAL_SAMPLE_DIR, folder_ / name, fs::copy_options::recursive);
    std::ofstream(folder_ / name / "coldsample.sys", std::ios::binary | std::ios::app) << std::string(size - bytes, '\0');
    return folder_ / name;
  };
  ASSERT_LT(bytes, mebibyte / 2);
  const fs::path fits = package("fits", 2 * mebibyte / 3);
  approve_rules("spool_mib = 1\n", "");
  start();
  const std::string first = send(fits);
  look_around();
  const std::string second = send(fits);
  const std::string never = send(package("never", mebibyte + 1));
  look_around();
  EXPECT_TRUE(waits(first)) << journal_;
  EXPECT_FALSE(waits(second));
  EXPECT_TRUE(fs::exists(rig_.state() / "inbox" / second));
  expect_says(journal_, "it stays in the inbox until others are answered");
  expect_says(answer(never), "spool.quota: files of");
  stop();
  start();   // what is taken is known after a restart, too
  look_around();
  EXPECT_FALSE(waits(second));
  ASSERT_EQ(refusal_of_approval(first), "");
  ASSERT_EQ(refusal_of_pins(), "");
  look_around();
  EXPECT_TRUE(waits(second)) << journal_;
}

TEST_F(Upkeep, HoweverLongAReasonIsTheAnswerIsMadeAndNoOtherWaitsForIt) {
  start();
  // What a submitter's manifest quotes back at us, and what an officer's terminal let through.
  const ForgedRequest strange(rig_, COLDSEAL_SAMPLE_DIR, folder_ / "strange");
  ForgedRequest stranger = strange;
  const std::string& payload = strange.payload();
  stranger.sign_payload(payload.substr(0, payload.size() - 1) + ",\"" + std::string(70000, 'z') + "\":1}");
  stranger.into_inbox();
  const std::string good = send();
  look_around();
  expect_says(answer(stranger.id()), "[...]");
  EXPECT_TRUE(waits(good)) << journal_;
  EXPECT_TRUE(fs::is_empty(rig_.state() / "inbox"));
  const TestOfficer& ada = ApplianceRig::officers()[0];
  const auto rejected = workflow_->reject(good, ada.name, base::SecretBytes::copy_of(base::as_bytes(ada.pin)), std::string(base::limits::kNoteBytes, '\x01'));
  ASSERT_TRUE(rejected) << rejected.error().text();
  expect_says(answer(good), "\\x01");
  // And it holds for a verifier that shares nothing with ours.
  const std::string judged = run_well({"python3", fs::path(COLDSEAL_TEST_DATA_DIR).parent_path() / "interop/verify_receipt.py", rig_.outbox(good) / "receipt.dsse.json",
                                       rig_.trust() / "receipt-key.pem", rig_.outbox(good) / "files"});
  expect_says(judged, "nothing was signed: rejected");
  stop();
  const std::vector<std::string> events = rig_.audit_events();
  EXPECT_EQ(std::count(events.begin(), events.end(), "intake-refused"), 1);
  const Finished withdrawn = admin({"request", "withdraw", good.substr(0, 12), "--administrator", "uma", "--reason", std::string(base::limits::kNoteBytes, 'r')});
  EXPECT_EQ(withdrawn.status, 2) << withdrawn.output;
  expect_says(withdrawn.output, "--reason: UTF-8 of at most 1000 bytes wanted");
}

// A mount stands for what coldseald may not remove: a folder of the courier's that its group cannot write to.
class MountedFolder {
 public:
  explicit MountedFolder(const fs::path& folder) : folder_(folder) {
    fs::create_directories(folder);
    mounted_ = ::mount("tmpfs", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=64k") == 0;
  }
  ~MountedFolder() { end(folder_); }
  bool there() const { return mounted_; }
  void end(const fs::path& now_at) {
    if (mounted_) mounted_ = ::umount2(now_at.c_str(), MNT_DETACH) != 0;
  }

 private:
  fs::path folder_;
  bool mounted_ = false;
};

TEST_F(Upkeep, ARequestThatCannotBeRemovedFromTheInboxIsRefusedOnceAndKeepsItsReason) {
  start();
  const fs::path inbox = rig_.state() / "inbox";
  const std::string wholly(64, 'a');   // itself a mount: it cannot even be renamed
  const std::string partly(64, 'b');   // can be renamed, but not removed
  MountedFolder first(inbox / wholly);
  MountedFolder second(inbox / partly / "mount");
  if (!first.there() || !second.there()) GTEST_SKIP() << "a mount needs root";
  for (const std::string& id : {wholly, partly}) write_text(inbox / id / "request.dsse.json", "{}");
  for (int i = 0; i < 5; ++i) look_around();
  for (const std::string& id : {wholly, partly}) {
    EXPECT_EQ(rig_.audit_events(id), std::vector<std::string>{"intake-refused"}) << journal_;
    expect_says(answer(id), "request.dsse.json: ");
  }
  EXPECT_TRUE(fs::exists(inbox / wholly));
  EXPECT_FALSE(fs::exists(inbox / partly));
  first.end(inbox / wholly);
  second.end(inbox / (partly + ".gone") / "mount");
  look_around();
  EXPECT_TRUE(fs::is_empty(inbox)) << journal_;
}

TEST_F(Upkeep, OfRefusalsAtTheDoorTheNewestAreKeptAndAFloodOfThemTakesNoMoreOfTheDisk) {
  start();   // without keep_days
  const std::string waiting = send();
  const std::string rejected = send();
  look_around();
  ASSERT_TRUE(waits(waiting)) << journal_;
  const TestOfficer& ada = ApplianceRig::officers()[0];
  const auto done = workflow_->reject(rejected, ada.name, base::SecretBytes::copy_of(base::as_bytes(ada.pin)), "no");
  ASSERT_TRUE(done) << done.error().text();
  const auto now = fs::file_time_type::clock::now();
  fs::last_write_time(rig_.outbox(rejected) / "receipt.dsse.json", now - hours(9000));   // older than any refusal: it is no refusal at the door
  // As many as are kept, from older days, and three that come now.
  const auto id_of = [](std::size_t number) { return fmt::format("{:064x}", number); };
  for (std::size_t i = 0; i < base::limits::kRefusalsKept; ++i) {
    const fs::path receipt = rig_.outbox(id_of(i)) / "receipt.dsse.json";
    write_text(receipt, "{}");
    fs::last_write_time(receipt, now - hours(1000 - static_cast<int>(i)));
  }
  look_around();
  EXPECT_TRUE(fs::exists(rig_.outbox(id_of(0)))) << journal_;   // not one too many yet
  for (const char letter : {'a', 'b', 'c'}) write_text(rig_.state() / "inbox" / std::string(64, letter) / "request.dsse.json", "{}");
  look_around();
  look_around();
  for (const char letter : {'a', 'b', 'c'}) EXPECT_TRUE(fs::exists(rig_.outbox(std::string(64, letter)))) << journal_;
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(fs::exists(rig_.outbox(id_of(i))), i >= 3) << i;
  EXPECT_TRUE(fs::exists(rig_.outbox(rejected)));
  EXPECT_TRUE(waits(waiting));
  const std::string said = "of more than 500 refusals at the door the oldest 3 are not kept any more";
  expect_says(journal_, said);
  stop();
  expect_says(read_text(rig_.state() / "log/audit.jsonl"), said);
  start();   // a log with that line is read like any other
  EXPECT_TRUE(waits(waiting));
}

TEST_F(Upkeep, SubmittersAreToldOfTheirFilesByTheirPathsInTheRequest) {
  start();
  const std::string id = send();
  workflow_->take_in();
  const fs::path file = rig_.state() / "spool" / id / "files/coldsample.sys";
  fs::remove(file);
  fs::create_symlink("/etc/passwd", file);
  look_around();
  expect_says(answer(id), "files/coldsample.sys: a symbolic link");
  EXPECT_EQ(answer(id).find(rig_.root().string()), std::string::npos) << answer(id);
}

}  // namespace
}  // namespace tests
