// What administrators and officers do with coldseal-admin, and what the officers at the console notice of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "crypto/certificate.hpp"
#include "crypto/transparency/anchored_lines.hpp"
#include "tests/support/appliance_rig.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

const TestOfficer kOfficerAda = ApplianceRig::officers()[0];
const TestOfficer kOfficerBen = ApplianceRig::officers()[1];
const TestOfficer kOfficerCay = ApplianceRig::officers()[2];
const TestOfficer kOfficerDan{"dan", "662607"};

class AdministratorActs : public testing::Test {
 protected:
  AdministratorActs() { rig_.provision(); }
  Command words(const Command& more) const {
    Command command{program("coldseal-admin"), "--root", rig_.root()};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  Finished admin(const Command& more) const { return run(words(more)); }
  std::string status() const { return rig_.status(); }
  static std::function<void(AtTerminal&)> chooses(const TestOfficer& person) {
    return [person](AtTerminal& terminal) {
      terminal.expect(person.name + ": new PIN");
      terminal.type(person.pin);
      terminal.expect(person.name + ": the same PIN again");
      terminal.type(person.pin);
    };
  }
  std::string waiting_request() {
    const ForgedRequest request(rig_, COLDSEAL_SAMPLE_DIR, folder_ / ("host-" + std::to_string(++count_)));
    request.into_inbox();
    rig_.wait_for_journal(request.id(), "waits for the officers");
    return request.id();
  }
  // With coldseald running just for this.
  bool signs(const std::vector<TestOfficer>& who) {
    rig_.start_daemon();
    const bool done = rig_.try_to_approve(waiting_request(), who);
    rig_.stop_daemon();
    return done;
  }
  std::ptrdiff_t count(const std::string& event) const {
    const auto events = rig_.audit_events();
    return std::count(events.begin(), events.end(), event) - (event == "administration" ? 3 : 0);   // the submitter, the certificate request, the certificate
  }

  TempDir folder_;
  ApplianceRig rig_{folder_ / "rig"};
  const std::vector<TestOfficer> two{ApplianceRig::administrators()[2], ApplianceRig::administrators()[0]};
  int count_ = 0;
};

TEST_F(AdministratorActs, AnOfficerWhoWasAddedSignsAndOneWhoWasRemovedIsOutAtOnce) {
  rig_.administer({"officer", "add", "dan", "--key-class", "release"}, two, chooses(kOfficerDan));
  EXPECT_TRUE(signs({kOfficerDan, kOfficerAda}));
  // Ben's approval is worth something until the moment he is removed, and nothing after.
  EXPECT_TRUE(signs({kOfficerBen, kOfficerCay}));
  rig_.administer({"officer", "remove", "ben", "--key-class", "release"}, two);
  EXPECT_EQ(status().find("ben"), std::string::npos);
  EXPECT_FALSE(signs({kOfficerBen, kOfficerAda}));
  EXPECT_TRUE(signs({kOfficerCay, kOfficerDan}));
  EXPECT_EQ(count("administration"), 2);
  const Finished again = admin({"officer", "remove", "ben", "--key-class", "release"});
  EXPECT_EQ(again.status, 2) << again.output;
  EXPECT_NE(again.output.find("ben is not on this roster"), std::string::npos) << again.output;
}

// The power goes after the TPM took the new roster and before the files say so; then the TPM fails at whatever is read first.
TEST_F(AdministratorActs, ARosterThatThePowerCutLeftHalfChangedIsNeverLostAndSettledBeforeAnybodyNeedsIt) {
  const fs::path roster = rig_.state() / "keys/release/quorum.toml";
  const std::string before = read_text(roster);
  rig_.administer({"officer", "remove", "ben", "--key-class", "release"}, two);
  const std::string after = read_text(roster);
  write_text(roster.string() + ".next", after);
  write_text(roster, before);
  rig_.tpm().kill();
  EXPECT_EQ(admin({"lockout-reset"}).status, 1);
  rig_.tpm().start();
  EXPECT_EQ(read_text(roster.string() + ".next"), after) << "the only copy of what is in force";
  EXPECT_TRUE(signs({kOfficerCay, kOfficerAda}));
  EXPECT_EQ(read_text(roster), after);
  EXPECT_FALSE(fs::exists(roster.string() + ".next"));
  // And before the TPM took it, it never happened.
  std::string never = after;
  never.replace(never.find("m = 2"), 5, "m = 1");
  write_text(roster.string() + ".next", never);
  EXPECT_TRUE(signs({kOfficerCay, kOfficerAda}));
  EXPECT_EQ(read_text(roster), after);
}

TEST_F(AdministratorActs, AStoredApprovalOfTheFirmwareThatIsDamagedIsReplacedByBringingItAgain) {
  const fs::path stored = rig_.state() / "keys/firmware/approval.toml";
  const std::string good = read_text(stored);
  EXPECT_NE(good.find("signature = "), std::string::npos) << "one file, so that no power cut leaves halves of two";
  std::string bad = good;
  bad[bad.find("signature = \"") + 20] ^= 1;
  rig_.approve_firmware(1, folder_ / "again.toml");
  for (const std::string& damage : {bad, std::string("nothing"), good.substr(0, good.size() / 2)}) {
    write_text(stored, damage);
    EXPECT_EQ(admin({"lockout-reset"}).status, 2) << "nothing else works meanwhile";
    const Finished approved = admin({"firmware", "approve", folder_ / "again.toml"});
    EXPECT_EQ(approved.status, 0) << approved.output;
    EXPECT_EQ(admin({"lockout-reset"}).status, 1) << "asks for administrators again";
  }
  EXPECT_TRUE(signs({kOfficerAda, kOfficerBen}));
}

TEST_F(AdministratorActs, AQuorumIsChangedAndNeverToOneThatCannotBe) {
  rig_.administer({"officer", "add", "dan", "--key-class", "release", "--quorum", "3"}, two, chooses(kOfficerDan));
  EXPECT_FALSE(signs({kOfficerAda, kOfficerBen}));
  EXPECT_TRUE(signs({kOfficerAda, kOfficerBen, kOfficerDan}));
  const Finished refused = admin({"officer", "remove", "dan", "--key-class", "release", "--quorum", "4"});
  EXPECT_NE(refused.status, 0);
  EXPECT_NE(refused.output.find("a quorum of 4 of 3"), std::string::npos) << refused.output;
}

TEST_F(AdministratorActs, OneAdministratorAloneOrAStrangerChangesNothing) {
  const std::string before = status();
  for (const std::vector<TestOfficer>& who : {std::vector<TestOfficer>{two[0]}, {two[0], kOfficerAda}}) {
    AtTerminal terminal(words({"officer", "remove", "ben", "--key-class", "release"}));
    ApplianceRig::approve_as(terminal, "administrator (", who);
    terminal.expect("administrator (1 more needed");
    terminal.type("");
    EXPECT_EQ(terminal.wait(), 1) << terminal.screen();
    EXPECT_NE(terminal.screen().find("nothing was done"), std::string::npos) << terminal.screen();
  }
  EXPECT_EQ(status(), before);
  EXPECT_EQ(count("administration"), 0);
}

TEST_F(AdministratorActs, AnAdministratorIsAddedReplacedAndRemoved) {
  const TestOfficer xia{"xia", "299792"};
  const TestOfficer yan{"yan", "602214"};
  rig_.administer({"administrator", "add", "xia"}, two, chooses(xia));
  rig_.administer({"administrator", "replace", "uma", "yan"}, {xia, two[0]}, chooses(yan));
  {   // uma is out at once
    AtTerminal terminal(words({"administrator", "remove", "vic"}));
    ApplianceRig::approve_as(terminal, "administrator (", {ApplianceRig::administrators()[0]});
    terminal.expect("no administrator of that name");
    terminal.expect("administrator (2 more needed");
    terminal.type("");
    EXPECT_EQ(terminal.wait(), 1) << terminal.screen();
  }
  // Who leaves may be one of the two who approve it: then too few are left to remove the index, which opens nothing.
  rig_.administer({"administrator", "remove", "vic"}, {yan, ApplianceRig::administrators()[1]});
  const std::string after = status();
  EXPECT_NE(after.find("administrators 2 of 3"), std::string::npos) << after;
  EXPECT_TRUE(signs({kOfficerAda, kOfficerBen}));   // officers notice nothing
}

TEST_F(AdministratorActs, EveryoneChangesTheOwnPinWithoutAnAdministrator) {
  for (const auto& [group, person] : {std::pair<Command, TestOfficer>{{"officer", "pin", "ada", "--key-class", "release"}, kOfficerAda},
                                      {{"administrator", "pin", "uma"}, ApplianceRig::administrators()[0]}}) {
    AtTerminal wrong(words(group));
    wrong.expect("development mode (not for release keys), software TPM");
    wrong.expect("this box says: ");
    wrong.expect("PIN of " + person.name);
    wrong.type("999999");
    chooses({person.name, "987654"})(wrong);
    EXPECT_EQ(wrong.wait(), 1) << wrong.screen();
    EXPECT_NE(wrong.screen().find("4 tries left"), std::string::npos) << wrong.screen();
    AtTerminal right(words(group));
    right.expect("PIN of " + person.name);
    right.type(person.pin);
    chooses({person.name, "987654"})(right);
    EXPECT_EQ(right.wait(), 0) << right.screen();
  }
  EXPECT_FALSE(signs({kOfficerAda, kOfficerBen}));
  EXPECT_TRUE(signs({{"ada", "987654"}, kOfficerBen}));
  rig_.administer({"unlock", "ada", "--key-class", "release"}, {{"uma", "987654"}, two[0]});
}

TEST_F(AdministratorActs, ABlockedOfficerIsUnlockedAndAForgottenPinReplaced) {
  rig_.start_daemon();
  const std::string id = waiting_request();
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(rig_.try_to_approve(id, {{"ada", "999999"}}));
  EXPECT_FALSE(rig_.try_to_approve(id, {kOfficerAda}));
  rig_.stop_daemon();
  EXPECT_EQ(count("approval-failed"), 6);   // each was logged before it was answered
  EXPECT_NE(status().find("blocked, administrators must unlock"), std::string::npos);
  rig_.administer({"officer", "unlock", "ada", "--key-class", "release"}, two);
  EXPECT_TRUE(signs({kOfficerAda, kOfficerBen}));
  // The same name twice: a new index and a new PIN.
  rig_.administer({"officer", "replace", "ada", "ada", "--key-class", "release"}, two, chooses({"ada", "110011"}));
  EXPECT_FALSE(signs({kOfficerAda, kOfficerBen}));
  EXPECT_TRUE(signs({{"ada", "110011"}, kOfficerBen}));
}

TEST_F(AdministratorActs, ABlockedAdministratorIsUnlockedByTheOthers) {
  AtTerminal terminal(words({"lockout-reset"}));
  for (int i = 0; i < 5; ++i) {
    ApplianceRig::approve_as(terminal, "administrator (", {{"vic", "999999"}});
    terminal.expect("not done: ");
  }
  ApplianceRig::approve_as(terminal, "administrator (", {ApplianceRig::administrators()[1]});
  terminal.expect("is blocked");
  terminal.expect("administrator (");
  terminal.type("");
  EXPECT_EQ(terminal.wait(), 1);
  rig_.administer({"administrator", "unlock", "vic"}, two);
  rig_.administer({"lockout-reset"}, {ApplianceRig::administrators()[1], two[0]});
}

TEST_F(AdministratorActs, TheClockGoesForwardOnlyTogetherAndIsLogged) {
  const auto clock = [&] {
    const std::string text = run_well({"tpm2_readclock", "-T", rig_.tpm().tcti()});
    const std::size_t at = text.find("clock: ");
    return at == std::string::npos ? 0ULL : std::stoull(text.substr(at + 7));
  };
  const auto before = clock();
  rig_.administer({"clock"}, two);
  EXPECT_GT(clock(), before + 1'000'000'000'000ULL / 2);   // milliseconds since 1970
  EXPECT_EQ(count("time-changed"), 1);
  EXPECT_TRUE(signs({kOfficerAda, kOfficerBen}));
}

TEST_F(AdministratorActs, ARaisedFloorStopsOlderFirmwareForEver) {
  rig_.approve_firmware(4, folder_ / "four.toml");
  run_well(words({"firmware", "approve", folder_ / "four.toml"}));
  rig_.administer({"floor", "4"}, two);
  EXPECT_TRUE(signs({kOfficerAda, kOfficerBen}));
  // The approval of version 1 that the ceremony used is in the vendor's hands for ever; it opens nothing any more.
  const Finished older = admin({"firmware", "approve", folder_ / "rig/ceremony/approval.toml"});
  EXPECT_EQ(older.status, 0) << older.output;
  EXPECT_NE(older.output.find("firmware is older than the floor"), std::string::npos) << older.output;
  const Finished stopped = run({program("coldseald"), "--root", rig_.root()});
  EXPECT_EQ(stopped.status, 1) << stopped.output;
  EXPECT_NE(stopped.output.find("firmware is older than the floor"), std::string::npos) << stopped.output;
  run_well(words({"firmware", "approve", folder_ / "four.toml"}));
  EXPECT_TRUE(signs({kOfficerAda, kOfficerCay}));
}

TEST_F(AdministratorActs, AChangedConfigurationIsUsedWhenAdministratorsApprovedItAndNotBefore) {
  const fs::path file = rig_.root() / "etc/coldseal/coldseal.toml";
  const std::string original = read_text(file);
  write_text(file, original + "\n[[profile]]\nname = \"second\"\nkey_class = \"release\"\noperations = [\"embed\"]\nsubmitters = [\"build-1\"]\n");
  EXPECT_EQ(run({program("coldseald"), "--root", rig_.root()}).status, 1);
  rig_.administer({"configuration", "approve"}, two);
  EXPECT_TRUE(signs({kOfficerAda, kOfficerBen}));
  write_text(file, original);   // the older one is as much a change
  EXPECT_EQ(run({program("coldseald"), "--root", rig_.root()}).status, 1);
}

TEST_F(AdministratorActs, AnInstalledCertificateIsAnAnchoredLineWithItsFingerprint) {
  const auto lines = [&] {
    std::vector<nlohmann::json> found;
    std::istringstream log(read_text(rig_.state() / "log/audit.jsonl"));
    for (std::string line; std::getline(log, line);)
      if (line.find("a certificate is installed for key class release") != std::string::npos) found.push_back(nlohmann::json::parse(line)["data"]);
    return found;
  };
  ASSERT_EQ(lines().size(), 1U);   // when it was made
  const crypto::Certificate leaf = crypto::certificates_from_pem(read_text(folder_ / "rig/ca/release.pem"))->front();
  EXPECT_EQ(lines()[0]["certificate"], leaf.fingerprint().hex());
  EXPECT_EQ(lines()[0]["key-class"], "release");
  EXPECT_TRUE(lines()[0].contains(std::string(transparency::kAnchorField))) << lines()[0];
  const Finished again = admin({"certificate", "--key-class", "release", folder_ / "rig/ca/chain.pem"});
  EXPECT_EQ(again.status, 0) << again.output;
  EXPECT_NE(again.output.find(leaf.fingerprint().hex()), std::string::npos) << again.output;
  EXPECT_EQ(lines().size(), 2U);
  // One that is refused leaves no line.
  EXPECT_EQ(admin({"certificate", "--key-class", "release", rig_.ca_root()}).status == 0, false);
  EXPECT_EQ(lines().size(), 2U);
  rig_.start_daemon();   // whose log it is
  EXPECT_NE(admin({"certificate", "--key-class", "release", folder_ / "rig/ca/chain.pem"}).status, 0);
  EXPECT_EQ(lines().size(), 2U);
  EXPECT_TRUE(rig_.try_to_approve(waiting_request(), {kOfficerAda, kOfficerCay}));
}

TEST_F(AdministratorActs, AfterAWipeNothingSignsAndTheTpmIsFreeForANewCeremony) {
  AtTerminal terminal(words({"wipe"}));
  terminal.expect("type wipe");
  terminal.type("wipe");
  ApplianceRig::approve_as(terminal, "administrator (", two);
  EXPECT_EQ(terminal.wait(), 0) << terminal.screen();
  EXPECT_EQ(run({program("coldseald"), "--root", rig_.root()}).status, 1);
  EXPECT_EQ(count("administration"), 1);
  fs::rename(rig_.state(), folder_ / "of-the-wiped-one");
  rig_.run_ceremony();
  EXPECT_EQ(run({program("coldseal"), "verify-transcript", rig_.state() / "ceremony/transcript.json"}).status, 0);
}

}  // namespace
}  // namespace tests
