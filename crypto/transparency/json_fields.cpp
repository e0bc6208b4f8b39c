#include "crypto/transparency/json_fields.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"

namespace transparency {

using base::Errc;
using base::fail;
using base::Result;

Result<Fields> Fields::of(const Json& value, std::string where) {
  if (!value.is_object()) return fail(Errc::malformed, where + ": not an object");
  return Fields(value, std::move(where));
}

tl::unexpected<base::Error> Fields::wrong(std::string_view name, std::string_view what) const {
  return fail(Errc::malformed, fmt::format("{}: {}: {}", where_, name, what));
}

Result<const Json*> Fields::field(std::string_view name) {
  const auto found = value_->find(name);
  if (found == value_->end()) return wrong(name, "missing");
  taken_.emplace(name);
  return &*found;
}

Result<std::string> Fields::text(std::string_view name, std::size_t least, std::size_t most) {
  const Json* const value = TRY(field(name));
  if (!value->is_string()) return wrong(name, "not text");
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() < least) return wrong(name, "empty");
  if (text.size() > most) return wrong(name, fmt::format("{} bytes, at most {}", text.size(), most));
  return text;
}

Result<void> Fields::expect_text(std::string_view name, std::string_view wanted) {
  const std::string found = TRY(text(name, 0, base::limits::kFactTextBytes));
  if (found != wanted) return wrong(name, fmt::format("\"{}\", \"{}\" wanted", base::printable(found), wanted));
  return {};
}

Result<std::uint64_t> Fields::number(std::string_view name, std::uint64_t most) {
  const Json* const value = TRY(field(name));
  if (!value->is_number_unsigned()) return wrong(name, "not a whole number");
  const auto number = value->get<std::uint64_t>();
  if (number > most) return wrong(name, fmt::format("{}, at most {}", number, most));
  return number;
}

Result<base::Time> Fields::time(std::string_view name) {
  const std::string found = TRY(text(name, 1, base::limits::kNameBytes));
  return base::within(fmt::format("{}: {}", where_, name), base::time_from_rfc3339(found));
}

Result<base::Bytes> Fields::hex(std::string_view name, std::size_t bytes) {
  const std::string found = TRY(text(name, 0, base::limits::kFactTextBytes));
  const auto is_lower_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (found.size() != 2 * bytes || !std::all_of(found.begin(), found.end(), is_lower_hex))
    return wrong(name, fmt::format("not {} lower-case hex digits", 2 * bytes));
  return base::from_hex(found);
}

Result<crypto::Digest> Fields::sha256(std::string_view name) {
  const base::Bytes bytes = TRY(hex(name, crypto::digest_size(crypto::DigestAlgorithm::sha256)));
  return crypto::Digest::from_bytes(crypto::DigestAlgorithm::sha256, bytes);
}

Result<const Json::array_t*> Fields::list(std::string_view name, std::size_t least, std::size_t most) {
  const Json* const value = TRY(field(name));
  if (!value->is_array()) return wrong(name, "not a list");
  if (value->size() < least) return wrong(name, "empty");
  if (value->size() > most) return wrong(name, fmt::format("{} items, at most {}", value->size(), most));
  return value->get_ptr<const Json::array_t*>();
}

Result<Fields> Fields::object(std::string_view name) {
  const Json* const value = TRY(field(name));
  return of(*value, fmt::format("{}: {}", where_, name));
}

Result<std::optional<Fields>> Fields::object_or_null(std::string_view name) {
  const Json* const value = TRY(field(name));
  if (value->is_null()) return std::optional<Fields>();
  Fields inside = TRY(of(*value, fmt::format("{}: {}", where_, name)));
  return std::optional<Fields>(std::move(inside));
}

Result<void> Fields::expect_no_others() const {
  for (const auto& [name, value] : value_->items())
    if (!taken_.contains(name)) return fail(Errc::malformed, fmt::format("{}: unknown field \"{}\"", where_,
                                                                         base::printable(name)));
  return {};
}

bool is_name(std::string_view text) {
  const auto is_allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= base::limits::kNameBytes && std::all_of(text.begin(), text.end(), is_allowed);
}

}  // namespace transparency
