// Killing a program does not show a missing fsync: what it wrote is in the machine's memory all the same. Here the order of the
// calls is looked at instead, over a whole request of coldseald and the courier: a line of the log is on the disk before
// anything else happens, and nothing gets its final name before it is on the disk. And a console hears of a wrong PIN, or of a
// blocked officer, only when the log has it.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/faults.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

struct Point {
  std::string call;   // "fsync", "rename to"
  fs::path path;
};

Point point_of(const std::string& line) {
  const std::size_t space = line.rfind(" /");
  return space == std::string::npos ? Point{line, {}} : Point{line.substr(0, space), line.substr(space + 1)};
}
bool is_sync(const Point& point) { return point.call == "fsync" || point.call == "fdatasync"; }

// What must be synced at once, before any other call: a line of the log; the folder of a new or changed name.
std::optional<fs::path> to_sync_next(const Point& point) {
  const bool is_log = point.path.filename() == "audit.jsonl";
  if (is_log && point.call == "write") return point.path;
  if ((is_log && point.call == "open") || point.call == "mkdir" || point.call.starts_with("rename")) return point.path.parent_path();
  return {};
}

// Where the calls break the order, in words; empty when they keep it.
std::vector<std::string> disorders(const std::vector<std::string>& calls) {
  std::vector<std::string> found;
  std::set<fs::path> dirty;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const Point point = point_of(calls[i]);
    if (point.call == "write" && !point.path.empty() && !point.path.string().starts_with("/memfd:")) dirty.insert(point.path);
    if (is_sync(point)) dirty.erase(point.path);
    if (point.call.starts_with("rename") && !dirty.empty()) found.push_back(calls[i] + " while unsynced: " + dirty.begin()->string());
    if (const std::optional<fs::path> wanted = to_sync_next(point)) {
      while (i + 1 < calls.size() && calls[i + 1] == calls[i]) ++i;   // the rest of what was written; a rename tried in another way
      const Point next = i + 1 < calls.size() ? point_of(calls[i + 1]) : Point{"the end", {}};
      if (!is_sync(next) || next.path != *wanted) found.push_back(calls[i] + ", then " + next.call + " " + next.path.string());
    }
  }
  for (const fs::path& left : dirty) found.push_back("never synced: " + left.string());
  return found;
}

void expect_order(const std::vector<std::string>& calls) {
  for (const std::string& disorder : disorders(calls)) ADD_FAILURE() << disorder;
  // Each sync that was made is needed: without it the order would be broken.
  std::size_t syncs = 0;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (!is_sync(point_of(calls[i]))) continue;
    std::vector<std::string> without = calls;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_FALSE(disorders(without).empty()) << i << ": " << calls[i];
    ++syncs;
  }
  EXPECT_GT(syncs, 20U);
}

// Where that call is, or the end.
std::size_t at(const std::vector<std::string>& calls, const std::string& begin, const std::string& end = "") {
  const auto found = std::find_if(calls.begin(), calls.end(), [&](const std::string& call) { return call.starts_with(begin) && call.ends_with(end); });
  EXPECT_NE(found, calls.end()) << begin << " ... " << end;
  return static_cast<std::size_t>(found - calls.begin());
}

// The line that says so stands in the log before what it says is seen.
void expect_lines_first(const std::vector<std::string>& calls, const std::string& id) {
  EXPECT_LT(at(calls, "event received"), at(calls, "rename", "/spool/" + id));
  EXPECT_LT(at(calls, "event inspected"), at(calls, "event approval-started"));
  EXPECT_LT(at(calls, "event signing"), at(calls, "open ", "/outbox/" + id + ".part/files/coldsample.sys.part"));
  EXPECT_LT(at(calls, "event signed"), at(calls, "open ", "/outbox/" + id + ".part/receipt.dsse.json.part"));
  EXPECT_LT(at(calls, "event delivered-to-outbox"), at(calls, "rename", "/outbox/" + id));
}

TEST(WriteOrder, OfARequestLetsNothingTakeEffectBeforeItIsOnTheDisk) {
  const TempDir folder;
  Faults daemon_calls;
  Faults courier_calls;
  daemon_calls.let_the_clock_run(20);   // it looks for deliveries every few seconds
  daemon_calls.trace();
  courier_calls.trace();
  ApplianceRig rig(folder.path());
  rig.provision();
  rig.run_daemon_under(daemon_calls);
  rig.start_daemon();
  std::string id;
  {
    const Background courier(courier_calls.before(rig.courier({"--stick", rig.stick()})), folder / "courier.log");
    id = rig.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", rig.stick());
    rig.wait_for_journal(id, "waits for the officers");
    rig.approve(id, {ApplianceRig::officers()[0], ApplianceRig::officers()[1]});
    wait_until("the response is on the stick", [&] { return fs::exists(rig.stick() / "coldseal/responses" / id); });
    wait_until("coldseald knows that it was delivered", [&] {
      const std::vector<std::string> events = rig.audit_events(id);
      return std::find(events.begin(), events.end(), "delivered") != events.end();
    });
  }
  rig.stop_daemon();
  expect_order(daemon_calls.traced());
  expect_lines_first(daemon_calls.traced(), id);
  expect_order(courier_calls.traced());
}

// What was said to that socket before a line of the log was on the disk; empty when nothing was.
std::string told_too_early(const std::vector<std::string>& calls, const std::string& socket) {
  bool is_written = false;
  bool is_synced = false;
  for (const std::string& call : calls) {
    const Point point = point_of(call);
    const bool is_log = point.path.filename() == "audit.jsonl";
    if (is_log && point.call == "write") {
      is_written = true;
      is_synced = false;
    }
    if (is_log && is_sync(point)) is_synced = is_written;
    if (call == socket && !is_synced) return call;
  }
  return "";
}

TEST(WriteOrder, AWrongPinAndABlockedOfficerAreInTheLogBeforeTheConsoleHearsOfThem) {
  const TempDir folder;
  Faults calls;
  calls.trace();
  ApplianceRig rig(folder / "rig");
  rig.provision();
  rig.run_daemon_under(calls);
  rig.start_daemon();
  const ForgedRequest request(rig, COLDSEAL_SAMPLE_DIR, folder / "host");
  request.into_inbox();
  rig.wait_for_journal(request.id(), "waits for the officers");
  const auto console = rig.open_request(request.id());
  console->type("a");
  console->expect("type yes");
  console->type("yes");
  for (const char* const left : {"4 tries", "3 tries", "2 tries", "1 try", "no tries left", "officer is blocked"}) {
    console->expect("officer (");
    console->type("ada");
    console->expect("PIN of ada");
    const std::vector<std::string> before = calls.traced();
    const std::string socket = before.back();   // the answer that brought the prompt: "send socket:[4711]"
    ASSERT_TRUE(socket.starts_with("send socket:")) << socket;
    console->type("999999");
    console->expect(left);
    std::vector<std::string> since = calls.traced();
    since.erase(since.begin(), since.begin() + static_cast<std::ptrdiff_t>(before.size()));
    const auto told = std::find(since.begin(), since.end(), socket);
    ASSERT_NE(told, since.end()) << left;
    EXPECT_EQ(told_too_early(since, socket), "") << left;
    // In another order it is noticed: an answer between writing and syncing the line, and one without any line.
    std::vector<std::string> reordered = since;
    const auto synced = std::find_if(reordered.begin(), reordered.end(), [](const std::string& call) { return is_sync(point_of(call)); });
    reordered.insert(synced, socket);
    EXPECT_EQ(told_too_early(reordered, socket), socket) << left;
    EXPECT_EQ(told_too_early({socket}, socket), socket);
  }
  EXPECT_EQ(rig.audit_events(request.id()).back(), "approval-failed");
}

}  // namespace
}  // namespace tests
