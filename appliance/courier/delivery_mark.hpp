// Tells coldseald that a response has arrived: a small file in the inbox, the one folder that the courier writes.
#pragma once

#include <string>

#include "appliance/courier/boxes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"

namespace courier {

// inbox/<id>.delivered with the SHA-256 of the receipt that has arrived: by now another one may lie in the outbox.
base::Result<void> mark_delivered(const Boxes& boxes, const std::string& id, const crypto::Digest& receipt);

}  // namespace courier
