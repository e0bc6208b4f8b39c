// No step of the main job grows memory with a file's size: the same job with a small and a large driver, and the largest
// resident size of each of our programs on the way.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

// The number behind "NAME:" in a process's status; empty for a process that is gone, or one of the kernel's.
std::optional<long> status_number(const fs::path& process, const std::string& name) {
  std::ifstream lines(process / "status");
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + ":")) return std::stol(line.substr(name.size() + 1));
  return {};
}

// Watches our programs below this process, and their children, until it goes.
class PeakMemory {
 public:
  PeakMemory() : thread_([this] { watch(); }) {}
  PeakMemory(const PeakMemory&) = delete;
  PeakMemory& operator=(const PeakMemory&) = delete;
  ~PeakMemory() { stop(); }
  const std::map<std::string, long>& kib_by_program() {
    stop();
    return peaks_;
  }

 private:
  void stop() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
  }
  void watch() {
    while (!stopped_) {
      look();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    look();
  }
  void look() {
    std::error_code gone;
    for (const auto& process : fs::directory_iterator("/proc", gone)) {
      const std::string pid = process.path().filename();
      if (pid.find_first_not_of("0123456789") != std::string::npos || !is_ours(process.path())) continue;
      const fs::path program = fs::read_symlink(process.path() / "exe", gone);
      if (gone || program.parent_path() != COLDSEAL_BIN_DIR || program.filename() == "end_to_end_tests") continue;
      // Later words of the command tell coldseal's commands apart.
      std::string name = program.filename();
      if (name == "coldseal") name += " " + second_word(process.path());
      const std::optional<long> kib = status_number(process.path(), "VmHWM");
      if (kib) peaks_[name] = std::max(peaks_[name], *kib);
    }
  }
  static std::string second_word(const fs::path& process) {
    std::ifstream words(process / "cmdline");
    std::string word;
    std::getline(words, word, '\0');
    std::getline(words, word, '\0');
    return word;
  }
  static bool is_ours(fs::path process) {
    for (int generation = 0; generation < 4; ++generation) {
      const std::optional<long> parent = status_number(process, "PPid");
      if (!parent || *parent <= 1) return false;
      if (*parent == getpid()) return true;
      process = fs::path("/proc") / std::to_string(*parent);
    }
    return false;
  }

  std::map<std::string, long> peaks_;
  std::atomic<bool> stopped_ = false;
  std::thread thread_;
};

// A package whose driver has that size, signed from the stick and back; the peaks of the programs on the way.
std::map<std::string, long> peaks_of_a_job(std::uintmax_t size) {
  const TempDir folder;
  fs::copy(COLDSEAL_SAMPLE_DIR, folder / "package");
  write_file(folder / "package/coldsample.sys", driver_of_size(0x2000));
  fs::resize_file(folder / "package/coldsample.sys", size);   // the rest is an overlay of zeros
  ApplianceRig rig(folder.path());
  rig.provision();
  PeakMemory memory;
  rig.start_daemon();
  const Background courier = rig.start_courier({"--stick", rig.stick()});
  const std::string id = rig.make_request(folder / "package", "10_X64", rig.stick());
  rig.wait_for_journal(id, "waits for the officers");
  rig.approve(id, {ApplianceRig::officers()[0], ApplianceRig::officers()[1]});
  wait_until("the response is on the stick", [&] { return fs::exists(rig.stick() / "coldseal/responses" / id); });
  run_well({program("coldseal"), "collect", "--from", rig.stick(), "-o", folder / "signed"});
  run_well({program("coldseal"), "verify", folder / "signed" / id / "files", "--receipt", folder / "signed" / id / "receipt.dsse.json", "--trust", rig.trust()});
  EXPECT_GT(fs::file_size(folder / "signed" / id / "files/coldsample.sys"), size);
  return memory.kib_by_program();
}

TEST(MainJob, ALargeDriverTakesNoMoreMemoryThanASmallOneInAnyProgram) {
  constexpr std::uintmax_t kMiB = 1024 * 1024;
  const std::map<std::string, long> small = peaks_of_a_job(kMiB);
  const std::map<std::string, long> large = peaks_of_a_job(256 * kMiB);
  for (const char* const name : {"coldseal request", "coldseal-courier", "coldseald", "coldseal-inspector", "coldseal-console", "coldseal collect", "coldseal verify"}) {
    ASSERT_TRUE(large.contains(name)) << name << " was not seen";
    // A short run can be over before its peak is seen; no program needs less than the smallest that was seen.
    const long floor = small.contains(name) ? small.at(name) : 4 * 1024;
    std::cout << name << ": " << floor << " KiB with 1 MiB, " << large.at(name) << " KiB with 256 MiB\n";
    EXPECT_LE(large.at(name), floor + 16 * 1024) << name;
  }
}

}  // namespace
}  // namespace tests
