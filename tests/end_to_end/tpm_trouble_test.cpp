// The TPM says no, through the real programs: set back, swapped, full, locked out; damaged files; and what stays in memory.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <tuple>
#include <vector>

#include "crypto/base/byte_writer.hpp"
#include "crypto/digest.hpp"
#include "crypto/transparency/audit_log_line.hpp"
#include "tests/support/appliance_rig.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/memory_scan.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

const TestOfficer& kFirst = ApplianceRig::officers()[0];
const TestOfficer& kSecond = ApplianceRig::officers()[1];

class TpmTrouble : public testing::Test {
 protected:
  Finished admin(const Command& words) const {
    Command command{program("coldseal-admin"), "--root", rig_.root()};
    command.insert(command.end(), words.begin(), words.end());
    return run(command);
  }
  std::string waiting_request() {
    const ForgedRequest request(rig_, COLDSEAL_SAMPLE_DIR, folder_ / ("host-" + std::to_string(++count_)));
    request.into_inbox();
    rig_.wait_for_journal(request.id(), "waits for the officers");
    return request.id();
  }
  void expect_it_signs() {
    const std::string id = waiting_request();
    rig_.approve(id, {kFirst, kSecond});
    rig_.wait_for_response(id);
  }
  std::string tpm2(Command words) const {
    words.insert(words.begin() + 1, {"-T", rig_.tpm().tcti()});
    return run_well(words);
  }
  Finished daemon_refuses() const { return run({program("coldseald"), "--root", rig_.root()}); }
  std::unique_ptr<AtTerminal> console_that_looks_at_the_tpm() const {
    auto console = std::make_unique<AtTerminal>(Command{program("coldseal-console"), "--root", rig_.root()});
    console->expect("number to read a request");
    console->type("t");
    return console;
  }

  TempDir folder_;
  mutable ApplianceRig rig_{folder_ / "rig"};
  int count_ = 0;
};

TEST_F(TpmTrouble, ATpmThatWasSetBackIsNoticedAtTheStartAndSignsNothing) {
  rig_.provision();
  rig_.tpm().kill();
  fs::copy(rig_.tpm().state(), folder_ / "older", fs::copy_options::recursive);
  rig_.tpm().start();
  rig_.start_daemon();
  expect_it_signs();
  rig_.stop_daemon();
  const std::string log = read_text(rig_.state() / "log/audit.jsonl");
  rig_.tpm().kill();
  fs::copy(folder_ / "older", rig_.tpm().state(), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  rig_.tpm().start();
  const Finished refused = daemon_refuses();
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_NE(refused.output.find("the TPM was set back"), std::string::npos) << refused.output;
  EXPECT_EQ(read_text(rig_.state() / "log/audit.jsonl").rfind(log, 0), 0U) << "lines are gone";
}

TEST_F(TpmTrouble, AnotherTpmInItsPlaceIsNoticedAndNoPinIsAskedFor) {
  rig_.provision();
  rig_.tpm().kill();
  fs::rename(rig_.tpm().state(), folder_ / "taken-away");
  fs::create_directories(rig_.tpm().state());
  rig_.tpm().start();
  const Finished refused = daemon_refuses();
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_NE(refused.output.find("not the TPM that was provisioned"), std::string::npos) << refused.output;
  const Finished administration = admin({"unlock", "ada", "--key-class", "release"});
  EXPECT_EQ(administration.status, 1) << administration.output;
  EXPECT_EQ(administration.output.find("PIN of"), std::string::npos) << administration.output;
  rig_.tpm().kill();
  fs::remove_all(rig_.tpm().state());
  fs::rename(folder_ / "taken-away", rig_.tpm().state());
  rig_.tpm().start();
  rig_.start_daemon();
  expect_it_signs();
}

TEST_F(TpmTrouble, ADamagedKeyBlobSignsNothingAndTheRestoredOneDoes) {
  rig_.provision();
  rig_.start_daemon();
  const std::string id = waiting_request();
  const fs::path blob = rig_.state() / "keys/release/key.private";
  const base::Bytes good = read_file(blob);
  base::Bytes bad = good;
  bad.back() ^= 1;
  write_file(blob, bad);
  EXPECT_FALSE(rig_.try_to_approve(id, {kFirst, kSecond}));
  {
    const auto console = console_that_looks_at_the_tpm();
    console->expect("key blob belongs to another TPM or is damaged");
    console->expect("coldseal-admin status");
  }
  EXPECT_FALSE(fs::exists(rig_.outbox(id)));
  write_file(blob, good);
  rig_.approve(id, {kFirst, kSecond});
  rig_.wait_for_response(id);
}

TEST_F(TpmTrouble, AFullTpmTakesNoNewOfficerAndKeepsTheOldOnes) {
  rig_.provision();
  // What other software of the machine may keep in the TPM.
  std::vector<std::string> foreign;
  for (const char* const size : {"2048", "512", "64", "8"})
    for (;;) {
      const std::string index = "0x" + std::string(1, '1') + std::to_string(400000 + foreign.size());
      const Finished defined = run({"tpm2_nvdefine", "-T", rig_.tpm().tcti(), "-C", "p", "-s", size, "-a", "ppwrite|ppread|platformcreate", index});
      if (defined.status != 0) break;
      foreign.push_back(index);
      ASSERT_LT(foreign.size(), 3000U);
    }
  ASSERT_FALSE(foreign.empty());
  const std::vector<TestOfficer> two{ApplianceRig::administrators()[0], ApplianceRig::administrators()[1]};
  const std::string before = rig_.status();
  {
    AtTerminal terminal({program("coldseal-admin"), "--root", rig_.root(), "officer", "add", "dan", "--key-class", "release"});
    ApplianceRig::approve_as(terminal, "administrator (", two);
    EXPECT_EQ(terminal.wait(), 1) << terminal.screen();
    EXPECT_NE(terminal.screen().find("no room for another index in the TPM"), std::string::npos) << terminal.screen();
  }
  EXPECT_EQ(rig_.status(), before);
  rig_.start_daemon();
  expect_it_signs();   // a full TPM signs, and its log is anchored
  rig_.stop_daemon();
  for (const std::string& index : foreign) tpm2({"tpm2_nvundefine", "-C", "p", index});
  rig_.administer({"officer", "add", "dan", "--key-class", "release"}, two, [](AtTerminal& terminal) {
    terminal.expect("dan: new PIN");
    terminal.type("662607");
    terminal.expect("dan: the same PIN again");
    terminal.type("662607");
  });
  rig_.start_daemon();
  const std::string id = waiting_request();
  rig_.approve(id, {{"dan", "662607"}, kFirst});
  rig_.wait_for_response(id);
}

TEST_F(TpmTrouble, ALockoutOfTheWholeTpmStopsNoOfficerAndAdministratorsEndIt) {
  rig_.provision();
  // Other software guesses the password of a key of its own until the TPM locks.
  const std::string context = (folder_ / "guessed.ctx").string();
  tpm2({"tpm2_createprimary", "-C", "n", "-G", "ecc", "-p", "right", "-c", context, "-a", "sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth"});
  tpm2({"tpm2_flushcontext", "-t"});
  write_text(folder_ / "message", "x");
  std::string last;
  for (int i = 0; i < 40 && last.find("lockout") == std::string::npos; ++i) {
    last = run({"tpm2_sign", "-T", rig_.tpm().tcti(), "-c", context, "-p", "wrong", "-g", "sha256", "-o", folder_ / "signature", folder_ / "message"}).output;
    tpm2({"tpm2_flushcontext", "-t"});
  }
  ASSERT_TRUE(last.find("921") != std::string::npos || last.find("lockout") != std::string::npos) << last;
  EXPECT_NE(tpm2({"tpm2_getcap", "properties-variable"}).find("inLockout:                 1"), std::string::npos);
  rig_.start_daemon();
  expect_it_signs();
  // At the officers' screen, while the appliance runs.
  AtTerminal console({program("coldseal-console"), "--root", rig_.root()});
  console.expect("number to read a request");
  console.type("l");
  console.expect("the TPM's own count of failed tries goes to none");
  for (const std::size_t i : {1U, 2U}) {
    console.expect("administrator (Enter to stop)");
    console.type(ApplianceRig::administrators()[i].name);
    console.expect("PIN of");
    console.type(ApplianceRig::administrators()[i].pin);
  }
  console.expect("reset the TPM's lockout: done");
  EXPECT_NE(tpm2({"tpm2_getcap", "properties-variable"}).find("inLockout:                 0"), std::string::npos);
}

TEST_F(TpmTrouble, TheConsoleSaysWhatTheTpmSaysAndLooksAgainWhenItIsBack) {
  rig_.provision();
  rig_.start_daemon();
  {
    const auto console = console_that_looks_at_the_tpm();
    for (const char* const words : {"the audit log agrees with the TPM", "the firmware gate opens", "Key class release", "the key is there; any 2 of 3 officers",
                                    "5 tries left"})
      console->expect(words);
    rig_.tpm().kill();
    console->expect("number to read a request");
    console->type("t");
    console->expect("TPM not reachable");
    console->expect("type t to look again");
    rig_.tpm().start();
    console->expect("number to read a request");
    console->type("t");
    console->expect("the firmware gate opens");
  }
  const std::string id = waiting_request();
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(rig_.try_to_approve(id, {{"ada", "999999"}}));
  const auto console = console_that_looks_at_the_tpm();
  console->expect("blocked after 5 wrong PINs; administrators unlock: type u here, or coldseal-admin unlock --key-class release ada");
}

// Before the first PIN the screen says how long signing will take.
TEST_F(TpmTrouble, TheTimeItWillTakeIsShownBeforeTheFirstPin) {
  rig_.provision();
  rig_.start_daemon();
  const auto console = rig_.open_request(waiting_request());
  console->type("a");
  console->expect("type yes");
  console->type("yes");
  const std::string before = console->expect("officer (");
  const std::size_t time = before.find("signing will take about ");
  ASSERT_NE(time, std::string::npos) << before;
  EXPECT_GE(std::stoi(before.substr(time + std::string_view("signing will take about ").size())), 1) << before;
  EXPECT_LT(time, before.find("this box says: ")) << before;
  EXPECT_EQ(console->screen().find("PIN of"), std::string::npos) << console->screen();
  console->type("");
}

TEST_F(TpmTrouble, NoPinIsLeftInTheDaemonsOrTheConsolesMemoryAfterAnApproval) {
  rig_.provision();
  // PINs that are in no program by chance, of both who approve; and what the TPM is given of them.
  const std::string pin = "zQ7-vexing-jumbo-42";
  const std::string other_pin = "zQ7-vexing-jumbo-53";
  std::vector<std::string> authorisations;
  for (const auto& [who, index, chosen] : {std::tuple(kFirst, 0x01800001U, pin), std::tuple(kSecond, 0x01800002U, other_pin)}) {
    AtTerminal terminal({program("coldseal-admin"), "--root", rig_.root(), "officer", "pin", who.name, "--key-class", "release"});
    terminal.expect("PIN of " + who.name);
    terminal.type(who.pin);
    terminal.expect(who.name + ": new PIN");
    terminal.type(chosen);
    terminal.expect(who.name + ": the same PIN again");
    terminal.type(chosen);
    ASSERT_EQ(terminal.wait(), 0) << terminal.screen();
    base::ByteWriter hashed;
    hashed.put(base::as_bytes("officer")).u32be(index).put(base::as_bytes(chosen));
    authorisations.push_back(crypto::sha256(hashed.bytes()).hex().substr(0, 32));
  }
  // Somebody set the environment in which the TPM's software stack would log every command, authorisation values included.
  const fs::path tss_log = folder_ / "tss.log";
  ASSERT_EQ(setenv("TSS2_LOG", "all+trace", 1), 0);
  ASSERT_EQ(setenv("TSS2_LOGFILE", tss_log.c_str(), 1), 0);
  rig_.start_daemon();
  const std::string id = waiting_request();
  const auto console = rig_.open_request(id);
  const pid_t daemon = rig_.daemon().pid();
  const auto found = occurrences_in_memory(daemon, id);
  if (!found) GTEST_SKIP() << "only root can read another process's memory";
  EXPECT_GT(*found, 0U) << "the search does find what is there";
  const auto expect_none = [&](const char* when) {
    for (const pid_t process : {daemon, console->pid()}) {
      EXPECT_EQ(occurrences_in_memory(process, "vexing-jumbo"), 0U) << "a PIN " << when << " in " << (process == daemon ? "coldseald" : "coldseal-console");
      for (const std::string& authorisation : authorisations)
        EXPECT_EQ(occurrences_in_memory(process, authorisation), 0U) << "authorisation value " << when;
    }
  };
  console->type("a");
  console->expect("type yes");
  console->type("yes");
  console->expect("officer (");
  console->type("ada");
  console->expect("PIN of ada");
  console->type("zQ7-vexing-jumbo-4");   // a wrong one leaves nothing either
  console->expect("4 tries left");
  EXPECT_EQ(occurrences_in_memory(daemon, "zQ7-vexing-jumbo"), 0U);
  EXPECT_EQ(occurrences_in_memory(console->pid(), "zQ7-vexing-jumbo"), 0U);
  console->expect("officer (");
  console->type("ada");
  console->expect("PIN of ada");
  console->type(pin);
  console->expect("approved by ada");
  expect_none("after an approval");
  console->expect("officer (");
  console->type("ben");
  console->expect("PIN of ben");
  console->type(other_pin);
  console->expect("is signed");
  expect_none("after the signature");
  EXPECT_EQ(rig_.daemon().log().find("trace"), std::string::npos) << rig_.daemon().log();
  EXPECT_TRUE(!fs::exists(tss_log) || fs::file_size(tss_log) == 0);
}

}  // namespace
}  // namespace tests
