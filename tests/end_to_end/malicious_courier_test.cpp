// A courier that was taken over writes what it likes into the inbox, at the worst moments. Officers are never shown, and the TPM
// never signs, anything but the files that the submitter signed for; and officers are served all the while.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "crypto/digest.hpp"
#include "tests/support/appliance_rig.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

class MaliciousCourier : public testing::Test {
 protected:
  MaliciousCourier() : rig_(folder_ / "rig") {
    rig_.provision();
    rig_.start_daemon();
  }
  ForgedRequest request() { return ForgedRequest(rig_, COLDSEAL_SAMPLE_DIR, folder_ / ("host-" + std::to_string(++count_))); }
  fs::path inbox(const ForgedRequest& request) const { return rig_.state() / "inbox" / request.id(); }
  bool has_event(const ForgedRequest& request, const std::string& event) const {
    const std::vector<std::string> events = rig_.audit_events(request.id());
    return std::find(events.begin(), events.end(), event) != events.end();
  }
  // The screen names every file with the digest that the submitter signed; and what is signed is made of these files.
  void expect_shown_and_signed_as_submitted(const ForgedRequest& request) {
    {
      const std::unique_ptr<AtTerminal> console = rig_.open_request(request.id());
      for (const char* const name : {"coldsample.exe", "coldsample.inf", "coldsample.sys"}) {
        const std::string digest = crypto::sha256(read_file(request.files() / name)).hex();
        EXPECT_NE(console->screen().find(digest), std::string::npos) << name << "\n" << console->screen();
      }
    }
    rig_.approve(request.id(), {ApplianceRig::officers()[0], ApplianceRig::officers()[1]});
    rig_.wait_for_response(request.id());
    const Finished verified = run({program("coldseal"), "verify", rig_.outbox(request.id()) / "files", "--receipt",
                                   rig_.outbox(request.id()) / "receipt.dsse.json", "--trust", rig_.trust()});
    EXPECT_EQ(verified.status, 0) << verified.output;
    EXPECT_EQ(read_file(rig_.outbox(request.id()) / "files/coldsample.inf"), read_file(request.files() / "coldsample.inf"));
    // What was signed is the submitted image: without its signature it is that again.
    const fs::path bare = folder_ / "bare.sys";
    fs::remove(bare);
    run_well({"osslsigncode", "remove-signature", "-in", rig_.outbox(request.id()) / "files/coldsample.sys", "-out", bare});
    const base::Bytes submitted = read_file(request.files() / "coldsample.sys");
    base::Bytes came_back = read_file(bare);
    ASSERT_GE(came_back.size(), submitted.size());
    // The checksum at its place in the optional header is the only other thing that signing changes.
    const std::size_t at = submitted[0x3c] + submitted[0x3d] * 256U + 24 + 64;
    for (std::size_t i = 0; i < 4; ++i) came_back[at + i] = submitted[at + i];
    came_back.resize(submitted.size());
    EXPECT_EQ(came_back, submitted);
  }

  TempDir folder_;
  ApplianceRig rig_;
  int count_ = 0;
};

TEST_F(MaliciousCourier, FilesSwappedWhileTheyAreCheckedAreRefusedOrNeverSeen) {
  int taken = 0;
  int refused = 0;
  constexpr int kRounds = 16;
  for (int round = 0; round < kRounds; ++round) {
    const ForgedRequest victim = request();
    // The driver, or the manifest that says what it must be.
    const std::string name = round % 4 < 2 ? "files/coldsample.sys" : "request.dsse.json";
    const base::Bytes good = read_file(victim.path() / name);
    base::Bytes evil = good;
    evil[evil.size() / 2] ^= 0xff;
    write_file(folder_ / "good", good);
    write_file(folder_ / "evil", evil);
    std::atomic<bool> over = false;
    // In place through a descriptor that was open before coldseald looked, and by renames, as fast as it goes.
    std::thread courier([&] {
      const fs::path file = inbox(victim) / name;
      for (int turn = 0; !over; ++turn) {
        if (round % 2 == 0) {
          const int descriptor = open(file.c_str(), O_WRONLY | O_CLOEXEC);
          if (descriptor < 0) continue;
          for (int i = 0; i < 50 && !over; ++i) {
            const base::Bytes& bytes = i % 2 == 0 ? evil : good;
            (void)!pwrite(descriptor, bytes.data(), bytes.size(), 0);
          }
          close(descriptor);
        } else {
          std::error_code gone;
          const fs::path beside = folder_ / "swap";   // in the same file system
          fs::copy_file(folder_ / (turn % 2 == 0 ? "evil" : "good"), beside, fs::copy_options::overwrite_existing, gone);
          fs::rename(beside, file, gone);
        }
      }
    });
    victim.into_inbox();
    wait_until("coldseald has decided", [&] { return has_event(victim, "inspected") || has_event(victim, "refused") || has_event(victim, "intake-refused"); });
    over = true;
    courier.join();
    if (!has_event(victim, "received")) {
      ++refused;
      EXPECT_EQ(rig_.audit_events(victim.id()).front(), "intake-refused");
      EXPECT_FALSE(fs::exists(rig_.outbox(victim.id()) / "files"));
      continue;
    }
    ++taken;
    ASSERT_TRUE(has_event(victim, "inspected")) << "received, and refused afterwards: its id is spent on bytes that nobody checked";
    // And swapped when all checks are over: the same id comes again, with other files.
    if (!fs::exists(inbox(victim))) {
      write_file(victim.path() / name, evil);
      victim.into_inbox();
      write_file(victim.path() / name, good);
      rig_.wait_for_journal(victim.id(), "seen before");
    }
    expect_shown_and_signed_as_submitted(victim);
  }
  std::cout << taken << " taken as they were signed, " << refused << " refused" << std::endl;
  // Both ways were met: an evil file was there when coldseald read it, and a good one.
  EXPECT_GT(refused, 0);
  EXPECT_GT(taken, 0);
}

TEST_F(MaliciousCourier, AFloodOfJunkIsRefusedWhileOfficersAreServedAndGoodRequestsComeThrough) {
  constexpr int kJunk = 150;
  const fs::path inbox = rig_.state() / "inbox";
  for (int i = 0; i < kJunk; ++i) {
    const std::string id = crypto::sha256(base::as_bytes("junk " + std::to_string(i))).hex();
    write_text(inbox / id / "request.dsse.json", i % 2 == 0 ? "{}" : std::string(1U << 20, 'x'));
    write_text(inbox / id / "files/a.sys", "MZ");
  }
  const ForgedRequest good = request();
  good.into_inbox();
  std::chrono::milliseconds longest{0};
  int asked = 0;
  const auto begun = std::chrono::steady_clock::now();
  while (!has_event(good, "inspected")) {
    const auto before = std::chrono::steady_clock::now();
    AtTerminal console({program("coldseal-console"), "--root", rig_.root()});
    console.expect("number to read a request");
    longest = std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - before));
    ++asked;
    ASSERT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(120));
  }
  std::cout << "asked " << asked << " times; the longest wait was " << longest.count() << " ms" << std::endl;
  EXPECT_LT(longest, std::chrono::seconds(5));
  expect_shown_and_signed_as_submitted(good);
  wait_until("the junk is gone", [&] { return fs::is_empty(inbox); }, std::chrono::seconds(120));
  int refused = 0;
  for (const std::string& event : rig_.audit_events())
    if (event == "intake-refused") ++refused;
  EXPECT_EQ(refused, kJunk);
}

}  // namespace
}  // namespace tests
