// What the TPM says of itself, for people who stand at the console because it said no: what holds, what does not and why, and
// what to do about it. Nothing is changed.
#pragma once

#include "appliance/console_protocol.hpp"
#include "appliance/custody.hpp"
#include "appliance/layout.hpp"

namespace appliance {

Document report_on_tpm(const Layout& layout, Custody& custody);

}  // namespace appliance
