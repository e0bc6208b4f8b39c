// Requests that must not come through: each is refused with its reason in a signed receipt, nothing of it stays behind, and
// the appliance goes on.
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "crypto/base/limits.hpp"
#include "crypto/transparency/dsse.hpp"
#include "crypto/transparency/receipt.hpp"
#include "tests/support/appliance_rig.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

class BadRequest : public testing::Test {
 protected:
  BadRequest() : rig_(folder_.path()) {
    rig_.provision();
    rig_.start_daemon();
  }

  ForgedRequest forge() {
    return ForgedRequest(rig_, COLDSEAL_SAMPLE_DIR, folder_ / ("forged-" + std::to_string(++count_)));
  }

  // The reason in the receipt, which must be signed by the appliance's receipt key.
  std::string refusal_of(const std::string& id) {
    rig_.wait_for_response(id);
    const std::string text = read_text(rig_.outbox(id) / "receipt.dsse.json");
    const std::string pem = read_text(rig_.trust() / "receipt-key.pem");
    const auto key = crypto::PublicKey::parse_pem(pem);
    const auto envelope = transparency::Envelope::parse(text, base::limits::kReceiptBytes);
    if (!key || !envelope) return "no readable receipt";
    const auto json = envelope->verify(*key, transparency::kStatementPayloadType);
    if (!json) return json.error().text();
    const auto receipt = transparency::Receipt::from_json(*json);
    if (!receipt) return receipt.error().text();
    EXPECT_EQ(receipt->outcome, transparency::Outcome::refused);
    EXPECT_TRUE(receipt->outputs.empty());
    return receipt->reason;
  }

  void expect_refused(const ForgedRequest& request, const std::string& reason) {
    SCOPED_TRACE(reason);
    request.into_inbox();
    EXPECT_NE(refusal_of(request.id()).find(reason), std::string::npos) << refusal_of(request.id());
    EXPECT_FALSE(fs::exists(rig_.outbox(request.id()) / "files"));
    EXPECT_EQ(rig_.audit_events(request.id()), std::vector<std::string>{"intake-refused"});
    wait_until("the inbox is empty", [&] { return fs::is_empty(rig_.state() / "inbox"); });
    EXPECT_TRUE(fs::is_empty(rig_.state() / "spool"));
  }

  void courier_log_shows(const std::string& text) {
    wait_until("the courier says: " + text, [&] { return read_text(folder_ / "courier.log").find(text) != std::string::npos; });
  }

  void expect_goes_on() {
    const ForgedRequest good = forge();
    good.into_inbox();
    rig_.wait_for_journal(good.id(), "waits for the officers");
  }

  TempDir folder_;
  ApplianceRig rig_;
  int count_ = 0;
};

TEST_F(BadRequest, FilesThatAreNotTheManifestsAreRefused) {
  {
    const ForgedRequest truncated = forge();
    fs::resize_file(truncated.files() / "coldsample.sys", 1000);
    expect_refused(truncated, "coldsample.sys: 1000 bytes, the manifest says");
  }
  {
    const ForgedRequest altered = forge();
    base::Bytes bytes = read_file(altered.files() / "coldsample.sys");
    bytes[bytes.size() / 2] ^= 1;
    write_file(altered.files() / "coldsample.sys", bytes);
    expect_refused(altered, "coldsample.sys: SHA-256");
  }
  {
    const ForgedRequest missing = forge();
    fs::remove(missing.files() / "coldsample.exe");
    expect_refused(missing, "coldsample.exe: the manifest names it, but it is missing");
  }
  {
    const ForgedRequest extra = forge();
    write_text(extra.files() / "extra.dll", "MZ");
    expect_refused(extra, "extra.dll: is there, but the manifest does not name it");
  }
  {
    const ForgedRequest linked = forge();
    fs::remove(linked.files() / "coldsample.sys");
    fs::create_symlink("/etc/shadow", linked.files() / "coldsample.sys");
    expect_refused(linked, "symbolic link");
  }
  {
    const ForgedRequest no_files = forge();
    fs::remove_all(no_files.files());
    expect_refused(no_files, "the manifest names it, but it is missing");
  }
  expect_goes_on();
}

TEST_F(BadRequest, PathsThatLeaveThePackageOrMeanSomethingToWindowsAreRefused) {
  const std::pair<const char*, const char*> cases[] = {
      // Each sorts before the other files, as the manifest's order demands.
      {"../escape.sys", "\"..\""}, {"/etc/escape.sys", "/etc/escape.sys"}, {"a/../../escape.sys", "\"..\""},
      {"CON", "CON"},              {"NUL.sys", "NUL.sys"},                 {"a\\\\b.sys", "a\\b.sys"},
      {"a.sys.", "a.sys."},        {"COLDSAMPLE.INF", "case"},
  };
  for (const auto& [path, reason] : cases) {
    ForgedRequest request = forge();
    const bool clash = std::string_view(path) == "COLDSAMPLE.INF";
    if (clash) {
      const std::string entry = request.payload().substr(request.payload().find("{\"path\":\"coldsample.inf\""));
      const std::string whole = entry.substr(0, entry.find('}') + 1);
      std::string upper = whole;
      upper.replace(upper.find("coldsample.inf"), 14, "COLDSAMPLE.INF");
      request.sign_payload(request.payload_with("\"files\":[", "\"files\":[" + upper + ","));
    } else {
      request.sign_payload(request.payload_with("coldsample.exe", path));
    }
    expect_refused(request, reason);
  }
  expect_goes_on();
}

TEST_F(BadRequest, ManifestsThatAreNotASubmittersAreRefused) {
  {
    ForgedRequest stranger = forge();
    run_well({program("coldseal"), "key", "create", "-o", folder_ / "stranger.pem", "--no-passphrase"});
    stranger.sign_payload(stranger.payload_with("\"note\":\"", "\"note\":\"x"), folder_ / "stranger.pem");
    expect_refused(stranger, "not enrolled");
  }
  {
    const ForgedRequest forged = forge();
    std::string text = read_text(forged.manifest());
    // A character of the signature that holds whole bits of it.
    const std::size_t at = text.find("\"sig\":\"") + 12;
    text[at] = text[at] == 'A' ? 'B' : 'A';
    write_text(forged.manifest(), text);
    expect_refused(forged, "signature");
  }
  {
    const ForgedRequest huge = forge();
    write_text(huge.manifest(), std::string(10U << 20, ' '));
    expect_refused(huge, "4194304");
  }
  {
    ForgedRequest unknown = forge();
    unknown.sign_payload(unknown.payload_with("\"files\":[", "\"extra\":1,\"files\":["));
    expect_refused(unknown, "extra");
  }
  {
    ForgedRequest version = forge();
    version.sign_payload(version.payload_with("\"note\":\"", "\"note\":\"v2"), {}, "application/vnd.coldseal.request.v2+json");
    expect_refused(version, "v2");
  }
  {
    const ForgedRequest nothing = forge();
    fs::remove(nothing.manifest());
    expect_refused(nothing, "request.dsse.json");
  }
  {
    ForgedRequest profile = forge();
    profile.sign_payload(profile.payload_with("\"profile\":\"release\"", "\"profile\":\"golden\""));
    expect_refused(profile, "no profile \"golden\"");
  }
  {
    ForgedRequest unknown = forge();
    unknown.sign_payload(unknown.payload_with("10_X64", "10_X46"));
    expect_refused(unknown, "10_X46");
  }
  expect_goes_on();
}

TEST_F(BadRequest, AGoodRequestIsTakenAfterADamagedCopyOfItWasRefused) {
  const ForgedRequest request = forge();
  const base::Bytes good = read_file(request.files() / "coldsample.sys");
  fs::resize_file(request.files() / "coldsample.sys", 100);
  expect_refused(request, "coldsample.sys: 100 bytes");
  write_file(request.files() / "coldsample.sys", good);
  request.into_inbox();
  rig_.wait_for_journal(request.id(), "waits for the officers");
}

TEST_F(BadRequest, ARequestDamagedOnItsStickIsTakenOnceItIsWhole) {
  const Background courier = rig_.start_courier({"--stick", rig_.stick()});
  const std::string id = rig_.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", folder_ / "elsewhere");
  const fs::path requests = rig_.stick() / "coldseal/requests";
  fs::create_directories(requests);
  fs::copy(folder_ / "elsewhere/coldseal/requests" / id, folder_ / "damaged", fs::copy_options::recursive);
  fs::resize_file(folder_ / "damaged/files/coldsample.sys", 10);
  fs::rename(folder_ / "damaged", requests / id);
  const fs::path response = rig_.stick() / "coldseal/responses" / id;
  wait_until("the refusal is on the stick", [&] { return fs::exists(response); });
  EXPECT_NE(refusal_of(id).find("coldsample.sys: 10 bytes"), std::string::npos);
  // The submitter copies it anew: the stick leaves and comes back.
  fs::rename(requests, folder_ / "stick-is-away");
  courier_log_shows("stick gone");
  fs::remove_all(folder_ / "stick-is-away" / id);
  fs::copy(folder_ / "elsewhere/coldseal/requests" / id, folder_ / "stick-is-away" / id, fs::copy_options::recursive);
  fs::rename(folder_ / "stick-is-away", requests);
  rig_.wait_for_journal(id, "waits for the officers");
}

TEST_F(BadRequest, ADriverThatTwoReadersReadDifferentlyIsRefusedAfterInspection) {
  const fs::path package = folder_ / "ambiguous";
  fs::copy(COLDSEAL_SAMPLE_DIR, package, fs::copy_options::recursive);
  base::Bytes driver = read_file(package / "coldsample.sys");
  // SizeOfRawData of the first section, 512 bytes less: bytes that no section claims, hashed by one reading only.
  const std::size_t pe = driver[0x3C] | static_cast<std::size_t>(driver[0x3D]) << 8;
  const std::size_t section = pe + 24 + (driver[pe + 20] | static_cast<std::size_t>(driver[pe + 21]) << 8);
  ASSERT_GE(driver[section + 17], 2);
  driver[section + 17] = static_cast<std::uint8_t>(driver[section + 17] - 2);
  write_file(package / "coldsample.sys", driver);
  const fs::path stick = folder_ / "ambiguous-stick";
  const std::string id = rig_.make_request(package, "10_X64", stick, {"--force"});
  fs::copy(stick / "coldseal/requests" / id, rig_.state() / "inbox" / id, fs::copy_options::recursive);
  EXPECT_NE(refusal_of(id).find("inspection"), std::string::npos);
  EXPECT_EQ(rig_.audit_events(id), (std::vector<std::string>{"received", "refused", "delivered-to-outbox"}));
  wait_until("the spool is empty", [&] { return fs::is_empty(rig_.state() / "spool"); });
  expect_goes_on();
}

}  // namespace
}  // namespace tests
