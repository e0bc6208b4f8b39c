// Officers at more than one console, and a TPM or a daemon that goes away under them.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

class Consoles : public testing::Test {
 protected:
  Consoles() : rig_(folder_.path()) {
    rig_.provision();
    rig_.start_daemon();
  }

  std::string waiting_request() {
    const ForgedRequest request(rig_, COLDSEAL_SAMPLE_DIR, folder_ / ("host-" + std::to_string(++count_)));
    request.into_inbox();
    rig_.wait_for_journal(request.id(), "waits for the officers");
    return request.id();
  }
  static void begin(AtTerminal& console) {
    console.type("a");
    console.expect("type yes");
    console.type("yes");
  }
  static void enter(AtTerminal& console, const TestOfficer& officer) {
    console.type(officer.name);
    console.expect("PIN of " + officer.name);
    console.type(officer.pin);
  }
  static void reject(AtTerminal& console, const TestOfficer& officer, const std::string& pin) {
    console.type("r");
    console.expect("reason");
    console.type("not this one");
    console.expect("officer:");
    console.type(officer.name);
    console.expect("PIN of " + officer.name);
    console.type(pin);
  }
  std::size_t count(const std::string& id, const std::string& event) {
    const auto events = rig_.audit_events(id);
    return static_cast<std::size_t>(std::count(events.begin(), events.end(), event));
  }

  const TestOfficer& ada_ = ApplianceRig::officers()[0];
  const TestOfficer& ben_ = ApplianceRig::officers()[1];
  TempDir folder_;
  ApplianceRig rig_;
  int count_ = 0;
};

TEST_F(Consoles, APinNeverGoesToARequestThatIsNotOnItsScreen) {
  const std::string first = waiting_request();
  const std::string second = waiting_request();
  const auto here = rig_.open_request(first);
  const auto there = rig_.open_request(first);
  begin(*here);
  here->expect("officer (");
  // At the other console the request is rejected, and another one's approval begins.
  reject(*there, ben_, ben_.pin);
  there->expect("is rejected");
  there->expect("number to read a request");
  there->type("1");
  there->expect("a to approve");
  begin(*there);
  there->expect("officer (");
  enter(*here, ada_);
  here->expect("not done: no approval is going on at this console any more");
  here->expect("number to read a request");
  EXPECT_EQ(count(second, "approved-by"), 0U);
  // Nor does the first console's leaving end the other's sitting.
  here->type("q");
  EXPECT_EQ(here->wait(), 0);
  enter(*there, ada_);
  there->expect("approved by ada");
  there->expect("officer (");
  enter(*there, ben_);
  there->expect("is signed");
  EXPECT_EQ(count(second, "approved-by"), 2U);
  EXPECT_EQ(count(second, "returned-to-waiting"), 0U);
}

TEST_F(Consoles, ASecondApprovalHasToWaitAndSaysSo) {
  const std::string first = waiting_request();
  const std::string second = waiting_request();
  const auto here = rig_.open_request(first);
  const auto there = rig_.open_request(second);
  begin(*here);
  here->expect("officer (");
  begin(*there);
  there->expect("not done: something else is being approved; one at a time");
  there->expect("number to read a request");
  enter(*here, ada_);
  here->expect("approved by ada");
}

TEST_F(Consoles, ARejectionThatFailsLeavesTheApprovalGoingOn) {
  const std::string id = waiting_request();
  const auto console = rig_.open_request(id);
  begin(*console);
  console->expect("officer (");
  reject(*console, ben_, "000000");
  console->expect("not done: ");
  console->expect("officer (");
  console->type("r");
  console->expect("reason");
  console->type("");
  console->expect("a rejection needs a reason");
  console->expect("officer (");
  enter(*console, ada_);
  console->expect("approved by ada");
  console->expect("officer (");
  enter(*console, ben_);
  console->expect("is signed");
}

TEST_F(Consoles, ATpmThatGoesAwayDuringARejectionLeavesTheRequestWaiting) {
  const std::string id = waiting_request();
  {
    const auto console = rig_.open_request(id);
    begin(*console);
    console->expect("officer (");
    rig_.tpm().kill();
    reject(*console, ben_, ben_.pin);
    console->expect("not done: ");
  }
  wait_until("the request waits again", [&] { return rig_.audit_events(id).back() == "returned-to-waiting"; });
  rig_.tpm().start();
  rig_.approve(id, {ada_, ben_});
  rig_.wait_for_response(id);
}

TEST_F(Consoles, WhatIsTypedWronglyCostsNothing) {
  const std::string id = waiting_request();
  const auto console = rig_.open_request(id);
  begin(*console);
  console->expect("officer (");
  console->type(std::string(100, 'a'));
  console->expect("that is not an officer's name");
  console->expect("officer (");
  console->type("ada");
  console->expect("PIN of ada");
  console->type("");
  console->expect("no PIN was typed");
  console->expect("officer (");
  console->type("ada");
  console->expect("PIN of ada");
  console->type(std::string(33, '1'));
  console->expect("too long: at most 32 characters");
  console->expect("officer (");
  EXPECT_EQ(count(id, "approval-failed"), 0U);
  enter(*console, ada_);
  console->expect("approved by ada");
}

TEST_F(Consoles, ControlCAtThePinPromptEndsTheSittingAndTheEchoComesBack) {
  const std::string id = waiting_request();
  const auto console = rig_.open_request(id);
  begin(*console);
  console->expect("officer (");
  console->type(ada_.name);
  console->expect("PIN of ada");
  wait_until("the echo is off", [&] { return !console->echoes(); });
  console->type("31\x03");
  wait_until("the request waits again", [&] { return rig_.audit_events(id).back() == "returned-to-waiting"; });
  EXPECT_TRUE(console->echoes());
  EXPECT_EQ(console->wait(), 128 + SIGINT);
}

TEST_F(Consoles, ADaemonThatStopsIsSaidAtTheConsole) {
  const std::string id = waiting_request();
  const auto console = rig_.open_request(id);
  begin(*console);
  console->expect("officer (");
  rig_.stop_daemon();
  EXPECT_EQ(rig_.audit_events(id).back(), "returned-to-waiting");
  enter(*console, ada_);
  console->expect("coldseald has ended the conversation");
  EXPECT_EQ(console->wait(), 1);
  const Finished without = run({program("coldseal-console"), "--root", rig_.root()});
  EXPECT_EQ(without.status, 1);
  EXPECT_NE(without.output.find("is coldseald running?"), std::string::npos) << without.output;
}

TEST_F(Consoles, APinIsNotTakenFromAPipe) {
  const std::string id = waiting_request();
  const Finished piped = run({program("coldseal-console"), "--root", rig_.root()}, "1\na\nyes\nada\n314159\n\nq\n");
  EXPECT_NE(piped.output.find("a PIN is typed at a terminal, not piped in"), std::string::npos) << piped.output;
  EXPECT_EQ(count(id, "approved-by"), 0U);
  EXPECT_EQ(count(id, "approval-failed"), 0U);
}

}  // namespace
}  // namespace tests
