// coldseald is killed at many moments of its work. After each, the log must verify, nothing half-made may be seen, and the
// request must be either answered once or waiting.
#include <gtest/gtest.h>

#include <signal.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "crypto/digest.hpp"
#include "crypto/transparency/audit_log_line.hpp"
#include "tests/support/appliance_rig.hpp"
#include "tests/support/faults.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/temp_dir.hpp"
#include "usb/wire/request.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

class PowerCuts : public testing::Test {
 protected:
  PowerCuts() : rig_(folder_.path()) {
    rig_.provision();
    rig_.start_daemon();
  }

  std::string log_text() const { return read_text(rig_.state() / "log/audit.jsonl"); }

  std::string last_line_of(const std::string& event) const {
    std::string found;
    std::istringstream lines(log_text());
    for (std::string line; std::getline(lines, line);)
      if (line.find("\"event\":\"" + event + "\"") != std::string::npos) found = line;
    return found;
  }

  bool log_has(const std::string& id, const std::string& event) const {
    std::istringstream lines(log_text());
    for (std::string line; std::getline(lines, line);)
      if (line.find("\"event\":\"" + event + "\"") != std::string::npos && line.find(id) != std::string::npos) return true;
    return false;
  }

  // Kills coldseald that long after the event was logged for the request, while `work` goes on.
  void kill_after(const std::string& id, const std::string& event, milliseconds delay, const std::function<void()>& work) {
    const pid_t daemon = rig_.daemon().pid();
    std::atomic<bool> over = false;
    std::thread killer([&] {
      while (!over && !log_has(id, event)) std::this_thread::sleep_for(milliseconds(1));
      std::this_thread::sleep_for(delay);
      ::kill(daemon, SIGKILL);
    });
    try {
      work();
    } catch (const std::runtime_error&) {
      // What it talked to is gone: that is what this is about.
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (rig_.daemon().is_running() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(milliseconds(5));
    over = true;
    killer.join();
    EXPECT_TRUE(log_has(id, event)) << event << " was never logged";
    rig_.daemon().kill();
    rig_.stop_daemon();
  }

  // The receipts that the log says were delivered; the chain must hold.
  std::map<std::string, std::string> delivered() const {
    std::map<std::string, std::string> receipts;
    transparency::AuditChain chain;
    std::istringstream lines(log_text());
    for (std::string line; std::getline(lines, line);) {
      const auto read = chain.accept(line);
      EXPECT_TRUE(read.has_value()) << read.error().text();
      if (!read || read->event != transparency::AuditEvent::delivered_to_outbox) continue;
      EXPECT_TRUE(receipts.emplace(read->request, read->data.at("receipt")).second) << "two receipts for " << read->request;
    }
    return receipts;
  }

  void expect_in_order(const std::string& id) {
    const auto receipts = delivered();
    for (const auto& entry : fs::directory_iterator(rig_.state() / "outbox")) {
      const std::string name = entry.path().filename().string();
      if (entry.path().extension() == ".waiting") {
        EXPECT_FALSE(receipts.contains(entry.path().stem().string())) << name << " does not wait any more";
        continue;
      }
      EXPECT_TRUE(wire::is_request_id(name)) << name << " is left in the outbox";
      const auto receipt = receipts.find(name);
      if (receipt == receipts.end()) {
        ADD_FAILURE() << "a response in the outbox was never logged: " << name;
        continue;
      }
      EXPECT_EQ(crypto::sha256(read_file(entry.path() / "receipt.dsse.json")).hex(), receipt->second);
    }
    for (const auto& [answered, receipt] : receipts) EXPECT_TRUE(fs::exists(rig_.outbox(answered))) << "the answer to " << answered << " is lost";
    for (const auto& entry : fs::directory_iterator(rig_.state() / "spool"))
      EXPECT_TRUE(wire::is_request_id(entry.path().filename().string())) << entry.path();
    EXPECT_TRUE(fs::exists(rig_.outbox(id)) != fs::exists(rig_.state() / "spool" / id)) << "neither or both of spool and outbox have " << id;
  }

  // Whatever happened before: the officers can finish it now.
  void expect_finished_or_finishes(const std::string& id) {
    if (!fs::exists(rig_.outbox(id))) {
      // The journal of an earlier run may say so too; the log is what counts.
      wait_until("the request waits", [&] { return log_has(id, "inspected"); });
      rig_.approve(id, {ApplianceRig::officers()[0], ApplianceRig::officers()[1]});
    }
    rig_.wait_for_response(id);
    const Finished verified = run({program("coldseal"), "verify", rig_.outbox(id) / "files", "--receipt", rig_.outbox(id) / "receipt.dsse.json",
                                   "--trust", rig_.trust()});
    EXPECT_EQ(verified.status, 0) << verified.output;
    EXPECT_EQ(delivered().count(id), 1U);
  }

  ForgedRequest request() { return ForgedRequest(rig_, COLDSEAL_SAMPLE_DIR, folder_ / ("host-" + std::to_string(++count_))); }

  TempDir folder_;
  ApplianceRig rig_;
  int count_ = 0;
};

TEST_F(PowerCuts, WhileARequestIsTakenInLoseNothing) {
  const std::pair<const char*, int> moments[] = {{"received", 0}, {"received", 2}, {"received", 15}, {"inspected", 0}, {"inspected", 5}};
  for (const auto& [event, delay] : moments) {
    SCOPED_TRACE(std::string(event) + " + " + std::to_string(delay) + " ms");
    const ForgedRequest arriving = request();
    kill_after(arriving.id(), event, milliseconds(delay), [&] { arriving.into_inbox(); });
    rig_.start_daemon();
    expect_in_order(arriving.id());
    expect_finished_or_finishes(arriving.id());
    expect_in_order(arriving.id());
  }
}

TEST_F(PowerCuts, WhileOfficersApproveAndTheTpmSignsReleaseNothingHalfMade) {
  const std::pair<const char*, int> moments[] = {{"approval-started", 0}, {"approved-by", 0}, {"approved-by", 100}, {"signing", 0},
                                                 {"signing", 10},         {"signing", 40},    {"signing", 90},      {"signing", 160},
                                                 {"signing", 250},        {"signing", 400},   {"signed", 0},        {"signed", 5},
                                                 {"signed", 20},          {"delivered-to-outbox", 0}, {"delivered-to-outbox", 2}};
  for (const auto& [event, delay] : moments) {
    SCOPED_TRACE(std::string(event) + " + " + std::to_string(delay) + " ms");
    const ForgedRequest waiting = request();
    waiting.into_inbox();
    rig_.wait_for_journal(waiting.id(), "waits for the officers");
    kill_after(waiting.id(), event, milliseconds(delay),
               [&] { rig_.approve(waiting.id(), {ApplianceRig::officers()[0], ApplianceRig::officers()[1]}); });
    const bool was_there = fs::exists(rig_.outbox(waiting.id()));
    const base::Bytes before = was_there ? read_file(rig_.outbox(waiting.id()) / "receipt.dsse.json") : base::Bytes{};
    rig_.start_daemon();
    expect_in_order(waiting.id());
    if (was_there) {
      EXPECT_EQ(read_file(rig_.outbox(waiting.id()) / "receipt.dsse.json"), before);
    }
    expect_finished_or_finishes(waiting.id());
    expect_in_order(waiting.id());
  }
}

TEST_F(PowerCuts, AreToldFromOrderlyStopsInTheLog) {
  EXPECT_EQ(last_line_of("started").find("not-stopped"), std::string::npos);   // the first start ever
  rig_.stop_daemon();
  EXPECT_EQ(rig_.audit_events().back(), "stopped");
  EXPECT_EQ(last_line_of("stopped").find("provisional"), std::string::npos);
  rig_.start_daemon();
  EXPECT_EQ(last_line_of("started").find("not-stopped"), std::string::npos);
  const std::size_t anchored = rig_.audit_events().size() - 1;   // up to the `stopped` line
  rig_.daemon().kill();
  rig_.stop_daemon();
  rig_.start_daemon();
  const std::string words = "\"not-stopped\":\"the power went, or it was killed: nothing anchored the lines from " + std::to_string(anchored + 1) + " on\"";
  EXPECT_NE(last_line_of("started").find(words), std::string::npos) << last_line_of("started");
}

TEST_F(PowerCuts, ItIsAnOrderlyStopEvenWhileColdsealdStarts) {
  rig_.stop_daemon();
  Faults faults;
  rig_.run_daemon_under(faults);
  faults.arm(2, FaultDeed::stop, mask_of(FaultKind::sync));   // of its `started` line; the first is of the log's folder
  try {
    rig_.start_daemon();   // and is told to stop before it is ready
  } catch (const std::runtime_error&) {
    // It went before anybody saw it listen.
  }
  wait_until("coldseald has stopped", [&] { return !rig_.daemon().is_running(); });
  EXPECT_EQ(faults.struck(), 1U);
  EXPECT_NE(faults.what().find("audit.jsonl"), std::string::npos) << faults.what();
  const std::vector<std::string> events = rig_.audit_events();
  ASSERT_GE(events.size(), 2U);
  EXPECT_EQ(events.at(events.size() - 2), "started") << "the stop came in the middle of the start";   // or `stopped` is an older one
  EXPECT_EQ(events.back(), "stopped") << rig_.daemon().log();
  faults.disarm();
  rig_.stop_daemon();
  rig_.start_daemon();
  EXPECT_EQ(last_line_of("started").find("not-stopped"), std::string::npos);
  rig_.stop_daemon();   // before the faults go
}

}  // namespace
}  // namespace tests
