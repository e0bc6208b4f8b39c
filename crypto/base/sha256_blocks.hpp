// The compression function of SHA-256 (FIPS 180-4 section 6.2.2) with the SHA instructions of x86 processors, five
// times as fast as portable code. Only blocks: padding and everything else is crypto/digest.cpp's.
#pragma once

#include <array>
#include <cstdint>

#include "crypto/base/bytes.hpp"

namespace base {

using Sha256State = std::array<std::uint32_t, 8>;

// Whether this processor has the instructions; false on other architectures.
bool has_sha256_instructions();

// Takes whole blocks of 64 bytes into the state. Stops the program when blocks is not a multiple of 64 bytes long, or
// the processor does not have the instructions.
void sha256_blocks(Sha256State& state, ByteView blocks);

// The same for two digests at once, blocks_a and blocks_b of the same length. One digest waits most of the time for its
// own last round; two interleaved take hardly longer than one.
void sha256_blocks_of_two(Sha256State& a, ByteView blocks_a, Sha256State& b, ByteView blocks_b);

}  // namespace base
