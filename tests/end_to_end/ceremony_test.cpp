// The ceremony, and what administrators do afterwards, with the real programs and people at pseudo-terminals.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

class Ceremony : public testing::Test {
 protected:
  Finished admin(const Command& words) const {
    Command command{program("coldseal-admin"), "--root", rig_.root()};
    command.insert(command.end(), words.begin(), words.end());
    return run(command);
  }
  fs::path transcript() const { return rig_.state() / "ceremony/transcript.json"; }
  TempDir folder_;
  ApplianceRig rig_{folder_ / "rig"};
};

TEST_F(Ceremony, LeavesATranscriptThatHoldsAndNoticesEveryChange) {
  rig_.prepare();
  rig_.prepare_ceremony();
  rig_.run_ceremony();
  const Finished good = run({program("coldseal"), "verify-transcript", transcript()});
  EXPECT_EQ(good.status, 0) << good.output;
  for (const char* words : {"the transcript holds", "officers of \"release\": 2 of 3", "administrators: 2 of 3", "key \"release\" was born in this TPM",
                            "1 officers cannot sign, 2 can", "development mode"})
    EXPECT_NE(good.output.find(words), std::string::npos) << words << "\n" << good.output;
  // A name, a quorum, a key: each is under the quote.
  const std::string text = read_text(transcript());
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string other = text;
    const std::size_t at = other.find(from);
    if (at == std::string::npos) throw std::runtime_error("not in the transcript: " + from);
    other.replace(at, from.size(), to);
    write_text(folder_ / "changed.json", other);
    return run({program("coldseal"), "verify-transcript", folder_ / "changed.json"});
  };
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"\"name\":\"ada\"", "\"name\":\"eve\""}, {"\"quorum\":2", "\"quorum\":1"}, {"\"floor\":1", "\"floor\":0"},
                                 {"\"mode\":\"development\"", "\"mode\":\"production\""}}) {
    const Finished bad = changed(from, to);
    EXPECT_EQ(bad.status, 1) << bad.output;
    EXPECT_NE(bad.output.find("WRONG"), std::string::npos) << bad.output;
  }
  EXPECT_EQ(admin({"ceremony", "run", rig_.ceremony_file()}).status, 1);   // it is over
}

TEST_F(Ceremony, GoesOnAfterPowerCuts) {
  rig_.prepare();
  rig_.prepare_ceremony();
  {   // the power goes while the second administrator types
    const auto terminal = rig_.begin_ceremony();
    terminal->expect("uma: new PIN");
    terminal->type(ApplianceRig::administrators()[0].pin);
    terminal->expect("uma: the same PIN again");
    terminal->type(ApplianceRig::administrators()[0].pin);
    terminal->expect("vic: new PIN");
  }
  rig_.tpm().power_cut();
  {   // and while the officers show that their quorum holds
    const auto terminal = rig_.begin_ceremony();
    for (const TestOfficer& person : {ApplianceRig::administrators()[1], ApplianceRig::administrators()[2], ApplianceRig::officers()[0],
                                      ApplianceRig::officers()[1], ApplianceRig::officers()[2]}) {
      terminal->expect(person.name + ": new PIN");
      terminal->type(person.pin);
      terminal->expect(person.name + ": the same PIN again");
      terminal->type(person.pin);
    }
    terminal->expect("officer (2 more needed");
  }
  rig_.tpm().power_cut();
  const auto terminal = rig_.begin_ceremony();
  ApplianceRig::approve_as(*terminal, "officer (", {ApplianceRig::officers()[0], ApplianceRig::officers()[1]});
  EXPECT_EQ(terminal->wait(), 0) << terminal->screen();
  EXPECT_EQ(run({program("coldseal"), "verify-transcript", transcript()}).status, 0);
}

TEST_F(Ceremony, RefusesATpmThatIsNotEmpty) {
  rig_.prepare();
  rig_.prepare_ceremony();
  rig_.run_ceremony();
  fs::remove_all(rig_.state());
  const auto terminal = rig_.begin_ceremony();
  EXPECT_EQ(terminal->wait(), 1) << terminal->screen();
  EXPECT_NE(terminal->screen().find("has a password already"), std::string::npos) << terminal->screen();
}

class Administrators : public testing::Test {
 protected:
  Administrators() {
    rig_.prepare();
    rig_.prepare_ceremony();
    rig_.run_ceremony();
  }
  std::string status() const { return run_well({program("coldseal-admin"), "--root", rig_.root(), "status"}); }
  TempDir folder_;
  ApplianceRig rig_{folder_ / "rig"};
  const std::vector<TestOfficer> two{ApplianceRig::administrators()[2], ApplianceRig::administrators()[0]};
};

TEST_F(Administrators, ReplaceAnOfficerUnlockOneAndChangeTheFloor) {
  const TestOfficer dan{"dan", "662607"};
  rig_.administer({"officer", "replace", "ben", "dan", "--key-class", "release"}, two, [&](AtTerminal& terminal) {
    terminal.expect("dan: new PIN");
    terminal.type(dan.pin);
    terminal.expect("dan: the same PIN again");
    terminal.type(dan.pin);
  });
  const std::string after = status();
  EXPECT_NE(after.find("dan"), std::string::npos) << after;
  EXPECT_EQ(after.find("ben"), std::string::npos) << after;
  rig_.administer({"unlock", "dan", "--key-class", "release"}, two);
  rig_.approve_firmware(4, folder_ / "four.toml");
  run_well({program("coldseal-admin"), "--root", rig_.root(), "firmware", "approve", folder_ / "four.toml"});
  rig_.administer({"floor", "3"}, two);
  EXPECT_NE(status().find("0000000000000003"), std::string::npos);
  const Finished lower = run({program("coldseal-admin"), "--root", rig_.root(), "floor", "2"});
  EXPECT_EQ(lower.status, 1) << lower.output;
  const Finished too_high = run({program("coldseal-admin"), "--root", rig_.root(), "floor", "9"});
  EXPECT_EQ(too_high.status, 1) << too_high.output;
  const std::vector<std::string> events = rig_.audit_events();
  EXPECT_EQ(std::count(events.begin(), events.end(), "administration"), 3);
}

TEST_F(Administrators, ApproveTheConfigurationBeforeItIsUsed) {
  const fs::path file = rig_.root() / "etc/coldseal/coldseal.toml";
  write_text(file, read_text(file) + "# changed\n");
  const Finished refused = run({program("coldseald"), "--root", rig_.root()});
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_NE(refused.output.find("not the one that administrators approved"), std::string::npos) << refused.output;
  rig_.administer({"configuration", "approve"}, two);
  rig_.start_daemon();
  rig_.stop_daemon();
}

TEST_F(Administrators, AcceptALogThatWasCutOnlyTogetherAndForEver) {
  rig_.administer({"unlock", "ada", "--key-class", "release"}, two);
  const fs::path log = rig_.state() / "log/audit.jsonl";
  fs::remove(log);
  const Finished refused = run({program("coldseald"), "--root", rig_.root()});
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_NE(refused.output.find("lines are missing"), std::string::npos) << refused.output;
  rig_.administer({"log", "rebaseline"}, two);
  rig_.start_daemon();
  rig_.stop_daemon();
  const std::vector<std::string> events = rig_.audit_events();
  EXPECT_EQ(std::count(events.begin(), events.end(), "rebaselined"), 2);
}

TEST_F(Administrators, WipeTogether) {
  Command command{program("coldseal-admin"), "--root", rig_.root(), "wipe"};
  AtTerminal terminal(command);
  terminal.expect("type wipe");
  terminal.type("wipe");
  ApplianceRig::approve_as(terminal, "administrator (", two);
  EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
  const Finished gone = run({program("coldseald"), "--root", rig_.root()});
  EXPECT_NE(gone.status, 0);
}

}  // namespace
}  // namespace tests
