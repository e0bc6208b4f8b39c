// The fault layer (tests/faults/) from the test's side: which call of a program is struck, and how. Arm, do something with the
// program, disarm; the program may go on running all the while.
//
//   Faults faults;
//   rig.run_daemon_under(faults);
//   faults.arm(17, FaultDeed::kill);
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/faults/fault_block.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {

class Faults {
 public:
  Faults();
  ~Faults();
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

  Command before(const Command& command) const;   // the same program, under the layer
  // Counts from now. at: from 1; 0 for counting only.
  void arm(std::uint64_t at, FaultDeed deed, std::uint32_t kinds = kEveryKind, int error = 0);
  void disarm() { arm(0, FaultDeed::none); }
  void let_the_clock_run(std::uint32_t speed) { block_->clock_speed = speed; }   // the steady one; before the program starts
  void let_the_machines_clock_be_ahead(std::chrono::seconds by) { block_->clock_ahead = by.count(); }   // before the program starts
  void trace() { block_->is_traced = 1; }   // before the program starts
  std::vector<std::string> traced() const;  // every point since then, in order: "write /.../audit.jsonl", "rename to /..."
  std::uint64_t points() const { return block_->points; }
  std::uint64_t points_of(FaultKind kind) const { return block_->of_kind[static_cast<std::uint32_t>(kind)]; }
  std::uint32_t struck() const { return block_->struck; }
  std::string what() const;   // the call that was struck: "fdatasync /.../audit.jsonl"

 private:
  TempDir folder_;
  FaultBlock* block_ = nullptr;
};

}  // namespace tests
