// coldseal-admin status and doctor: the appliance's check-up (appliance/checkup.hpp), from coldseald while it runs, and made here
// otherwise. status shows everything, doctor what needs somebody and what to do.
#pragma once

#include "appliance/checkup.hpp"
#include "appliance/clock.hpp"
#include "appliance/layout.hpp"
#include "appliance/terminal.hpp"
#include "crypto/base/result.hpp"

namespace appliance {

struct ConditionWords {
  bool as_json = false;
  bool only_problems = false;   // doctor
};

// Errc::refused from doctor when something needs attention. Errc::unavailable when coldseald has the TPM and does not answer: it
// may be reading a large request, or it is not the one of this user.
base::Result<void> show_condition(const Layout& layout, const ConditionWords& words, Terminal& terminal, const Clock& clock);

}  // namespace appliance
