#include "tests/support/long_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <thread>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/crashes.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {

namespace fs = std::filesystem;

namespace {

constexpr int kSideBySide = 10;   // waiting side by side

std::uint64_t rss_kib(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6));
  throw std::runtime_error("coldseald has no resident size");
}

// coldseald hides its descriptors from everybody but root: then the size of its table, which grows with a leak as well.
std::size_t descriptors(pid_t pid) {
  std::error_code hidden;
  std::size_t count = 0;
  for (fs::directory_iterator at(fmt::format("/proc/{}/fd", pid), hidden); !hidden && at != fs::directory_iterator(); at.increment(hidden)) ++count;
  if (!hidden) return count;
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("FDSize:")) return std::stoul(line.substr(7));
  throw std::runtime_error("coldseald's descriptors cannot be counted");
}

// A response is there a moment before the officers' connection closes: the fewest of two seconds are those that stay.
std::size_t descriptors_at_rest(pid_t pid) {
  std::size_t fewest = descriptors(pid);
  for (int look = 0; look < 40; ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    fewest = std::min(fewest, descriptors(pid));
  }
  return fewest;
}

}  // namespace

LongRun run_many_requests(int requests) {
  LongRun result;
  const TempDir folder;
  ApplianceRig rig(folder / "rig");
  rig.provision();
  rig.start_daemon();
  const pid_t coldseald = rig.daemon().pid();
  const std::vector<TestOfficer> two = {ApplianceRig::officers()[0], ApplianceRig::officers()[2]};
  int done = 0;
  while (done < requests) {
    std::vector<std::string> ids;
    for (int i = 0; i < kSideBySide && done + i < requests; ++i) {
      const fs::path host = folder / "host";
      const std::string id = rig.make_request(COLDSEAL_SAMPLE_DIR, "10_X64", host, {"--operations", "catalog"});
      fs::rename(host / "coldseal/requests" / id, rig.state() / "inbox" / id);
      ids.push_back(id);
    }
    for (const std::string& id : ids) {
      rig.wait_for_journal(id, "waits for the officers");
      rig.approve(id, two);
      rig.wait_for_response(id);
      if (++done == std::max(requests / 10, 5)) {
        result.rss_before_kib = rss_kib(coldseald);
        result.descriptors_before = descriptors_at_rest(coldseald);
      }
    }
  }
  result.rss_after_kib = rss_kib(coldseald);
  result.descriptors_after = descriptors_at_rest(coldseald);
  rig.stop_daemon();
  result.wrong = examine_whole_log(rig.state() / "log/audit.jsonl");
  const std::string exported = run_well({program("coldseal-admin"), "--root", rig.root(), "log", "export", folder / "export"});
  for (const auto& entry : fs::directory_iterator(folder / "export")) {
    const Finished verified = run({program("coldseal"), "audit", "verify", entry.path(), "--key", rig.trust() / "receipt-key.pem", "--transcript",
                                   rig.state() / "ceremony/transcript.json"});
    if (verified.status != 0) result.wrong += verified.output;
    if (verified.output.find(fmt::format("inspections {} are there", requests)) == std::string::npos) result.wrong += "inspections: " + verified.output;
  }
  int answered = 0;
  for (const auto& entry : fs::directory_iterator(rig.state() / "outbox"))
    if (fs::exists(entry.path() / "receipt.dsse.json")) ++answered;
  if (answered != requests) result.wrong += fmt::format("{} of {} were answered", answered, requests);
  rig.start_daemon();   // and it replays what it wrote
  return result;
}

}  // namespace tests
