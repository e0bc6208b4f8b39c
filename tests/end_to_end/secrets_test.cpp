// What PINs leave behind where they are typed: nothing in memory, and no core file to find it in.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/memory_scan.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

class Secrets : public testing::Test {
 protected:
  Secrets() { rig_.provision(); }
  // PINs that are in no program by chance. A part of them is in all of them, so that whoever entered one is searched for.
  static std::string pin_of(const std::string& name) { return "kW9-waltzing-nymph-" + name; }
  void choose_pin(const Command& words, const TestOfficer& who) const {
    Command command{program("coldseal-admin"), "--root", rig_.root()};
    command.insert(command.end(), words.begin(), words.end());
    AtTerminal terminal(command);
    terminal.expect("PIN of " + who.name);
    terminal.type(who.pin);
    for (const char* const prompt : {": new PIN", ": the same PIN again"}) {
      terminal.expect(who.name + prompt);
      terminal.type(pin_of(who.name));
    }
    ASSERT_EQ(terminal.wait(), 0) << terminal.screen();
  }
  static void enter(AtTerminal& console, const std::string& name, const std::string& pin) {
    console.type(name);
    console.expect("PIN of " + name);
    console.type(pin);
  }
  void expect_none(const AtTerminal& console, const char* when) {
    EXPECT_EQ(occurrences_in_memory(rig_.daemon().pid(), "waltzing-nymph"), 0U) << "in coldseald " << when;
    EXPECT_EQ(occurrences_in_memory(console.pid(), "waltzing-nymph"), 0U) << "in coldseal-console " << when;
  }
  TempDir folder_;
  ApplianceRig rig_{folder_ / "rig"};
};

TEST_F(Secrets, NoPinOfAnAdministratorStaysInMemoryAfterAnActAtTheConsole) {
  const TestOfficer& uma = ApplianceRig::administrators()[0];
  const TestOfficer& vic = ApplianceRig::administrators()[1];
  for (const TestOfficer& who : {uma, vic}) choose_pin({"administrator", "pin", who.name}, who);
  rig_.start_daemon();
  AtTerminal console({program("coldseal-console"), "--root", rig_.root()});
  console.expect("number to read a request");
  if (!occurrences_in_memory(rig_.daemon().pid(), "x")) GTEST_SKIP() << "only root can read another process's memory";
  console.type("l");
  console.expect("administrator (");
  enter(console, uma.name, "kW9-waltzing-nymph-no");
  console.expect("not done: ");
  expect_none(console, "after a wrong one");
  console.expect("administrator (");
  enter(console, uma.name, pin_of(uma.name));
  console.expect("approved by " + uma.name);
  expect_none(console, "after an approval");
  console.expect("administrator (");
  enter(console, vic.name, pin_of(vic.name));
  console.expect("reset the TPM's lockout: done");
  expect_none(console, "after the act");
}

TEST_F(Secrets, NoPinStaysInMemoryAfterARejection) {
  const TestOfficer& ada = ApplianceRig::officers()[0];
  choose_pin({"officer", "pin", ada.name, "--key-class", "release"}, ada);
  rig_.start_daemon();
  const ForgedRequest request(rig_, COLDSEAL_SAMPLE_DIR, folder_ / "host");
  request.into_inbox();
  rig_.wait_for_journal(request.id(), "waits for the officers");
  const auto console = rig_.open_request(request.id());
  if (!occurrences_in_memory(rig_.daemon().pid(), "x")) GTEST_SKIP() << "only root can read another process's memory";
  console->type("r");
  console->expect("reason");
  console->type("last year's version");
  console->expect("officer");
  enter(*console, ada.name, pin_of(ada.name));
  console->expect("is rejected");
  expect_none(*console, "after a rejection");
}

// That they cannot be traced: SeparateUsers.NoProgramThatIsGivenPinsCanBeReadOrTracedByItsOwnUser.
TEST_F(Secrets, NoProgramThatIsGivenPinsWritesACoreFile) {
  rig_.start_daemon();
  const AtTerminal console({program("coldseal-console"), "--root", rig_.root()});
  const auto expect_hardened = [](pid_t process, const char* name) {
    const std::filesystem::path about = std::filesystem::path("/proc") / std::to_string(process);
    wait_until("the program has set itself up", [&] { return read_text(about / "status").find("NoNewPrivs:\t1") != std::string::npos; });
    const std::string limits = read_text(about / "limits");
    const std::size_t line = limits.find("Max core file size");
    ASSERT_NE(line, std::string::npos);
    EXPECT_EQ(limits.substr(line, limits.find('\n', line) - line).find_first_of("123456789u"), std::string::npos) << name << ": " << limits;
  };
  expect_hardened(rig_.daemon().pid(), "coldseald");
  expect_hardened(console.pid(), "coldseal-console");
  rig_.stop_daemon();
  AtTerminal admin({program("coldseal-admin"), "--root", rig_.root(), "lockout-reset"});
  admin.expect("administrator (");
  expect_hardened(admin.pid(), "coldseal-admin");
}

}  // namespace
}  // namespace tests
