// The courier dies at the n-th file, rename or message of a request that comes and an answer that goes over a serial cable; somebody
// starts it again, as systemd does, and the host's commands are not told. Both must arrive whole, and never be seen half.
#pragma once

#include <filesystem>
#include <string>

#include "tests/support/faults.hpp"
#include "tests/support/serial_cable.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {

class SerialCourierCrashes {
 public:
  SerialCourierCrashes();
  int points() const { return points_; }
  std::string counted() const { return counted_; }
  std::string strike(int at, FaultDeed deed);   // what went wrong; empty when all is well

 private:
  std::string round();
  std::string examine_inbox() const;
  TempDir folder_;
  SerialCable cable_;
  Faults faults_;
  std::string id_, answered_;
  int points_ = 0;
  std::string counted_;
};

}  // namespace tests
