// The main job through the real programs: a package goes in unsigned and comes back signed, catalogued and receipted.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/der_skeleton.hpp"
#include "tests/support/process.hpp"
#include "tests/support/serial_cable.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

// osslsigncode is the judge that knows nothing of us.
void expect_osslsigncode_accepts(const fs::path& file, const fs::path& root) {
  const Finished verdict = run({"osslsigncode", "verify", "-in", file, "-CAfile", root});
  EXPECT_EQ(verdict.status, 0) << file << "\n" << verdict.output;
}

// The sample's driver, as others' readers of PE files see it, unsigned and signed.
void expect_others_read(const fs::path& driver) {
  const std::string headers = run_well({"objdump", "-p", driver});
  EXPECT_NE(headers.find("(NT native)"), std::string::npos) << headers;
  EXPECT_NE(headers.find("(PE32+)"), std::string::npos) << headers;
}

void expect_signed(const ApplianceRig& rig, const fs::path& response, const fs::path& package) {
  for (const char* const name : {"coldsample.sys", "coldsample.exe", "coldsample.cat"})
    expect_osslsigncode_accepts(response / "files" / name, rig.ca_root());
  expect_others_read(package / "coldsample.sys");
  expect_others_read(response / "files/coldsample.sys");
  const std::string listed = run_well({"sbverify", "--list", response / "files/coldsample.sys"});
  EXPECT_NE(listed.find("CN=Coldseal Example Drivers"), std::string::npos) << listed;
  EXPECT_EQ(pe_signature_skeleton(response / "files/coldsample.sys"), kSignToolSkeleton);
  for (const char* const name : {"coldsample.sys", "coldsample.exe"}) {
    const Finished covered = run({"osslsigncode", "verify", "-catalog", response / "files/coldsample.cat", "-in", response / "files" / name, "-CAfile", rig.ca_root()});
    EXPECT_EQ(covered.status, 0) << name << "\n" << covered.output;
  }
  EXPECT_EQ(read_file(response / "files/coldsample.inf"), read_file(package / "coldsample.inf"));
  const Finished verified = run({program("coldseal"), "verify", response / "files", "--receipt", response / "receipt.dsse.json", "--trust", rig.trust()});
  EXPECT_EQ(verified.status, 0) << verified.output;
}

TEST(MainJob, AStickCarriesAPackageInAndSignedFilesOut) {
  const TempDir folder;
  ApplianceRig rig(folder.path());
  rig.provision();
  rig.start_daemon();
  const Background courier = rig.start_courier({"--stick", rig.stick()});
  const std::string id = rig.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", rig.stick());
  rig.wait_for_journal(id, "waits for the officers");
  rig.approve(id, {ApplianceRig::officers()[2], ApplianceRig::officers()[0]});
  const fs::path response = rig.stick() / "coldseal/responses" / id;
  wait_until("the response is on the stick", [&] { return fs::exists(response); });
  run_well({program("coldseal"), "collect", "--from", rig.stick(), "-o", folder / "signed"});
  expect_signed(rig, folder / "signed" / id, COLDSEAL_SAMPLE_DIR);
  EXPECT_EQ(rig.audit_events(id), (std::vector<std::string>{"received", "inspected", "review-opened", "approval-started", "approved-by",
                                                            "approved-by", "signing", "signed", "delivered-to-outbox"}));
}

TEST(MainJob, ASerialCableCarriesAPackageInAndSignedFilesOut) {
  const TempDir folder;
  ApplianceRig rig(folder.path());
  rig.provision();
  rig.start_daemon();
  SerialCable cable;
  const Background courier = rig.start_courier({"--serial", cable.appliance_end()});
  const std::string id = rig.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", folder / "out");
  run_well({program("coldseal"), "send", "--serial", cable.host_end(), folder / "out/coldseal/requests" / id});
  rig.wait_for_journal(id, "waits for the officers");
  rig.approve(id, {ApplianceRig::officers()[0], ApplianceRig::officers()[1]});
  run_well({program("coldseal"), "collect", "--serial", cable.host_end(), "--key", rig.submitter_key(), "-o", folder / "signed"});
  expect_signed(rig, folder / "signed" / id, COLDSEAL_SAMPLE_DIR);
}

// One link for the way in and the way back: the build server's command ends with the signed files.
TEST(MainJob, AHostThatStaysOnTheSerialLinkGetsTheSignedFilesOnIt) {
  const TempDir folder;
  ApplianceRig rig(folder.path());
  rig.provision();
  rig.start_daemon();
  SerialCable cable;
  const Background courier = rig.start_courier({"--serial", cable.appliance_end()});
  const std::string id = rig.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", folder / "out");
  const std::string other = rig.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", folder / "out", {"--operations", "embed"});
  const Command list = {program("coldseal"), "collect", "--serial", cable.host_end(), "--key", rig.submitter_key(), "--list"};
  Background host({program("coldseal"), "send", "--serial", cable.host_end(), folder / "out/coldseal/requests" / id, "--wait", "120",
                   "--key", rig.submitter_key(), "-o", folder / "signed"}, folder / "host.log");
  host.wait_for("waits for the release officers");
  rig.approve(id, {ApplianceRig::officers()[0], ApplianceRig::officers()[1]});
  wait_until("the host has ended", [&] { return !host.is_running(); });
  EXPECT_NE(host.log().find("collected"), std::string::npos) << host.log();
  expect_signed(rig, folder / "signed" / id, COLDSEAL_SAMPLE_DIR);

  run_well({program("coldseal"), "send", "--serial", cable.host_end(), folder / "out/coldseal/requests" / other});
  rig.wait_for_journal(other, "waits for the officers");
  const std::string listed = run_well(list);
  EXPECT_NE(listed.find(id + "  the response waits"), std::string::npos) << listed;
  EXPECT_NE(listed.find(other + "  no response yet: waits for the release officers"), std::string::npos) << listed;
  // A restart of coldseald forgets nothing of it.
  rig.stop_daemon();
  rig.start_daemon();
  EXPECT_EQ(run_well(list), listed);
}

// The sample for systems before Windows 8: their catalogs are version 1, which lists files by their SHA-1 digests.
void write_windows_7_package(const fs::path& folder) {
  fs::copy(COLDSEAL_SAMPLE_DIR, folder);
  std::string inf = read_text(folder / "coldsample.inf");
  const auto replace_all = [&](std::string_view old, std::string_view by) {
    std::size_t count = 0;
    for (std::size_t at = inf.find(old); at != std::string::npos; at = inf.find(old, at + by.size()), ++count) inf.replace(at, old.size(), by);
    ASSERT_GT(count, 0U) << old;
  };
  replace_all("NTamd64.10.0...16299", "NTamd64");
  replace_all("= 13", "= 12");   // the driver store as a destination is newer
  replace_all("%13%", "%12%");
  write_text(folder / "coldsample.inf", inf);
}

TEST(MainJob, APackageForWindows7ComesBackWithAVersion1Catalog) {
  const TempDir folder;
  const fs::path package = folder / "package";
  write_windows_7_package(package);
  ApplianceRig rig(folder.path());
  rig.provision();
  rig.start_daemon();
  const Background courier = rig.start_courier({"--stick", rig.stick()});
  const std::string id = rig.make_request(package, "7_X64,Server2008R2_X64", rig.stick());
  rig.wait_for_journal(id, "waits for the officers");
  rig.approve(id, {ApplianceRig::officers()[1], ApplianceRig::officers()[2]});
  const fs::path response = rig.stick() / "coldseal/responses" / id;
  wait_until("the response is on the stick", [&] { return fs::exists(response); });
  run_well({program("coldseal"), "collect", "--from", rig.stick(), "-o", folder / "signed"});
  expect_signed(rig, folder / "signed" / id, package);
  const auto shown = nlohmann::json::parse(run_well({program("coldseal"), "catalog", "show", folder / "signed" / id / "files/coldsample.cat", "--json"}));
  EXPECT_EQ(shown.at("version"), 1);
  EXPECT_EQ(shown.at("os"), "7X64,Server2008R2X64");
  EXPECT_EQ(shown.at("members").size(), 3U);
}

// A catalog that came with the package is signed as it is: the same list, and osslsigncode takes it.
TEST(MainJob, ACatalogThatComesWithThePackageIsSignedAsItIs) {
  const TempDir folder;
  const fs::path package = folder / "package";
  fs::copy(COLDSEAL_SAMPLE_DIR, package);
  run_well({program("coldseal"), "catalog", "create", package, "--os", "10_X64"});
  ApplianceRig rig(folder.path());
  rig.provision();
  const fs::path configuration = rig.root() / "etc/coldseal/coldseal.toml";
  std::string text = read_text(configuration);
  const std::size_t at = text.find("\"catalog\"]");
  ASSERT_NE(at, std::string::npos);
  write_text(configuration, text.insert(at, "\"sign-catalog\", "));
  rig.administer({"configuration", "approve"}, {ApplianceRig::administrators()[0], ApplianceRig::administrators()[1]});
  rig.start_daemon();
  const Background courier = rig.start_courier({"--stick", rig.stick()});
  const std::string id = rig.make_request(package, "10_X64", rig.stick(), {"--operations", "sign-catalog"});
  rig.wait_for_journal(id, "waits for the officers");
  rig.approve(id, {ApplianceRig::officers()[0], ApplianceRig::officers()[2]});
  const fs::path response = rig.stick() / "coldseal/responses" / id;
  wait_until("the response is on the stick", [&] { return fs::exists(response); });
  run_well({program("coldseal"), "collect", "--from", rig.stick(), "-o", folder / "signed"});
  const fs::path files = folder / "signed" / id / "files";
  expect_osslsigncode_accepts(files / "coldsample.cat", rig.ca_root());
  run_well({program("coldseal"), "catalog", "diff", package / "coldsample.cat", files / "coldsample.cat"});
  EXPECT_EQ(read_file(files / "coldsample.sys"), read_file(package / "coldsample.sys"));
  const Finished verified = run({program("coldseal"), "verify", files, "--receipt", folder / "signed" / id / "receipt.dsse.json", "--trust", rig.trust()});
  EXPECT_EQ(verified.status, 0) << verified.output;
}

}  // namespace
}  // namespace tests
