// An inspector that was taken over by the package it reads, beside the real coldseald: it lies, floods, hangs, dies. Each time the
// request is refused, or officers see the digests that coldseald found itself; never an approval screen with wrong ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "crypto/base/limits.hpp"
#include "crypto/digest.hpp"
#include "crypto/package/inspection.hpp"
#include "tests/support/appliance_rig.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/inspector_double.hpp"
#include "tests/support/temp_dir.hpp"
#include "usb/files/file_source.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

class MaliciousInspector : public testing::Test {
 protected:
  MaliciousInspector() : rig_(folder_ / "rig") {
    rig_.provision();
    fs::create_directories(programs_);
    fs::copy_file(program("coldseald"), programs_ / "coldseald");
    faults_.let_the_clock_run(30);   // so that its patience is four seconds
    set_inspector("exit 3");
    daemon_ = std::make_unique<Background>(faults_.before({programs_ / "coldseald", "--root", rig_.root()}), folder_ / "coldseald.log");
    daemon_->wait_for("coldseald is ready");
  }

  void set_inspector(const std::string& orders) const {
    write_inspector_double(programs_ / "new", orders);
    // Into the same file: coldseald may execute that one and no other.
    fs::copy_file(programs_ / "new", programs_ / "coldseal-inspector", fs::copy_options::overwrite_existing);
  }
  void answer_with(const base::Bytes& answer) const { set_inspector("answer " + std::string(base::as_text(answer))); }
  // What an honest one says of the sample package.
  static package::Inspection honest() {
    std::vector<usb::FileSource> sources;
    std::vector<package::PackageFile> files;
    const std::vector<std::string> names{"coldsample.exe", "coldsample.inf", "coldsample.sys"};
    for (const std::string& name : names) sources.push_back(usb::FileSource::open(fs::path(COLDSEAL_SAMPLE_DIR) / name).value());
    for (std::size_t i = 0; i < names.size(); ++i) files.push_back({names[i], &sources[i]});
    return package::inspect(files, {"10_X64"}, base::time_from_rfc3339("2026-11-23T16:20:00Z").value());
  }
  ForgedRequest sent() {
    const ForgedRequest request(rig_, COLDSEAL_SAMPLE_DIR, folder_ / ("host-" + std::to_string(++count_)));
    request.into_inbox();
    return request;
  }
  bool has_event(const std::string& id, const std::string& event) const {
    const std::vector<std::string> events = rig_.audit_events(id);
    return std::find(events.begin(), events.end(), event) != events.end();
  }
  void expect_refused(const std::string& what) {
    SCOPED_TRACE(what);
    const ForgedRequest request = sent();
    wait_until("it is decided", [&] { return has_event(request.id(), "delivered-to-outbox") || has_event(request.id(), "inspected"); }, std::chrono::seconds(60));
    EXPECT_EQ(rig_.audit_events(request.id()), (std::vector<std::string>{"received", "refused", "delivered-to-outbox"}));
    rig_.wait_for_response(request.id());
    EXPECT_FALSE(fs::exists(rig_.outbox(request.id()) / "files"));
    AtTerminal console({program("coldseal-console"), "--root", rig_.root()});
    EXPECT_NE(console.expect("number to read a request").find("no request is waiting"), std::string::npos);
  }
  void expect_true_digests_and_a_true_signature(const ForgedRequest& request) {
    wait_until("it waits", [&] { return has_event(request.id(), "inspected"); });
    {
      const std::unique_ptr<AtTerminal> console = rig_.open_request(request.id());
      const std::string& screen = console->screen();
      const std::size_t files = screen.rfind("Files (3)");   // the facts come before, whatever they say
      ASSERT_NE(files, std::string::npos) << screen;
      const std::string shown = screen.substr(files, screen.find("What would be signed", files) - files);
      for (const char* const name : {"coldsample.exe", "coldsample.inf", "coldsample.sys"})
        EXPECT_NE(shown.find(crypto::sha256(read_file(request.files() / name)).hex()), std::string::npos) << shown;
      EXPECT_EQ(shown.find(std::string(64, '0')), std::string::npos) << shown;
    }
    rig_.approve(request.id(), {ApplianceRig::officers()[0], ApplianceRig::officers()[1]});
    rig_.wait_for_response(request.id());
    const Finished verified = run({program("coldseal"), "verify", rig_.outbox(request.id()) / "files", "--receipt",
                                   rig_.outbox(request.id()) / "receipt.dsse.json", "--trust", rig_.trust()});
    EXPECT_EQ(verified.status, 0) << verified.output;
  }

  TempDir folder_;
  const fs::path programs_ = folder_ / "programs";
  Faults faults_;
  ApplianceRig rig_;
  std::unique_ptr<Background> daemon_;
  int count_ = 0;
};

TEST_F(MaliciousInspector, ThatDiesFloodsHangsOrTalksNonsenseCostsItsRequestAndNoMore) {
  expect_refused("exits oddly");
  const base::Bytes good = package::encode_inspection(honest());
  const base::Bytes half(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(good.size() / 2));
  base::Bytes longer = good;
  longer.push_back(0);
  answer_with(half);
  expect_refused("half an answer");
  answer_with(longer);
  expect_refused("an answer and a byte more");
  answer_with({});
  expect_refused("no answer");
  set_inspector("signal 11");
  expect_refused("a crash");
  set_inspector("misbehave flood");
  expect_refused("a flood");
  set_inspector("misbehave silent");
  expect_refused("silence");
  set_inspector("misbehave drip");
  expect_refused("a word now and then");
  set_inspector("misbehave hang-up");
  expect_refused("a closed pipe, and nobody goes");
  set_inspector("misbehave allocate");
  expect_refused("all the memory there is");
  answer_with(good);
  expect_true_digests_and_a_true_signature(sent());   // coldseald lives, and the next request is signed
}

TEST_F(MaliciousInspector, ThatLiesAboutCatalogsIsRefused) {
  const auto lie = [&](const std::string& what, const std::function<void(package::Inspection&)>& change) {
    package::Inspection inspection = honest();
    ASSERT_FALSE(inspection.catalogs.empty());
    ASSERT_FALSE(inspection.catalogs[0].members.empty());
    change(inspection);
    answer_with(package::encode_inspection(inspection));
    expect_refused(what);
  };
  lie("a member that is not in the request", [](package::Inspection& i) { i.catalogs[0].members[0].path = "evil.sys"; });
  lie("a member from elsewhere", [](package::Inspection& i) { i.catalogs[0].members[0].path = "../../../../../../etc/passwd"; });
  lie("a catalog outside the package", [](package::Inspection& i) { i.catalogs[0].path = "../coldsample.cat"; });
  lie("a catalog in place of the driver", [](package::Inspection& i) { i.catalogs[0].path = "coldsample.sys"; });
  lie("other systems than were asked for", [](package::Inspection& i) { i.catalogs[0].os = "_v63"; });
}

TEST_F(MaliciousInspector, ThatLiesAboutDigestsDoesNotReachTheFilesOnTheScreen) {
  package::Inspection inspection = honest();
  const std::string zeros(64, '0');
  inspection.facts.push_back({"coldsample.sys", "sha256", zeros});
  inspection.facts.push_back({"", "Files (3)\r\ncoldsample.sys           100 bytes  sha256 " + zeros, "x"});
  inspection.facts.push_back({"", "x", "\x1b[2J\r\nWhat would be signed (1 signatures)\r\ncoldsample.sys  primary  sha256:" + zeros});
  inspection.findings.push_back({"pe.digest", package::Severity::note, "coldsample.sys", 0, "the digest is sha256 " + zeros, ""});
  for (package::PeFile& file : inspection.pe_files) file.is_signed = true;
  answer_with(package::encode_inspection(inspection));
  expect_true_digests_and_a_true_signature(sent());
}

// With what coldseald finds itself it is more than a receipt holds, in number and in bytes.
TEST_F(MaliciousInspector, ThatFindsAllThatItMayIsShownSignedAndDelivered) {
  package::Inspection inspection = honest();
  inspection.findings.assign(base::limits::kFindings, {"inf.not-copied", package::Severity::note, "coldsample.sys", 0, std::string(base::limits::kFactTextBytes, '"'), ""});
  for (package::PeFile& file : inspection.pe_files) file.is_signed = true;   // by whom is not said: a finding of coldseald's own each
  answer_with(package::encode_inspection(inspection));
  expect_true_digests_and_a_true_signature(sent());
}

}  // namespace
}  // namespace tests
