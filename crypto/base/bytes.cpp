#include "crypto/base/bytes.hpp"

namespace base {

ByteView as_bytes(std::string_view text) {
  // The one place where characters are reread as bytes; both are unsigned or signed char, so aliasing is defined.
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string_view as_text(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

Bytes to_bytes(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

void append(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

}  // namespace base
