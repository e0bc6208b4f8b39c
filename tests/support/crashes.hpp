// coldseald or the courier dies at the n-th thing that a whole request makes it do: every file made, written, synced, renamed
// or removed, every command to the TPM, every message to a console. Then it starts again. Nothing may be lost, nothing half
// made seen, nothing signed that the log does not hold, and no approval used twice. Used by a rotating sample in every run
// and by the sweep over all points.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/faults.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {

// What the log says, in a form that can be judged. Errors are text; empty is good.
std::string examine_whole_log(const std::filesystem::path& file);

// What becomes of the request: two officers approve it, one rejects it, its inspection finds an error, or it is refused at the
// door for its submitter.
enum class RequestCourse { signed_, rejected, refused, refused_at_the_door };

class DaemonCrashes {  // one appliance; every point is a request of its own
 public:
  explicit DaemonCrashes(RequestCourse course = RequestCourse::signed_);
  int points() const { return points_; }   // from a request in the inbox to its answer in the outbox
  std::string counted() const { return counted_; }   // "12 create, 40 write, ..."
  // Each says what went wrong, in words; empty when all is well.
  std::string strike(int at, FaultDeed deed);
  // It dies there, and then again at the first thing it does after the restart, at the second, ...; how often is added to `restarts`.
  std::string strike_and_strike_restarts(int at, int& restarts);
  // That call fails with that error, and so do all after it when `for_long`: then the disk is well again, and the request goes on.
  std::string fail(int at, bool for_long, std::uint32_t kinds, int error);
  int points_of(std::uint32_t kinds);   // of another whole request
  std::string examine_log() const;
  // How many strikes and failures hit something: a request differs by a command or two from the one that was counted.
  int struck() const { return struck_; }

 private:
  std::string new_request();
  std::string whole_request(const std::string& id);   // as far as it goes
  std::string by_people(const std::string& id);       // what they do at the console
  bool is_answered(const std::string& id) const;
  std::string expect_answer(const std::string& id) const;
  std::string examine_wreck(const std::string& id) const;
  std::string finish(const std::string& id);
  bool is_waiting(const std::string& id) const;
  bool log_has(const std::string& id, const std::string& event) const;
  void restart();
  RequestCourse course_;
  TempDir folder_;
  Faults faults_;
  ApplianceRig rig_;
  int count_ = 0;
  int points_ = 0;
  int struck_ = 0;
  std::string counted_;
  std::vector<std::string> ids_;
};

class CourierCrashes {  // a stick with a new request, and one whose answer lies in the outbox; no coldseald runs
 public:
  CourierCrashes();
  int points() const { return points_; }
  std::string counted() const { return counted_; }
  std::string strike(int at, FaultDeed deed);
  std::string fail(int at, bool for_long, std::uint32_t kinds, int error);
  int points_of(std::uint32_t kinds);

 private:
  void begin_anew() const;
  int round(bool under_faults) const;
  std::string examine(bool is_whole) const;
  TempDir folder_;
  Faults faults_;
  ApplianceRig rig_;
  std::string id_;         // of the new one
  std::string answered_;
  int points_ = 0;
  std::string counted_;
};

std::string count_by_kind(const Faults& faults);

}  // namespace tests
