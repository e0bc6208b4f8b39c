// What a request may ask for beside plain embedding: page hashes, appended signatures, cabinets; and the profile's
// description and URL. Through the real programs, judged by osslsigncode.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/cab_builder.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/process.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

TEST(SignatureOperations, PageHashesAppendedSignaturesAndCabinetsComeBackFromOneRequest) {
  const TempDir folder;
  const fs::path package = folder / "package";
  fs::copy(COLDSEAL_SAMPLE_DIR, package);
  Vendor stranger(Vendor::Kind::rsa3072);
  write_file(package / "bundled.dll", stranger.sign_pe(build_pe(program_description())));
  write_file(package / "extra.cab", build_cab({{{"one", "two"}, {"three"}}, 0, {}}));

  ApplianceRig rig(folder / "rig");
  rig.provision();
  const fs::path configuration = rig.root() / "etc/coldseal/coldseal.toml";
  std::string text = read_text(configuration);
  const std::string before = R"(operations = ["embed", "catalog"])";
  text.replace(text.find(before), before.size(), R"(operations = ["embed", "catalog", "append", "cabinet", "page-hashes"]
description = "Example driver"
url = "https://example.com/driver")");
  write_text(configuration, text);
  rig.administer({"configuration", "approve"}, {ApplianceRig::administrators()[0], ApplianceRig::administrators()[1]});
  write_file(rig.trust() / "stranger.crt", stranger.root().der());
  rig.start_daemon();
  const Background courier = rig.start_courier({"--stick", rig.stick()});
  const std::string id =
      rig.make_request(package, "10_X64", rig.stick(), {"--operations", "embed,catalog,append,cabinet,page-hashes"});
  rig.wait_for_journal(id, "waits for the officers");
  rig.approve(id, {ApplianceRig::officers()[0], ApplianceRig::officers()[1]});
  wait_until("the response is on the stick", [&] { return fs::exists(rig.stick() / "coldseal/responses" / id); });
  run_well({program("coldseal"), "collect", "--from", rig.stick(), "-o", folder / "signed"});
  const fs::path files = folder / "signed" / id / "files";

  const std::string driver = run_well({"osslsigncode", "verify", "-CAfile", rig.ca_root(), "-in", files / "coldsample.sys"});
  for (const char* const wanted : {"Page hash", "Example driver", "https://example.com/driver"})
    EXPECT_NE(driver.find(wanted), std::string::npos) << wanted << "\n" << driver;
  run_well({"osslsigncode", "verify", "-CAfile", rig.ca_root(), "-in", files / "extra.cab"});
  const json listed = json::parse(run_well({program("coldseal"), "signature", "list", "--json", files / "bundled.dll"}));
  ASSERT_EQ(listed["signatures"].size(), 2U);
  EXPECT_NE(listed["signatures"][0]["signer"].get<std::string>().find("Test Leaf"), std::string::npos) << listed;
  EXPECT_NE(listed["signatures"][1]["signer"].get<std::string>().find("Coldseal Example Drivers"), std::string::npos) << listed;
  EXPECT_EQ(listed["signatures"][1]["pageHashes"], "SHA-256");

  const Command verify = {program("coldseal"), "verify", files, "--receipt", folder / "signed" / id / "receipt.dsse.json", "--trust", rig.trust()};
  const Finished verified = run(verify);
  EXPECT_EQ(verified.status, 0) << verified.output;
  // Somebody else's second signature in place of ours is not what the officers approved.
  run_well({program("coldseal"), "signature", "extract", files / "bundled.dll", "--nested", "1", "-o", folder / "ours.der"});
  run_well({program("coldseal"), "signature", "remove", files / "bundled.dll", "--nested", "1", "-o", files / "bundled.dll"});
  EXPECT_EQ(read_file(files / "bundled.dll"), read_file(package / "bundled.dll"));   // the first one was not touched
  EXPECT_EQ(run(verify).status, 1);
  run_well({program("coldseal"), "signature", "attach", files / "bundled.dll", folder / "ours.der", "--append", "-o", files / "bundled.dll"});
  EXPECT_EQ(run(verify).status, 0);
}

TEST(SignatureOperations, AProfileForOldWindowsSignsEachFileTwiceAndTheReceiptAnswersForBoth) {
  const TempDir folder;
  ApplianceRig rig(folder / "rig");
  rig.provision();
  const fs::path configuration = rig.root() / "etc/coldseal/coldseal.toml";
  std::string text = read_text(configuration);
  const std::string before = R"(operations = ["embed", "catalog"])";
  text.replace(text.find(before), before.size(), before + "\ndual_signing = true");
  write_text(configuration, text);
  rig.administer({"configuration", "approve"}, {ApplianceRig::administrators()[0], ApplianceRig::administrators()[1]});
  rig.start_daemon();
  const Background courier = rig.start_courier({"--stick", rig.stick()});
  const std::string id = rig.make_request(COLDSEAL_SAMPLE_DIR, "7_X64", rig.stick(), {});
  rig.wait_for_journal(id, "waits for the officers");
  rig.approve(id, {ApplianceRig::officers()[1], ApplianceRig::officers()[2]});
  wait_until("the response is on the stick", [&] { return fs::exists(rig.stick() / "coldseal/responses" / id); });
  run_well({program("coldseal"), "collect", "--from", rig.stick(), "-o", folder / "signed"});
  const fs::path files = folder / "signed" / id / "files";
  for (const char* const name : {"coldsample.sys", "coldsample.exe"}) {
    const std::string judged = run_well({"osslsigncode", "verify", "-CAfile", rig.ca_root(), "-in", files / name});
    for (const char* const wanted : {"SHA1", "SHA256"}) EXPECT_NE(judged.find(wanted), std::string::npos) << wanted << "\n" << judged;
    const json listed = json::parse(run_well({program("coldseal"), "signature", "list", "--json", files / name}));
    EXPECT_EQ(listed["signatures"].size(), 2U) << listed;
  }
  run_well({"osslsigncode", "verify", "-CAfile", rig.ca_root(), "-in", files / "coldsample.cat"});   // one signature, SHA-256
  const Command verify = {program("coldseal"), "verify", files, "--receipt", folder / "signed" / id / "receipt.dsse.json", "--trust", rig.trust()};
  const Finished verified = run(verify);
  EXPECT_EQ(verified.status, 0) << verified.output;
  EXPECT_NE(verified.output.find("signature.sha1"), std::string::npos) << verified.output;
  // The officers approved both: without the second one the file is not what they approved.
  const fs::path driver = files / "coldsample.sys";
  run_well({program("coldseal"), "signature", "remove", driver, "--nested", "1", "-o", driver});
  const Finished without = run(verify);
  EXPECT_EQ(without.status, 1);
  EXPECT_NE(without.output.find("receipt."), std::string::npos) << without.output;
}

TEST(SignatureOperations, AreRefusedWhenTheProfileDoesNotAllowThem) {
  const TempDir folder;
  ApplianceRig rig(folder.path());
  rig.provision();
  rig.start_daemon();
  const Background courier = rig.start_courier({"--stick", rig.stick()});
  const std::string id = rig.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", rig.stick(), {"--operations", "embed,page-hashes"});
  wait_until("the refusal is on the stick", [&] { return fs::exists(rig.stick() / "coldseal/responses" / id); });
  run_well({program("coldseal"), "collect", "--from", rig.stick(), "-o", folder / "answer"});
  const Finished answer = run({program("coldseal"), "verify", folder / "answer" / id, "--receipt", folder / "answer" / id / "receipt.dsse.json", "--trust", rig.trust()});
  EXPECT_EQ(answer.status, 1);
  EXPECT_NE(answer.output.find("does not allow the operation \"page-hashes\""), std::string::npos) << answer.output;
}

}  // namespace
}  // namespace tests
