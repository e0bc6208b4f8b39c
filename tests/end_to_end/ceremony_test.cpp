// The ceremony, and what administrators do afterwards, with the real programs and people at pseudo-terminals.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/tpm_kills.hpp"

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

TEST_F(Ceremony, WrongPinsAtTheTrialAreInTheLogThatTheApplianceGoesOnWith) {
  rig_.prepare();
  rig_.prepare_ceremony();
  rig_.run_ceremony([this](AtTerminal& terminal) {
    for (const char* const name : {"ada", "mallory"}) {
      terminal.expect("officer (2 more needed");
      terminal.type(name);
      terminal.expect(std::string("PIN of ") + name);
      terminal.type("999999");
      terminal.expect("not done: ");
    }
    EXPECT_EQ(rig_.audit_events(), (std::vector<std::string>{"approval-failed", "approval-failed"}));
  });
  const std::string log = read_text(rig_.state() / "log/audit.jsonl");
  EXPECT_NE(log.find("\"officer\":\"ada\""), std::string::npos) << log;
  EXPECT_EQ(log.find("mallory"), std::string::npos) << "what is nobody's name may be a PIN";
  rig_.start_daemon();
  rig_.stop_daemon();
  EXPECT_EQ(read_text(rig_.state() / "log/audit.jsonl").rfind(log, 0), 0U);
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
  EXPECT_EQ(missing_from_transcript(transcript()), "") << read_text(transcript());
}

// systemd-tmpfiles has made all folders before anybody comes.
TEST_F(Ceremony, RunsWhereTheInstallationHasMadeTheFolders) {
  rig_.prepare();
  rig_.prepare_ceremony();
  for (const char* const made : {"inbox", "outbox", "spool", "log", "keys", "ceremony"}) fs::create_directories(rig_.state() / made);
  rig_.run_ceremony();
  EXPECT_EQ(run({program("coldseal"), "verify-transcript", transcript()}).status, 0);
}

TEST_F(Ceremony, RefusesWhereKeysAreAlready) {
  rig_.prepare();
  rig_.prepare_ceremony();
  fs::create_directories(rig_.state() / "keys/release");
  const auto terminal = rig_.begin_ceremony();
  EXPECT_EQ(terminal->wait(), 1) << terminal->screen();
  EXPECT_NE(terminal->screen().find("keys is not empty: this appliance has keys"), std::string::npos) << terminal->screen();
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

// A TPM from a maker: its endorsement key has a certificate, which the ceremony takes into the transcript.
TEST_F(Ceremony, TakesTheMakersCertificateAndHoldsItAgainstTheEndorsementKey) {
  rig_.prepare();
  rig_.prepare_ceremony();
  const auto tpm2 = [&](Command words) {
    words.insert(words.begin() + 1, {"-T", rig_.tpm().tcti()});
    run_well(words);
  };
  const auto file = [&](const char* name) { return (folder_ / name).string(); };
  run_well({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-days", "3650", "-subj", "/O=Example Chips/CN=Example TPM CA",
            "-addext", "keyUsage=critical,keyCertSign", "-keyout", file("maker.key"), "-out", file("maker.pem")});
  run_well({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-days", "3650", "-subj", "/O=Somebody/CN=Somebody Else",
            "-addext", "keyUsage=critical,keyCertSign", "-keyout", file("else.key"), "-out", file("else.pem")});
  tpm2({"tpm2_createek", "-G", "ecc", "-c", file("ek.ctx"), "-u", file("ek.pem"), "-f", "pem"});
  tpm2({"tpm2_flushcontext", "-t"});
  write_text(file("ek.ext"), "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,keyAgreement\nextendedKeyUsage=2.23.133.8.1\n");
  const auto certify = [&](const std::string& key, const std::string& to) {
    run_well({"openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=TPM", "-keyout", file("any.key"), "-out", file("any.csr")});
    run_well({"openssl", "x509", "-req", "-sha256", "-days", "3650", "-in", file("any.csr"), "-force_pubkey", key, "-CA", file("maker.pem"), "-CAkey", file("maker.key"),
              "-set_serial", "0x17", "-extfile", file("ek.ext"), "-outform", "DER", "-out", to});
    tpm2({"tpm2_nvdefine", "-C", "p", "-s", std::to_string(fs::file_size(to)), "-a", "ppwrite|ppread|authread|ownerread|platformcreate|no_da", "0x01C0000A"});
    tpm2({"tpm2_nvwrite", "-C", "p", "-i", to, "0x01C0000A"});
  };
  // First one that is of another key.
  run_well({"openssl", "ec", "-in", file("else.key"), "-pubout", "-out", file("else.pub.pem")});
  certify(file("else.pub.pem"), file("wrong.der"));
  EXPECT_EQ(rig_.try_ceremony(), 1);
  EXPECT_FALSE(fs::exists(transcript()));
  tpm2({"tpm2_nvundefine", "-C", "p", "0x01C0000A"});
  certify(file("ek.pem"), file("ek.der"));
  rig_.run_again_to_its_end();
  const Finished good = run({program("coldseal"), "verify-transcript", transcript(), "--makers", file("maker.pem")});
  EXPECT_EQ(good.status, 0) << good.output;
  for (const char* words : {"endorsement certificate is of the endorsement key", "endorsement certificate is by a maker that was given",
                            "identity key and endorsement key are in one TPM"})
    EXPECT_NE(good.output.find(words), std::string::npos) << words << "\n" << good.output;
  const Finished stranger = run({program("coldseal"), "verify-transcript", transcript(), "--makers", file("else.pem")});
  EXPECT_EQ(stranger.status, 1) << stranger.output;
  const Finished without = run({program("coldseal"), "verify-transcript", transcript()});
  EXPECT_EQ(without.status, 0) << without.output;
  EXPECT_NE(without.output.find("give the makers' certificates with --makers"), std::string::npos) << without.output;
}

void replace_in(const fs::path& file, const std::string& from, const std::string& to) {
  std::string text = read_text(file);
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error(file.string() + " does not say " + from);
  write_text(file, text.replace(at, from.size(), to));
}

TEST_F(Ceremony, InProductionRefusesDevelopmentKeysAndSoftwareTpmsAndLeavesThemAsTheyWere) {
  rig_.prepare();
  rig_.prepare_ceremony();
  const fs::path settings = rig_.root() / "etc/coldseal/coldseal.toml";
  replace_in(rig_.ceremony_file(), "mode = \"development\"", "mode = \"production\"");
  const Finished known = admin({"ceremony", "run", rig_.ceremony_file()});
  EXPECT_EQ(known.status, 1) << known.output;
  EXPECT_NE(known.output.find("that is a development vendor key"), std::string::npos) << known.output;
  for (const char* const vendor : {"vendor-a", "vendor-b"}) {   // keys of somebody's own
    run_well({"openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder_ / "own.key"});
    run_well({"openssl", "ec", "-in", folder_ / "own.key", "-pubout", "-out", rig_.ceremony_file().parent_path() / (std::string(vendor) + ".pem")});
  }
  const Finished differ = admin({"ceremony", "run", rig_.ceremony_file()});
  EXPECT_EQ(differ.status, 1) << differ.output;
  EXPECT_NE(differ.output.find("the ceremony is for production mode and coldseal.toml says development"), std::string::npos) << differ.output;
  replace_in(settings, "mode = \"development\"", "mode = \"production\"");
  {
    const auto terminal = rig_.begin_ceremony();
    EXPECT_EQ(terminal->wait(), 1) << terminal->screen();
    EXPECT_NE(terminal->screen().find("mode      production"), std::string::npos) << terminal->screen();
    EXPECT_NE(terminal->screen().find("this is a software TPM; production wants a chip"), std::string::npos) << terminal->screen();
    EXPECT_NE(terminal->screen().find("the platform hierarchy is still open"), std::string::npos) << terminal->screen();
    EXPECT_EQ(terminal->screen().find("new PIN"), std::string::npos);
  }
  EXPECT_FALSE(fs::exists(rig_.state() / "keys"));
  // Nothing was made in the TPM: a development ceremony finds it empty.
  fs::remove_all(rig_.state());
  replace_in(settings, "mode = \"production\"", "mode = \"development\"");
  rig_.prepare_ceremony();
  rig_.run_ceremony();
}

class Administrators : public testing::Test {
 protected:
  Administrators() {
    rig_.prepare();
    rig_.prepare_ceremony();
    rig_.run_ceremony();
  }
  std::string status() const { return rig_.status(); }
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
  EXPECT_EQ(std::count(events.begin(), events.end(), "administration"), 4);   // the firmware's approval too
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

TEST_F(Administrators, CannotMakeAProductionApplianceOfADevelopmentOne) {
  const fs::path settings = rig_.root() / "etc/coldseal/coldseal.toml";
  const auto refused_with = [&](const std::string& words) {
    for (const char* const name : {"coldseald", "coldseal-admin"}) {
      Command command{program(name), "--root", rig_.root()};
      if (command.front().ends_with("admin")) command.emplace_back("status");
      const Finished refused = run(command);
      EXPECT_EQ(refused.status, 1) << refused.output;
      EXPECT_NE(refused.output.find(words), std::string::npos) << refused.output;
    }
  };
  replace_in(settings, "mode = \"development\"", "mode = \"production\"");
  refused_with("this appliance was born in development mode, for ever");
  replace_in(rig_.state() / "keys/firmware/mode", "development", "production");
  refused_with("that is a development vendor key");
  for (const char* const vendor : {"vendor-1.pem", "vendor-2.pem"}) {   // keys of somebody's own: another gate
    run_well({"openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", folder_ / "own.key"});
    run_well({"openssl", "ec", "-in", folder_ / "own.key", "-pubout", "-out", rig_.state() / "keys/firmware" / vendor});
  }
  refused_with("software TPM");
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
