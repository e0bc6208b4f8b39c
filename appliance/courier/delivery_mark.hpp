// Tells coldseald that a response has arrived: a small file in the inbox, the one folder that the courier writes.
#pragma once

#include <string>

#include "appliance/courier/boxes.hpp"
#include "crypto/base/result.hpp"

namespace courier {

// inbox/<id>.delivered with the SHA-256 of the receipt that lies in the outbox.
base::Result<void> mark_delivered(const Boxes& boxes, const std::string& id);

}  // namespace courier
