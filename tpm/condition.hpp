// How a TPM is, as it tells anybody who asks: its own lockout (which is not the officers' PINs: they are counted one by one,
// officers.hpp) and its clock. Changes nothing and needs no session.
#pragma once

#include <cstdint>

#include "tpm/device.hpp"

namespace tpm {

struct Condition {
  bool in_lockout = false;
  std::uint32_t failed_tries = 0;      // counted towards the lockout
  std::uint32_t most_tries = 0;        // when so many have failed, it locks
  std::uint32_t forgives_after = 0;    // seconds; after each such time one try less is counted
  std::uint64_t clock_ms = 0;          // goes forward only, power cuts included; the ceremony sets it to the time since 1970
};
Result<Condition> condition(Device& device);

}  // namespace tpm
