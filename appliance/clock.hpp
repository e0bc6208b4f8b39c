// The time as a parameter, so that tests decide it.
#pragma once

#include <chrono>

#include "crypto/base/text.hpp"

namespace appliance {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual base::Time now() const = 0;                                  // UTC, as the box believes it
  virtual std::chrono::steady_clock::time_point steady() const = 0;    // for durations
};

class SystemClock final : public Clock {
 public:
  base::Time now() const override { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }
  std::chrono::steady_clock::time_point steady() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace appliance
