#include "crypto/transparency/canonical_json.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace transparency {
namespace {

using base::Errc;
using base::fail;
using base::Result;

constexpr std::uint64_t kMostNumber = (1ULL << 53) - 1;   // RFC 8785 section 3.2.2.3: beyond it a double is not exact

// RFC 8785 section 3.2.2.2: only these are escaped, in these forms.
void append_quoted(std::string& to, std::string_view text) {
  base::require(base::is_utf8(text), "JSON text that is not UTF-8");
  to += '"';
  for (const char c : text) {
    switch (c) {
      case '"': to += "\\\""; break;
      case '\\': to += "\\\\"; break;
      case '\b': to += "\\b"; break;
      case '\t': to += "\\t"; break;
      case '\n': to += "\\n"; break;
      case '\f': to += "\\f"; break;
      case '\r': to += "\\r"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20)
          to += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        else
          to += c;
    }
  }
  to += '"';
}

bool is_ascii(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  return true;
}

// Recursion is bounded by kJsonDepth: parse_canonical() checks it first, and what we build is shallow.
void append(std::string& to, const Json& value) {
  if (value.is_null()) {
    to += "null";
  } else if (value.is_boolean()) {
    to += value.get<bool>() ? "true" : "false";
  } else if (value.is_number_integer()) {
    base::require(value.is_number_unsigned() || value.get<std::int64_t>() >= 0, "a negative JSON number");
    base::require(value.get<std::uint64_t>() <= kMostNumber, "a JSON number over 2^53 - 1");
    to += std::to_string(value.get<std::uint64_t>());
  } else if (value.is_string()) {
    append_quoted(to, value.get_ref<const std::string&>());
  } else if (value.is_array()) {
    to += '[';
    const char* separator = "";
    for (const Json& item : value) {
      to += separator;
      append(to, item);
      separator = ",";
    }
    to += ']';
  } else {
    base::require(value.is_object(), "a JSON value of a kind we do not write");
    to += '{';
    const char* separator = "";
    for (const auto& [name, item] : value.items()) {
      base::require(is_ascii(name), "a JSON name that is not ASCII");
      to += separator;
      append_quoted(to, name);
      to += ':';
      append(to, item);
      separator = ",";
    }
    to += '}';
  }
}

// The deepest nesting, by brackets outside strings; good for any text that later parses.
std::size_t depth_of(std::string_view text) {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') ++at;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

Result<void> expect_kinds(const Json& value) {
  if (value.is_number_float()) return fail(Errc::malformed, "JSON has a number that is not whole");
  if (value.is_number() && (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMostNumber))
    return fail(Errc::malformed, "JSON has a number outside 0 to 2^53 - 1");
  if (value.is_structured()) {
    for (const auto& [name, item] : value.items()) {
      if (value.is_object() && !is_ascii(name)) return fail(Errc::malformed, "JSON has a name that is not ASCII");
      TRY(expect_kinds(item));
    }
  }
  return {};
}

}  // namespace

std::string canonical(const Json& value) {
  std::string text;
  append(text, value);
  return text;
}

Result<Json> parse_canonical(std::string_view text, std::size_t limit) {
  if (text.size() > limit) return fail(Errc::too_large, fmt::format("JSON of {} bytes, at most {}", text.size(), limit));
  if (!base::is_utf8(text)) return fail(Errc::malformed, "JSON that is not UTF-8");
  if (depth_of(text) > base::limits::kJsonDepth)
    return fail(Errc::malformed, fmt::format("JSON nested deeper than {}", base::limits::kJsonDepth));
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return fail(Errc::malformed, "not JSON");
  TRY(expect_kinds(value));
  if (canonical(value) != text)
    return fail(Errc::malformed, "JSON that is not in canonical form (RFC 8785): white space, order, a name given twice, "
                                 "or another spelling");
  return value;
}

std::string as_utf8(std::string_view text) {
  return base::is_utf8(text) ? std::string(text) : base::printable(text);
}

}  // namespace transparency
