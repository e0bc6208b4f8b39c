// Random bytes from the kernel, for nonces, salts and initialisation vectors. Stops the program when the kernel
// has none to give: nothing sensible can follow.
#pragma once

#include <cstdint>
#include <span>

namespace keys {

void fill_random(std::span<std::uint8_t> out);

}  // namespace keys
