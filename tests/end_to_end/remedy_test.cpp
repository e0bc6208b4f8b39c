// What administrators put right at the officers' screen, while coldseald runs.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

const TestOfficer& kBlocked = ApplianceRig::officers()[0];
const std::vector<TestOfficer>& kUnlockers = ApplianceRig::administrators();

class AtTheConsole : public testing::Test {
 protected:
  void SetUp() override {
    rig_.provision();
    rig_.start_daemon();
  }
  std::string waiting_request() {
    const ForgedRequest request(rig_, COLDSEAL_SAMPLE_DIR, folder_ / ("host-" + std::to_string(++count_)));
    request.into_inbox();
    rig_.wait_for_journal(request.id(), "waits for the officers");
    return request.id();
  }
  void block_ada(const std::string& id) const {
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(rig_.try_to_approve(id, {{kBlocked.name, "999999"}}));
  }
  std::unique_ptr<AtTerminal> console() const {
    auto console = std::make_unique<AtTerminal>(Command{program("coldseal-console"), "--root", rig_.root()});
    console->expect("number to read a request");
    return console;
  }
  static void begin_to_unlock_ada(AtTerminal& console) {
    console.type("u");
    console.expect("who is blocked");
    console.type(kBlocked.name);
    console.expect("5 tries for " + kBlocked.name + " (key class release), the same PIN");
    console.expect("this box says: ");
    console.expect("administrator (Enter to stop)");
  }
  static void enter(AtTerminal& console, const TestOfficer& who) {
    console.type(who.name);
    console.expect("PIN of " + who.name);
    EXPECT_FALSE(console.echoes());
    console.type(who.pin);
  }
  std::vector<nlohmann::json> log_of(const std::string& event) const {
    std::vector<nlohmann::json> found;
    std::istringstream lines(read_text(rig_.state() / "log/audit.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      nlohmann::json parsed = nlohmann::json::parse(line);
      if (parsed.at("event") == event) found.push_back(std::move(parsed));
    }
    return found;
  }

  TempDir folder_;
  ApplianceRig rig_{folder_ / "rig"};
  int count_ = 0;
};

TEST_F(AtTheConsole, AdministratorsUnlockAnOfficerWhoThenApproves) {
  const std::string id = waiting_request();
  const auto first = console();
  first->type("u");
  first->expect("who is blocked");
  first->type(kBlocked.name);
  first->expect("not done: " + kBlocked.name + " is not blocked");
  block_ada(id);
  begin_to_unlock_ada(*first);
  enter(*first, {kUnlockers[0].name, "000000"});
  first->expect("not done: ");
  first->expect("administrator (Enter to stop)");
  enter(*first, kBlocked);   // no administrator
  first->expect("not done: ");
  first->expect("administrator (Enter to stop)");
  const std::size_t acts = log_of("administration").size();
  enter(*first, kUnlockers[0]);
  first->expect("approved by " + kUnlockers[0].name);
  first->expect("1 more of: ");
  first->expect("administrator (Enter to stop)");
  EXPECT_EQ(log_of("administration").size(), acts) << "one administrator is not enough";
  enter(*first, kUnlockers[0]);
  first->expect("has approved already");
  first->expect("administrator (Enter to stop)");
  enter(*first, kUnlockers[2]);
  first->expect("unlock " + kBlocked.name + ": done");
  const std::vector<nlohmann::json> logged = log_of("administration");
  ASSERT_EQ(logged.size(), acts + 1);
  EXPECT_EQ(logged.back().at("data").at("what"), "unlock " + kBlocked.name);
  EXPECT_EQ(logged.back().at("data").at("administrators"), kUnlockers[0].name + ", " + kUnlockers[2].name);
  const std::vector<nlohmann::json> failed = log_of("approval-failed");
  ASSERT_GE(failed.size(), 7U);
  EXPECT_EQ(failed[5].at("data").at("officer"), kUnlockers[0].name);
  EXPECT_EQ(failed[6].at("data").at("officer"), "nobody of that roster") << "what was typed as a name may be a PIN";
  rig_.approve(id, {kBlocked, ApplianceRig::officers()[1]});
  rig_.wait_for_response(id);
}

TEST_F(AtTheConsole, WhatAdministratorsStopOrLeaveIsNotDone) {
  const std::string id = waiting_request();
  block_ada(id);
  {
    const auto first = console();
    begin_to_unlock_ada(*first);
    enter(*first, kUnlockers[0]);
    first->expect("approved by ");
    first->expect("administrator (Enter to stop)");
    const auto second = console();   // one thing at a time
    second->type("u");
    second->expect("who is blocked");
    second->type(kBlocked.name);
    second->expect("not done: something else is being approved");
    second->expect("number to read a request");
    second->type("t");
    second->expect("not done: something is being approved");
    first->type("");
    first->expect("stopped; nothing was done");
    first->expect("number to read a request");
    begin_to_unlock_ada(*first);   // and the one who approved has to enter again
    enter(*first, kUnlockers[1]);
    first->expect("1 more of: ");
    first->hang_up();
  }
  const auto third = console();
  begin_to_unlock_ada(*third);
  third->type("");
  third->expect("stopped; nothing was done");
  EXPECT_FALSE(rig_.try_to_approve(id, {kBlocked, ApplianceRig::officers()[1]})) << "still blocked";
}

TEST_F(AtTheConsole, ATpmThatGoesAwayMeanwhileDoesNothingAndIsTakenUpAgain) {
  const std::string id = waiting_request();
  block_ada(id);
  const auto first = console();
  begin_to_unlock_ada(*first);
  rig_.tpm().kill();
  enter(*first, kUnlockers[0]);
  first->expect("not done: ");
  first->expect("number to read a request");
  rig_.tpm().start();
  begin_to_unlock_ada(*first);
  enter(*first, kUnlockers[0]);
  first->expect("approved by ");
  first->expect("administrator (Enter to stop)");
  enter(*first, kUnlockers[1]);
  first->expect("unlock " + kBlocked.name + ": done");
  rig_.approve(id, {kBlocked, ApplianceRig::officers()[1]});
  rig_.wait_for_response(id);
}

// Whoever stands at the screen may guess. Too few administrators for a quorum would be for ever.
TEST_F(AtTheConsole, GuessesNeverBlockSoManyAdministratorsThatNobodyCanUnlockThem) {
  const auto first = console();
  first->type("l");
  first->expect("administrator (Enter to stop)");
  const auto guess = [&](const TestOfficer& whose) {
    enter(*first, {whose.name, "999999"});
    first->expect("not done: ");
    first->expect("administrator (Enter to stop)");
  };
  for (int i = 0; i < 5; ++i) guess(kUnlockers[0]);   // one may be blocked: two are left
  for (int i = 0; i < 4; ++i) guess(kUnlockers[1]);
  enter(*first, {kUnlockers[1].name, "999999"});
  first->expect("has one try left");
  first->expect("use coldseal-admin");
  first->expect("administrator (Enter to stop)");
  first->type("");
  first->expect("number to read a request");
  rig_.stop_daemon();
  // At coldseal-admin, which needs root on the box, the last try counts.
  rig_.administer({"administrator", "unlock", kUnlockers[0].name}, {kUnlockers[1], kUnlockers[2]});
}

TEST_F(AtTheConsole, AnAdministratorIsUnlockedByTheOthersAndAPowerCutInBetweenDoesNothing) {
  auto first = console();
  first->type("l");
  first->expect("administrator (Enter to stop)");
  for (int i = 0; i < 5; ++i) {
    enter(*first, {kUnlockers[0].name, "999999"});
    first->expect("not done: ");
    first->expect("administrator (Enter to stop)");
  }
  first->type("");
  first->expect("number to read a request");
  const auto begin = [](AtTerminal& console) {
    console.type("u");
    console.expect("who is blocked");
    console.type(kUnlockers[0].name);
    console.expect("5 tries for " + kUnlockers[0].name + " (administrators), the same PIN");
    console.expect("administrator (Enter to stop)");
    enter(console, kUnlockers[1]);
    console.expect("1 more of: ");
  };
  begin(*first);
  const std::size_t acts = log_of("administration").size();
  rig_.daemon().kill();
  std::filesystem::remove(rig_.root() / "run/coldseal/console.sock");   // or the rig takes it for the new one's
  rig_.start_daemon();
  EXPECT_EQ(log_of("administration").size(), acts);
  first = console();
  begin(*first);
  first->expect("administrator (Enter to stop)");
  enter(*first, kUnlockers[2]);
  first->expect("unlock " + kUnlockers[0].name + ": done");
}

TEST_F(AtTheConsole, NobodysNameIsNotUnlocked) {
  const auto first = console();
  first->type("u");
  first->expect("who is blocked");
  first->type("mallory");
  first->expect("not done: nobody is called \"mallory\"");
  first->expect("number to read a request");
  first->type("u");
  first->expect("who is blocked");
  first->type("");
  first->expect("number to read a request");
}

TEST_F(AtTheConsole, SomebodyWhoLooksAtTheApplianceDisturbsNoAdministratorsEvenWhenTheTpmHasGone) {
  const auto first = console();
  first->type("l");
  first->expect("administrator (Enter to stop)");
  rig_.tpm().kill();
  const Finished looked = run({program("coldseal-admin"), "--root", rig_.root(), "status"});
  EXPECT_NE(looked.output.find("not asked while"), std::string::npos) << looked.output;
  enter(*first, kUnlockers[0]);
  first->expect("not done: ");
  first->expect("number to read a request");
  EXPECT_TRUE(rig_.daemon().is_running()) << rig_.daemon().log();
  rig_.tpm().start();
  first->type("l");
  first->expect("administrator (Enter to stop)");
}

}  // namespace
}  // namespace tests
