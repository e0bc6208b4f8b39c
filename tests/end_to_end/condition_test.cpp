// coldseal-admin status and doctor: with and without coldseald, with things that need somebody.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

class Condition : public testing::Test {
 protected:
  Condition() { rig.provision(); }
  Finished admin(const Command& words) const {
    Command command{program("coldseal-admin"), "--root", rig.root()};
    command.insert(command.end(), words.begin(), words.end());
    return run(command);
  }
  // The item of that name of doctor --json; null when there is none.
  nlohmann::json item(const std::string& name) const {
    const auto all = nlohmann::json::parse(admin({"status", "--json"}).output);
    for (const auto& each : all["items"])
      if (each["name"] == name) return each;
    return {};
  }
  void expect_well() const {
    const Finished doctor = admin({"doctor"});
    EXPECT_EQ(doctor.status, 0) << doctor.output;
    EXPECT_NE(doctor.output.find("nothing needs attention"), std::string::npos) << doctor.output;
    for (const char* const name : {"tpm", "tpm lockout", "tpm flaws", "firmware", "configuration", "receipt key", "key release", "certificate release", "audit log",
                                   "clock", "tpm clock", "space", "mode", "confinement", "submitters"})
      EXPECT_FALSE(item(name).is_null()) << name;
  }
  TempDir folder;
  ApplianceRig rig{folder.path()};
};

TEST_F(Condition, IsWellWithAndWithoutColdseald) {
  expect_well();
  EXPECT_EQ(item("coldseald")["state"], "note");
  EXPECT_NE(admin({"status"}).output.find("key class      release: 2 of 3 officers"), std::string::npos);
  rig.start_daemon();
  expect_well();
  EXPECT_EQ(nlohmann::json::parse(admin({"status", "--json"}).output)["by"], "coldseald");
  EXPECT_EQ(item("requests")["found"], "none open");
  const std::string id = rig.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", rig.stick());
  const Background courier = rig.start_courier({"--stick", rig.stick()});
  rig.wait_for_journal(id, "waits for the officers");
  EXPECT_EQ(item("requests")["found"], "1 waiting");
  // Asking disturbs nothing: what was asked about can still be signed.
  rig.approve(id, {ApplianceRig::officers()[0], ApplianceRig::officers()[1]});
  EXPECT_EQ(item("requests")["found"], "none open");
}

TEST_F(Condition, DuringASittingTheTpmIsLeftAloneAndTheSittingGoesOn) {
  rig.start_daemon();
  const Background courier = rig.start_courier({"--stick", rig.stick()});
  const std::string id = rig.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", rig.stick());
  rig.wait_for_journal(id, "waits for the officers");
  const std::unique_ptr<AtTerminal> console = rig.open_request(id);
  console->type("a");
  console->expect("type yes");
  console->type("yes");
  ApplianceRig::approve_as(*console, "officer (", {ApplianceRig::officers()[0]});
  console->expect("officer (");
  EXPECT_EQ(item("tpm")["found"], "not asked while officers approve a request");
  EXPECT_EQ(item("requests")["found"], "1 in approval");
  EXPECT_EQ(admin({"doctor"}).status, 0);
  console->type(ApplianceRig::officers()[1].name);
  console->expect("PIN of " + ApplianceRig::officers()[1].name);
  console->type(ApplianceRig::officers()[1].pin);
  console->expect("is signed");
}

TEST_F(Condition, DoctorNamesWhatIsWrongAndWhatToDoAndEndsWithOne) {
  // The configuration is changed behind the administrators' backs.
  const fs::path configuration = rig.root() / "etc/coldseal/coldseal.toml";
  const std::string before = read_text(configuration);
  write_text(configuration, before + "\n# one more line\n");
  Finished doctor = admin({"doctor"});
  EXPECT_EQ(doctor.status, 1);
  EXPECT_NE(doctor.output.find("! configuration"), std::string::npos) << doctor.output;
  EXPECT_NE(doctor.output.find("coldseal-admin configuration approve"), std::string::npos);
  EXPECT_NE(doctor.output.find("1 thing needs attention"), std::string::npos);
  EXPECT_EQ(admin({"doctor", "--json"}).status, 1);
  write_text(configuration, before);
  // The log is changed: an anchored line is missing.
  const fs::path log = rig.state() / "log/audit.jsonl";
  const std::string lines = read_text(log);
  write_text(log, lines.substr(0, lines.rfind('\n', lines.size() - 2) + 1));
  EXPECT_EQ(item("audit log")["state"], "attention") << item("audit log");
  write_text(log, lines);
  // No certificate.
  const fs::path chain = rig.state() / "keys/release/chain.pem";
  fs::rename(chain, folder / "chain.pem");
  EXPECT_EQ(item("certificate release")["state"], "attention");
  EXPECT_NE(item("certificate release")["todo"].get<std::string>().find("coldseal-admin csr --key-class release"), std::string::npos);
  fs::rename(folder / "chain.pem", chain);
  EXPECT_EQ(admin({"doctor"}).status, 0);
  // No TPM.
  rig.tpm().kill();
  doctor = admin({"doctor"});
  EXPECT_EQ(doctor.status, 1);
  EXPECT_NE(doctor.output.find("! tpm "), std::string::npos) << doctor.output;
  rig.tpm().start();
}

TEST_F(Condition, ColdsealdSaysThatItsTpmHasGoneAndThatItIsBack) {
  rig.start_daemon();
  EXPECT_EQ(item("tpm")["state"], "note");   // a software TPM
  rig.tpm().kill();
  const Finished doctor = admin({"doctor"});
  EXPECT_EQ(doctor.status, 1) << doctor.output;
  EXPECT_NE(doctor.output.find("! tpm "), std::string::npos) << doctor.output;
  rig.tpm().start();
  EXPECT_EQ(admin({"doctor"}).status, 0);
}

TEST_F(Condition, IsToldToTheAppliancesOwnUserAndRootOnly) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can start programs as other users";
  rig.start_daemon();
  fs::permissions(folder.path(), fs::perms::others_exec, fs::perm_options::add);
  for (fs::path each = rig.root() / "run/coldseal"; each != folder.path(); each = each.parent_path())
    fs::permissions(each, fs::perms::others_exec | fs::perms::others_read, fs::perm_options::add);
  fs::permissions(rig.root() / "run/coldseal/status.sock", fs::perms::all);   // even where the file's rights are wrong
  const std::string connect = "import socket,sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(60); print(len(s.recv(1)))";
  const fs::path socket = rig.root() / "run/coldseal/status.sock";
  EXPECT_EQ(run({"setpriv", "--reuid", "61009", "--regid", "61009", "--clear-groups", "/usr/bin/python3", "-c", connect, socket}).output, "0\n");
  EXPECT_EQ(run({"/usr/bin/python3", "-c", connect, socket}).output, "1\n");
}

}  // namespace
}  // namespace tests
