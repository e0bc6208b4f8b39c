// What a test and the fault layer (fault_layer.cpp) share: one page of memory in a file, so that a test arms, disarms and
// counts while the program under test runs. Numbers only; both sides see the same layout, being built together.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace tests {

// A point is one call that changes something outside the program: what it is.
enum class FaultKind : std::uint32_t {
  create,     // open with O_CREAT
  write,      // to a regular file
  sync,       // fsync, fdatasync
  rename,
  folder,     // mkdir
  remove,     // unlink, rmdir
  truncate,
  tpm,        // a command or part of one, to the socket of a software TPM
  message,    // to any other socket
  serial,     // to a terminal
};
inline constexpr std::uint32_t kFaultKinds = 10;
constexpr std::uint32_t mask_of(FaultKind kind) { return 1U << static_cast<std::uint32_t>(kind); }
inline constexpr std::uint32_t kEveryKind = (1U << kFaultKinds) - 1;
// What a disk that cannot be written refuses, and what one without room refuses.
inline constexpr std::uint32_t kDiskKinds = mask_of(FaultKind::create) | mask_of(FaultKind::write) | mask_of(FaultKind::sync) |
                                            mask_of(FaultKind::rename) | mask_of(FaultKind::folder) | mask_of(FaultKind::remove) |
                                            mask_of(FaultKind::truncate);
inline constexpr std::uint32_t kRoomKinds = mask_of(FaultKind::create) | mask_of(FaultKind::write) | mask_of(FaultKind::sync) |
                                            mask_of(FaultKind::rename) | mask_of(FaultKind::folder);

enum class FaultDeed : std::uint32_t {
  none,
  kill,        // SIGKILL before the call
  kill_half,   // the same, but half of what was to be written is
  fail_once,   // the call fails with `error`
  fail_on,     // this call and every later one of these kinds
  stop,        // SIGTERM before the call, which is then made
};

struct FaultBlock {
  std::atomic<std::uint64_t> at;       // the point at which the deed is done, from 1; 0 for never
  std::atomic<std::uint32_t> deed;
  std::atomic<std::uint32_t> kinds;    // which calls are points
  std::atomic<std::int32_t> error;
  std::atomic<std::uint32_t> struck;   // how often
  std::atomic<std::uint64_t> points;   // so far
  std::array<std::atomic<std::uint64_t>, kFaultKinds> of_kind;
  std::atomic<std::uint32_t> clock_speed;   // the steady clock goes so many times as fast; 0 and 1: as it is
  std::atomic<std::int64_t> clock_ahead;    // the machine's clock, in seconds
  std::atomic<std::uint32_t> is_traced;     // each point becomes a line of the file beside this one, ".trace"
  std::array<char, 256> what;          // the call that was struck first, and on what
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace tests
