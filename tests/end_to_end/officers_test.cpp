// Officers, interruptions and a TPM that fails: what can happen between a request's arrival and its signature.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <regex>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

const TestOfficer& kAda = ApplianceRig::officers()[0];
const TestOfficer& kBen = ApplianceRig::officers()[1];
const TestOfficer& kCay = ApplianceRig::officers()[2];

class Officers : public testing::Test {
 protected:
  Officers() : rig_(folder_.path()) {
    rig_.provision();
    rig_.start_daemon();
  }

  std::string waiting_request() {
    const ForgedRequest request(rig_, COLDSEAL_SAMPLE_DIR, folder_ / ("host-" + std::to_string(++count_)));
    request.into_inbox();
    rig_.wait_for_journal(request.id(), "waits for the officers");
    return request.id();
  }

  // A console where the sitting has begun and the first officer is asked for.
  std::unique_ptr<AtTerminal> begin(const std::string& id) {
    auto console = rig_.open_request(id);
    console->type("a");
    console->expect("type yes");
    console->type("yes");
    console->expect("officer (");
    return console;
  }

  static void enter(AtTerminal& console, const std::string& name, const std::string& pin) {
    console.type(name);
    console.expect("PIN of " + name);
    console.type(pin);
  }

  bool has_event(const std::string& id, const std::string& event) {
    const auto events = rig_.audit_events(id);
    return std::find(events.begin(), events.end(), event) != events.end();
  }

  TempDir folder_;
  ApplianceRig rig_;
  int count_ = 0;
};

TEST_F(Officers, OneAloneOrOneTwiceOrAStrangerSignsNothing) {
  const std::string id = waiting_request();
  const auto console = begin(id);
  enter(*console, "ada", kAda.pin);
  console->expect("approved by ada");
  console->expect("1 more of: ben, cay");
  enter(*console, "ada", kAda.pin);
  console->expect("not done: ada has approved already");
  enter(*console, "mallory", "000000");
  console->expect("not done: ");
  console->expect("officer (");
  EXPECT_FALSE(fs::exists(rig_.outbox(id)));
  console->type("");
  console->expect("the request waits again");
  EXPECT_FALSE(has_event(id, "signing"));
  EXPECT_TRUE(has_event(id, "returned-to-waiting"));
  rig_.approve(id, {kBen, kCay});
  rig_.wait_for_response(id);
}

TEST_F(Officers, AWrongPinCountsDownAndIsLogged) {
  const std::string id = waiting_request();
  const auto console = begin(id);
  for (const char* const left : {"4 tries left", "3 tries left"}) {
    enter(*console, "ada", "999999");
    console->expect(left);
    console->expect("officer (");
  }
  enter(*console, "ada", kAda.pin);
  console->expect("approved by ada");
  console->expect("officer (");
  enter(*console, "cay", kCay.pin);
  console->expect("is signed");
  const auto events = rig_.audit_events(id);
  EXPECT_EQ(std::count(events.begin(), events.end(), "approval-failed"), 2);
}

// As digits of its own: six digits in a row do turn up in digests, of themselves.
bool holds_pin(const std::string& text, const std::string& pin) { return std::regex_search(text, std::regex("(^|[^0-9a-f])" + pin + "([^0-9a-f]|$)")); }

TEST_F(Officers, APinIsNeitherShownNorLogged) {
  const std::string id = waiting_request();
  const auto console = begin(id);
  enter(*console, "ada", kAda.pin);
  console->expect("approved by ada");
  EXPECT_TRUE(holds_pin("PIN of ada: " + kAda.pin + "\n", kAda.pin));   // as it would be seen
  EXPECT_FALSE(holds_pin(console->screen(), kAda.pin));
  EXPECT_FALSE(holds_pin(rig_.daemon().log(), kAda.pin));
  EXPECT_FALSE(holds_pin(read_text(rig_.state() / "log/audit.jsonl"), kAda.pin));
}

TEST_F(Officers, ARejectionGoesBackWithItsReason) {
  const std::string id = waiting_request();
  const auto console = rig_.open_request(id);
  console->type("r");
  console->expect("reason");
  console->type("the driver's version is last year's");
  console->expect("officer:");
  enter(*console, "ben", kBen.pin);
  console->expect("is rejected");
  rig_.wait_for_response(id);
  const Finished verified = run({program("coldseal"), "verify", rig_.outbox(id), "--receipt", rig_.outbox(id) / "receipt.dsse.json",
                                 "--trust", rig_.trust()});
  EXPECT_EQ(verified.status, 1) << verified.output;
  EXPECT_NE(verified.output.find("the driver's version is last year's"), std::string::npos) << verified.output;
  EXPECT_FALSE(fs::exists(rig_.outbox(id) / "files"));
  EXPECT_EQ(rig_.audit_events(id).back(), "delivered-to-outbox");
}

TEST_F(Officers, AConsoleThatGoesAwayMidApprovalLeavesTheRequestWaiting) {
  const std::string id = waiting_request();
  {
    const auto console = begin(id);
    enter(*console, "ada", kAda.pin);
    console->expect("approved by ada");
    console->hang_up();
    wait_until("the sitting has ended", [&] { return has_event(id, "returned-to-waiting"); });
  }
  EXPECT_FALSE(fs::exists(rig_.outbox(id)));
  rig_.approve(id, {kBen, kCay});   // ada's approval is gone with the sitting: two others are needed
  rig_.wait_for_response(id);
}

TEST_F(Officers, ATpmThatGoesAwayMidApprovalSignsNothingAndIsUsedAgainWhenItIsBack) {
  const std::string id = waiting_request();
  {
    const auto console = begin(id);
    rig_.tpm().kill();
    enter(*console, "ada", kAda.pin);
    console->expect("not done: ");
    console->expect("number to read a request");
    console->type("q");
    EXPECT_EQ(console->wait(), 0);
  }
  EXPECT_TRUE(rig_.daemon().is_running());
  EXPECT_TRUE(has_event(id, "returned-to-waiting"));
  EXPECT_FALSE(fs::exists(rig_.outbox(id)));
  rig_.tpm().start();
  rig_.approve(id, {kAda, kBen});
  rig_.wait_for_response(id);
}

TEST_F(Officers, AKilledDaemonForgetsApprovalsAndKeepsRequests) {
  const std::string id = waiting_request();
  {
    const auto console = begin(id);
    enter(*console, "ada", kAda.pin);
    console->expect("approved by ada");
    rig_.daemon().kill();
  }
  rig_.stop_daemon();
  rig_.start_daemon();
  EXPECT_EQ(rig_.audit_events(id).back(), "returned-to-waiting");
  rig_.approve(id, {kCay, kBen});
  rig_.wait_for_response(id);
}

TEST_F(Officers, ARequestSeenBeforeGetsTheStoredResponseAndNoSecondSignature) {
  const Background courier = rig_.start_courier({"--stick", rig_.stick()});
  const std::string id = rig_.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", rig_.stick());
  rig_.wait_for_journal(id, "waits for the officers");
  rig_.approve(id, {kAda, kBen});
  const fs::path response = rig_.stick() / "coldseal/responses" / id;
  wait_until("the response is on the stick", [&] { return fs::exists(response); });
  const base::Bytes receipt = read_file(response / "receipt.dsse.json");
  const auto events = rig_.audit_events(id);

  // The same request on another stick, which has no response yet.
  const fs::path other = folder_ / "other-stick";
  fs::create_directories(other / "coldseal");
  fs::copy(rig_.stick() / "coldseal/requests", other / "coldseal/requests", fs::copy_options::recursive);
  const Background second = rig_.start_courier({"--stick", other});
  wait_until("the stored response is on the other stick", [&] { return fs::exists(other / "coldseal/responses" / id); });
  EXPECT_EQ(read_file(other / "coldseal/responses" / id / "receipt.dsse.json"), receipt);
  EXPECT_EQ(rig_.audit_events(id), events);
}

TEST_F(Officers, AFullStickGetsNoHalfResponseAndTheNextOneGetsItWhole) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can mount a small stick (tmpfs)";
  const fs::path small = folder_ / "small-stick";
  fs::create_directories(small);
  ASSERT_EQ(mount("none", small.c_str(), "tmpfs", 0, "size=64k"), 0);
  const std::string id = rig_.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", small);
  write_text(small / "holiday-pictures", std::string(26 << 10, 'x'));   // what is left is less than the response
  {
    Background courier = rig_.start_courier({"--stick", small});
    rig_.wait_for_journal(id, "waits for the officers");
    rig_.approve(id, {kAda, kBen});
    rig_.wait_for_response(id);
    courier.wait_for("full");
    EXPECT_FALSE(fs::exists(small / "coldseal/responses" / id));
    fs::remove(small / "holiday-pictures");
    wait_until("the response is on the stick that has room again", [&] { return fs::exists(small / "coldseal/responses" / id); });
  }
  EXPECT_EQ(read_file(small / "coldseal/responses" / id / "receipt.dsse.json"), read_file(rig_.outbox(id) / "receipt.dsse.json"));
  EXPECT_EQ(umount(small.c_str()), 0);
}

TEST_F(Officers, AnAlteredAuditLogStopsTheAppliance) {
  const std::string id = waiting_request();
  rig_.stop_daemon();
  const fs::path log = rig_.state() / "log/audit.jsonl";
  std::string text = read_text(log);
  const std::size_t at = text.find("build-1");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 7, "build-2");
  write_text(log, text);
  const Finished daemon = run({program("coldseald"), "--root", rig_.root()});
  EXPECT_EQ(daemon.status, 1);
  EXPECT_NE(daemon.output.find("the audit log was changed or damaged"), std::string::npos) << daemon.output;
}

}  // namespace
}  // namespace tests
