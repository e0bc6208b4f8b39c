// A software TPM of its own for one test or demonstration: its own process, socket and state folder, ended by its own
// process id, and at the latest with the thread that started it. Stops the program when swtpm cannot be started. One
// client at a time.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>

#include "tests/support/temp_dir.hpp"

namespace tests {

class Swtpm {
 public:
  Swtpm();   // a new TPM, forgotten at the end
  // The state (keys, NV) lives in that folder, which is made if needed and stays. Copy it while no Swtpm runs on it.
  explicit Swtpm(const std::filesystem::path& state);
  ~Swtpm();
  Swtpm(const Swtpm&) = delete;
  Swtpm& operator=(const Swtpm&) = delete;

  std::string tcti() const;   // "swtpm:path=/tmp/cs.abcdef/tpm"
  const std::filesystem::path& state() const { return state_; }
  // SIGKILL and a new start on the same state: what pulling the plug does. Clients must open the device anew.
  void power_cut();
  // An orderly end (SIGTERM) and a new start. Clients must have closed the device, and open it anew.
  void reset();
  void kill();    // SIGKILL; the TPM is gone until start()
  void start();
  bool is_running() const { return process_ >= 0; }

 private:
  void end(int signal);
  TempDir folder_;   // the sockets
  std::filesystem::path state_;
  pid_t process_ = -1;
};

}  // namespace tests
