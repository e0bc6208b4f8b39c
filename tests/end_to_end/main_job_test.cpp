// The main job through the real programs: a package goes in unsigned and comes back signed, catalogued and receipted.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/appliance_rig.hpp"
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

void expect_sample_signed(const ApplianceRig& rig, const fs::path& response) {
  for (const char* const name : {"coldsample.sys", "coldsample.exe", "coldsample.cat"})
    expect_osslsigncode_accepts(response / "files" / name, rig.ca_root());
  for (const char* const name : {"coldsample.sys", "coldsample.exe"}) {
    const Finished covered = run({"osslsigncode", "verify", "-catalog", response / "files/coldsample.cat", "-in", response / "files" / name, "-CAfile", rig.ca_root()});
    EXPECT_EQ(covered.status, 0) << name << "\n" << covered.output;
  }
  EXPECT_EQ(read_file(response / "files/coldsample.inf"), read_file(fs::path(COLDSEAL_SAMPLE_DIR) / "coldsample.inf"));
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
  expect_sample_signed(rig, folder / "signed" / id);
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
  run_well({program("coldseal"), "collect", "--serial", cable.host_end(), "-o", folder / "signed"});
  expect_sample_signed(rig, folder / "signed" / id);
}

}  // namespace
}  // namespace tests
