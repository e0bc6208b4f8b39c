// Bytes that we own, and views of bytes that somebody else owns and must keep alive.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace base {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

// The characters of text as bytes, and back; no encoding is changed. The text must outlive the view.
ByteView as_bytes(std::string_view text);
std::string_view as_text(ByteView bytes);

Bytes to_bytes(ByteView bytes);
void append(Bytes& to, ByteView bytes);

}  // namespace base
