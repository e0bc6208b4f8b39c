// coldseal-admin status and doctor: with and without coldseald, with things that need somebody.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "crypto/base/bytes.hpp"
#include "crypto/digest.hpp"
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
  // As doctor says: nothing needs attention, but that coldseald does not run when it does not.
  void expect_well(bool coldseald_runs) const {
    const Finished doctor = admin({"doctor"});
    EXPECT_EQ(doctor.status, coldseald_runs ? 0 : 1) << doctor.output;
    EXPECT_NE(doctor.output.find(coldseald_runs ? "nothing needs attention" : "1 thing needs attention"), std::string::npos) << doctor.output;
    EXPECT_EQ(doctor.output.find("! coldseald ") == std::string::npos, coldseald_runs) << doctor.output;
    for (const char* const name : {"tpm", "tpm lockout", "tpm flaws", "firmware", "configuration", "receipt key", "key release", "certificate release", "audit log",
                                   "clock", "tpm clock", "space", "mode", "confinement", "submitters", "deny list"})
      EXPECT_FALSE(item(name).is_null()) << name;
  }
  TempDir folder;
  ApplianceRig rig{folder.path()};
};

TEST_F(Condition, IsWellWithAndWithoutColdseald) {
  expect_well(false);
  EXPECT_EQ(item("coldseald")["state"], "note");   // to status, which only shows
  EXPECT_NE(admin({"status"}).output.find("key class      release: 2 of 3 officers"), std::string::npos);
  EXPECT_TRUE(item("spool").is_null());   // no quota
  rig.start_daemon();
  expect_well(true);
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
  EXPECT_NE(doctor.output.find("2 things need attention"), std::string::npos);   // coldseald does not run either
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
  expect_well(false);
  // No TPM.
  rig.tpm().kill();
  doctor = admin({"doctor"});
  EXPECT_EQ(doctor.status, 1);
  EXPECT_NE(doctor.output.find("! tpm "), std::string::npos) << doctor.output;
  rig.tpm().start();
}

TEST_F(Condition, ADenyListThatStopsColdsealdIsNamedWithWhatToDo) {
  write_text(rig.state() / "deny-list", "# nobody approved this\n");
  EXPECT_EQ(item("deny list")["state"], "attention");
  EXPECT_NE(item("deny list")["found"].get<std::string>().find("deny-list.not-approved"), std::string::npos) << item("deny list");
  const Finished doctor = admin({"doctor"});
  EXPECT_EQ(doctor.status, 1);
  EXPECT_NE(doctor.output.find("! deny list"), std::string::npos) << doctor.output;
  fs::remove(rig.state() / "deny-list");
  EXPECT_EQ(item("deny list")["found"], "there is none");
  // One that goes away while coldseald runs would stop its next start.
  const std::string list = "# nothing\n";
  write_text(rig.state() / "deny-list", list);
  const fs::path configuration = rig.root() / "etc/coldseal/coldseal.toml";
  std::string text = read_text(configuration);
  text.insert(text.find("mode ="), "deny_list = \"" + crypto::sha256(base::as_bytes(list)).hex() + "\"\nspool_mib = 1\n");
  write_text(configuration, text);
  rig.administer({"configuration", "approve"}, {ApplianceRig::administrators()[0], ApplianceRig::administrators()[1]});
  EXPECT_EQ(item("deny list")["state"], "well") << item("deny list");
  rig.start_daemon();
  EXPECT_EQ(item("deny list")["state"], "well");
  EXPECT_EQ(item("spool")["found"], "0 of 1 MiB are taken by 0 requests that wait");
  fs::remove(rig.state() / "deny-list");
  EXPECT_EQ(item("deny list")["state"], "attention");
  EXPECT_EQ(admin({"doctor"}).status, 1);
}

TEST_F(Condition, TheSpoolsQuotaIsShownWithWhatTakesIt) {
  const fs::path configuration = rig.root() / "etc/coldseal/coldseal.toml";
  std::string text = read_text(configuration);
  text.insert(text.find("mode ="), "spool_mib = 1\n");
  write_text(configuration, text);
  rig.administer({"configuration", "approve"}, {ApplianceRig::administrators()[0], ApplianceRig::administrators()[1]});
  fs::copy(COLDSEAL_SAMPLE_DIR, folder / "large", fs::copy_options::recursive);
  std::ofstream(folder / "large/coldsample.sys", std::ios::binary | std::ios::app) << std::string(1'000'000, '\0');
  rig.start_daemon();
  const Background courier = rig.start_courier({"--stick", rig.stick()});
  const std::string id = rig.make_request(folder / "large", "10_X64", rig.stick());
  rig.wait_for_journal(id, "received from");
  EXPECT_EQ(item("spool")["state"], "attention");
  EXPECT_EQ(item("spool")["found"], "1 of 1 MiB are taken by 1 requests that wait");
  rig.stop_daemon();
  EXPECT_EQ(item("spool")["state"], "attention");   // from the log
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

TEST_F(Condition, ARevocationListThatAProfileWantsIsMissedAndItsAgeIsShown) {
  EXPECT_EQ(item("crl release")["state"], "well");   // nobody wants one
  const fs::path configuration = rig.root() / "etc/coldseal/coldseal.toml";
  write_text(configuration, read_text(configuration) + "crl_days = 7\n");
  rig.administer({"configuration", "approve"}, {ApplianceRig::administrators()[0], ApplianceRig::administrators()[1]});
  EXPECT_EQ(item("crl release")["state"], "attention");
  EXPECT_NE(item("crl release")["found"].get<std::string>().find("crl.missing"), std::string::npos);
  const fs::path ca = folder / "ca";
  write_text(ca / "ca.cnf", "[ca]\ndefault_ca=d\n[d]\ndatabase=" + (ca / "index.txt").string() + "\ncrlnumber=" + (ca / "crlnumber").string() +
                                "\ndefault_md=sha256\ncrl_extensions=x\n[x]\nauthorityKeyIdentifier=keyid\n");
  write_text(ca / "index.txt", "");
  write_text(ca / "crlnumber", "1000\n");
  run_well({"openssl", "ca", "-config", ca / "ca.cnf", "-gencrl", "-keyfile", ca / "root.key", "-cert", rig.ca_root(), "-crldays", "30", "-out", ca / "list.pem"});
  ASSERT_EQ(admin({"crl", "import", ca / "list.pem"}).status, 0);
  EXPECT_EQ(item("crl release")["state"], "well") << item("crl release");
  EXPECT_NE(item("crl release")["found"].get<std::string>().find("0 days old (number 1000); profiles want at most 7"), std::string::npos) << item("crl release");
  rig.start_daemon();
  EXPECT_EQ(item("crl release")["state"], "well") << item("crl release");
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
