// The machine's clock, believed as far as something else bears it out: what the audit log and the TPM's clock say was the time already,
// and the time that went by since. Never earlier than that; and when the machine's clock is ahead of it by more than a step, the time
// known goes on instead, until administrators say that the machine's is right (coldseal-admin clock). So a clock that jumped into the
// future by mistake leaves no line of that time in the log.
#pragma once

#include <filesystem>
#include <optional>

#include "appliance/clock.hpp"
#include "crypto/base/result.hpp"

namespace appliance {

class TrustedClock final : public Clock {
 public:
  TrustedClock(const Clock& machine, unsigned step_days) : machine_(&machine), step_(std::chrono::hours(24) * step_days) {}
  // That it was this time already. What is not later than the time known changes nothing.
  void know(base::Time time);

  base::Time now() const override;
  std::chrono::steady_clock::time_point steady() const override { return machine_->steady(); }
  base::Time machine_time() const { return machine_->now(); }
  // Errc::unavailable, worded for officers: clock.ahead, clock.behind. An hour behind is not told.
  base::Result<void> expect_sane() const;

 private:
  base::Time expected() const;
  const Clock* machine_;
  std::chrono::seconds step_;
  std::optional<base::Time> known_;   // nothing on a new appliance
  std::chrono::steady_clock::time_point known_at_{};
};

// The time of the last whole line of the audit log; none without one. Reads the file's end only; whether the line is right is not looked at.
base::Result<std::optional<base::Time>> last_time_in(const std::filesystem::path& audit_log);

}  // namespace appliance
