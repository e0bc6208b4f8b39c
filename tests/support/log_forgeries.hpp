// Somebody with the disk in hand changes the audit log of a real appliance, and coldseald is started on it. Used for a few lines
// in every run and for all lines by the sweep.
#pragma once

#include <string>
#include <vector>

#include "tests/support/appliance_rig.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {

class LogForgeries {
 public:
  LogForgeries();   // an appliance that signed two requests and was stopped
  std::size_t lines() const { return lines_.size(); }
  std::size_t last_anchored() const;   // from 0
  // Each forges that line (from 0), starts coldseald, and says what was wrong with what coldseald said; empty when all is well.
  std::string change(std::size_t line, std::size_t byte) const;
  std::string remove(std::size_t line) const;
  std::string duplicate(std::size_t line) const;
  std::string swap_with_next(std::size_t line) const;
  std::string truncate_after(std::size_t line) const;
  std::string cut_inside(std::size_t line, std::size_t byte) const;
  std::string older_copy() const;        // as it was between the two requests
  std::string made_anew_without(std::size_t line) const;   // the chain is whole, only the TPM knows better
  // The true log, and coldseald signs.
  std::string still_signs();

 private:
  std::string expect_refused(const std::string& text, const std::vector<std::string>& any_of, const std::string& what) const;
  TempDir folder_;
  mutable ApplianceRig rig_{folder_ / "rig"};
  std::vector<std::string> lines_;
  std::string older_;
  int count_ = 0;
  std::string sign_one();
};

}  // namespace tests
