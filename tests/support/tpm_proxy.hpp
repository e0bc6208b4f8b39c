// Stands between the real programs and their software TPM, as somebody on the bus or a bad cable would: counts commands, and
// at the n-th from now does what it was told. The programs find it where their TCTI points. One client at a time, like
// swtpm itself; after a kill somebody must start the TPM again, from the thread that made it.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "tests/support/swtpm.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {

enum class Deed {
  pass,
  kill_before,    // SIGKILL for swtpm, before the command reaches it
  kill_after,     // after it was carried out, before anybody hears of it
  hang_up,        // the answer is lost, the TPM lives on
  delay,          // the answer comes late
  truncate,       // half of the answer, and then nothing
  replace,        // TPM_RC_FAILURE instead of the answer
};

class TpmProxy {
 public:
  explicit TpmProxy(Swtpm& tpm);
  ~TpmProxy();
  TpmProxy(const TpmProxy&) = delete;
  TpmProxy& operator=(const TpmProxy&) = delete;

  std::string tcti() const;
  int commands() const { return commands_; }   // since the last arm()
  bool struck() const { return struck_; }      // whether the deed was done since
  // Counts from now, and does the deed at the n-th command (from 1; 0 for never).
  void arm(int at, Deed deed);

 private:
  void serve(int listener, bool is_control);
  void relay(int client, int server);
  bool one_command(int client, int server);

  Swtpm& tpm_;
  TempDir folder_;
  int data_listener_ = -1;
  int control_listener_ = -1;
  std::atomic<int> commands_ = 0;
  std::atomic<int> at_ = 0;
  std::atomic<Deed> deed_ = Deed::pass;
  std::atomic<bool> struck_ = false;
  std::atomic<bool> over_ = false;
  std::thread data_;
  std::thread control_;
};

}  // namespace tests
