// The TPM goes away, or misbehaves, at the n-th command of a whole ceremony or of a whole approval through the real programs; or
// coldseal-admin dies at the n-th thing that it does to a file, of a ceremony or of an act of administrators. Afterwards
// everything must be as it was promised: nothing half-made was released, the log holds, and people who begin again get what
// they wanted. Used by a rotating sample in every run and by the sweep over all commands and calls.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/faults.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {

class SigningKills {  // one appliance; every point is a request of its own
 public:
  SigningKills();
  int commands() const { return commands_; }   // of one approval by two officers, from "yes" to the published answer
  // What went wrong, in words; empty when all is well.
  std::string strike(int at, Deed deed);
  // The log's chain and its lines, at the end.
  std::string examine_log() const;

 private:
  std::string new_request();
  TempDir folder_;
  ApplianceRig rig_;
  int count_ = 0;
  int commands_ = 0;
  std::vector<std::string> ids_;
};

class CeremonyKills {  // every point is a ceremony of its own, on a TPM of its own
 public:
  CeremonyKills();
  int commands() const { return commands_; }
  int file_calls() const { return file_calls_; }
  std::string strike(int at, Deed deed) const;
  std::string strike_program(int at, FaultDeed deed) const;
  // One ceremony whose program dies at that file call of its first run, a few calls later in the second, and so on until a run comes
  // to its end; how often is added to `deaths`.
  static std::string strike_program_again_and_again(int first, int& deaths);

 private:
  int commands_ = 0;
  int file_calls_ = 0;
};

// What every run of the rig's ceremony says and the transcript does not state, or states twice; empty when all is there
// once. A ceremony that was interrupted states what its earlier runs did, too.
std::string missing_from_transcript(const std::filesystem::path& transcript);

class AdministrationKills {  // one appliance; every point is an act of two administrators
 public:
  AdministrationKills();
  int commands() const { return commands_; }
  std::string strike(int at, Deed deed);
  // Of the act that does the most to files: cay is replaced by cay, who chooses the same PIN.
  int file_calls();
  std::string strike_program(int at, FaultDeed deed);
  // That coldseald accepts the log and its anchor, at the end, and signs.
  std::string examine_log();

 private:
  bool act(const Command& words) const;
  TempDir folder_;
  Faults faults_;
  mutable ApplianceRig rig_;
  int commands_ = 0;
  int file_calls_ = 0;
};

// That many of 1 to all, other ones every day; the same day the same ones.
std::vector<int> todays_points(int all, int how_many);

}  // namespace tests
