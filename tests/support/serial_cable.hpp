// Two pseudo terminals joined by a thread that carries bytes between them: a serial cable that a test can cut or spoil.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>

namespace tests {

struct CableFaults {
  std::uint64_t cut_after = UINT64_MAX;     // bytes from host to appliance; then both devices vanish
  std::uint64_t damage_every = UINT64_MAX;  // every so many bytes one is changed, both ways
};

class SerialCable {
 public:
  explicit SerialCable(CableFaults faults = {});
  ~SerialCable();
  SerialCable(const SerialCable&) = delete;
  SerialCable& operator=(const SerialCable&) = delete;
  const std::filesystem::path& host_end() const { return names_[0]; }
  const std::filesystem::path& appliance_end() const { return names_[1]; }
  std::uint64_t carried() const { return carried_; }   // bytes from host to appliance

 private:
  void carry();
  CableFaults faults_;
  int masters_[2]{-1, -1};
  int slaves_[2]{-1, -1};   // kept open, so that a program may close and open its end
  std::filesystem::path names_[2];
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> carried_{0};
  std::thread thread_;
};

}  // namespace tests
