#include "crypto/keys/random.hpp"

#include <sys/random.h>

#include <cerrno>

#include "crypto/base/result.hpp"

namespace keys {

void fill_random(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const ssize_t count = getrandom(out.data(), out.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    base::require(count > 0, "the kernel gives no random bytes");
    out = out.subspan(static_cast<std::size_t>(count));
  }
}

}  // namespace keys
