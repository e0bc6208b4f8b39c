// Canonical JSON (RFC 8785), the only JSON that is signed, hashed or read here: no white space, sorted names, and
// one spelling for everything, so that equal values have equal bytes. Narrower than the RFC on purpose: names are ASCII
// and numbers are whole, 0 to 2^53 - 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "crypto/base/result.hpp"

namespace transparency {

using Json = nlohmann::json;   // keeps its names in byte order, which for ASCII is the order of RFC 8785

// The bytes of a value we built. A value outside the rules above is our own bug, and stops the program.
std::string canonical(const Json& value);

// The value, when text is exactly what canonical() would write for it. Errc::too_large over limit bytes;
// Errc::malformed for anything else: duplicate names, white space, other spellings, depth over limits::kJsonDepth.
base::Result<Json> parse_canonical(std::string_view text, std::size_t limit);

// UTF-8 text as it is, anything else escaped as base::printable() does: for strings we did not choose.
std::string as_utf8(std::string_view text);

}  // namespace transparency
