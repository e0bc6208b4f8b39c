#include "tests/support/faults.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sstream>

#include "crypto/base/result.hpp"

namespace tests {

Faults::Faults() {
  const std::string file = (folder_ / "block").string();
  const int descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  base::require(descriptor >= 0 && ftruncate(descriptor, sizeof(FaultBlock)) == 0, "no file for the fault layer");
  void* const mapped = mmap(nullptr, sizeof(FaultBlock), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  close(descriptor);
  base::require(mapped != MAP_FAILED, "no memory shared with the fault layer");
  block_ = static_cast<FaultBlock*>(mapped);   // zeros, which is what every member begins with
  disarm();
}

Faults::~Faults() { munmap(block_, sizeof(FaultBlock)); }

Command Faults::before(const Command& command) const {
  Command words{"env", std::string("LD_PRELOAD=") + COLDSEAL_FAULT_LAYER, "COLDSEAL_FAULTS=" + (folder_ / "block").string(),
                "ASAN_OPTIONS=verify_asan_link_order=0"};
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

void Faults::arm(std::uint64_t at, FaultDeed deed, std::uint32_t kinds, int error) {
  block_->at = 0;   // nothing strikes while the rest changes
  block_->deed = static_cast<std::uint32_t>(deed);
  block_->kinds = kinds;
  block_->error = error;
  block_->struck = 0;
  for (auto& count : block_->of_kind) count = 0;
  block_->what.fill('\0');
  block_->points = 0;
  block_->at = at;
}

std::vector<std::string> Faults::traced() const {
  std::vector<std::string> points;
  std::istringstream lines(read_text(folder_ / "block.trace"));
  for (std::string line; std::getline(lines, line);) points.push_back(line);
  return points;
}

std::string Faults::what() const { return block_->what.data(); }

}  // namespace tests
