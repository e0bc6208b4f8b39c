// The compression function of SHA-1 (FIPS 180-4 section 6.1.2) with the SHA instructions of x86 processors, twice as fast
// as portable code. Catalogs need a SHA-1 of every file beside its SHA-256; nothing here is signed with it. Only blocks: padding
// and everything else is crypto/digest.cpp's. has_sha256_instructions() says whether the processor has them.
#pragma once

#include <array>
#include <cstdint>

#include "crypto/base/bytes.hpp"

namespace base {

using Sha1State = std::array<std::uint32_t, 5>;

// Takes whole blocks of 64 bytes into the state. Stops the program when blocks is not a multiple of 64 bytes long, or
// the processor does not have the instructions.
void sha1_blocks(Sha1State& state, ByteView blocks);

}  // namespace base
