// One pass over a file with both hands: while one thread digests a piece, the other reads the next one.
#pragma once

#include <functional>
#include <optional>

#include "crypto/base/byte_source.hpp"

namespace base {

// Reads the region in order, in pieces of at most 512 KiB, 2 MiB in all. Each piece is given to both functions, in order:
// `beside` in the calling thread, whose first error ends the pass and is returned; `use` in a thread of its own when the
// region is long enough to be worth one and the system gives one, else in the calling thread. When the function returns,
// neither is running. The two must not touch the same things.
Result<void> for_each_piece_in_two_threads(const ByteSource& source, std::uint64_t offset, std::uint64_t length,
                                           const std::function<Result<void>(ByteView piece)>& beside,
                                           const std::function<void(ByteView piece)>& use);

}  // namespace base
