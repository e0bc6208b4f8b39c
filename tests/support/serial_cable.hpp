// Two pseudo terminals joined by a thread that carries bytes between them: a serial cable that a test can slow down, spoil,
// fill with noise, cut, and mend with other devices at its ends.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "crypto/base/bytes.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {

struct CableFaults {
  std::uint64_t cut_after = UINT64_MAX;     // bytes from host to appliance, over all cables; then both devices vanish
  std::uint64_t damage_every = UINT64_MAX;  // on the average, every so many bytes one is changed or lost, both ways
  std::uint64_t bytes_per_second = 0;       // each way; 0: as fast as it goes
  std::chrono::milliseconds latency{0};     // each way
  unsigned seed = 1;
};

class SerialCable {
 public:
  explicit SerialCable(CableFaults faults = {});
  ~SerialCable();
  SerialCable(const SerialCable&) = delete;
  SerialCable& operator=(const SerialCable&) = delete;
  // The devices there are now, and patterns that stand for them after mend(), too.
  std::filesystem::path host_end() const { return end_name(0); }
  std::filesystem::path appliance_end() const { return end_name(1); }
  // What the program at an end (0: host, 1: appliance) has set its device to; a pseudo terminal carries bytes whatever it is.
  struct Settings {
    unsigned baud;
    bool is_8n1;
    bool is_raw;
    bool has_rts_cts;
  };
  Settings settings(std::size_t end) const;
  std::string host_pattern() const { return (dir_ / "host/ttyUSB*").string(); }
  std::string appliance_pattern() const { return (dir_ / "appliance/ttyUSB*").string(); }
  std::uint64_t carried() const { return carried_; }   // bytes from host to appliance, over all cables
  std::uint64_t carried_back() const { return carried_back_; }   // from appliance to host

  void cut();                                // both devices vanish: whoever has them open gets EIO
  // After a cut: new devices, with other names, until so many bytes more have passed. However busy the machine is, the next
  // cut then comes in the middle of what is sent, which a test that watches carried() and calls cut() cannot be sure of.
  void mend(std::uint64_t cut_after_more = UINT64_MAX);
  bool is_cut() const { return is_cut_; }
  void put_noise(base::ByteView bytes);      // both ends hear it

 private:
  class Direction;
  std::filesystem::path end_name(std::size_t end) const;
  void open_ends();
  void close_ends();
  void start();
  void stop();
  void carry();
  const TempDir dir_;
  CableFaults faults_;
  unsigned mended_ = 0;
  int masters_[2]{-1, -1};
  int slaves_[2]{-1, -1};   // kept open, so that a program may close and open its end
  std::mutex noise_mutex_;
  base::Bytes noise_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> is_cut_{false};
  std::atomic<std::uint64_t> carried_{0};
  std::atomic<std::uint64_t> carried_back_{0};
  std::thread thread_;
};

}  // namespace tests
