// Reading administrators' TOML files (coldseal.toml, the ceremony's file): a setting that is missing, misspelt or of another type is
// an error that names the table and the setting. Inline: toml++ is slow to parse, and two source files need it.
#pragma once

#include <fmt/format.h>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"

namespace appliance::toml_fields {

inline base::Result<void> expect_only(const toml::table& table, std::string_view where,
                                      std::initializer_list<std::string_view> keys) {
  for (const auto& [key, value] : table)
    if (std::find(keys.begin(), keys.end(), key.str()) == keys.end())
      return base::fail(base::Errc::malformed, fmt::format("line {}: {} has no setting \"{}\"", value.source().begin.line, where,
                                                           base::printable(key.str())));
  return {};
}

inline base::Result<std::string> text_at(const toml::table& table, std::string_view where, std::string_view key) {
  const auto value = table[key].value<std::string>();
  if (!value || value->empty()) return base::fail(base::Errc::malformed, fmt::format("{} needs {} = \"...\"", where, key));
  return *value;
}

inline base::Result<bool> flag_at(const toml::table& table, std::string_view where, std::string_view key) {
  const auto value = table[key].value_exact<bool>();
  if (!value) return base::fail(base::Errc::malformed, fmt::format("{} needs {} = true or false", where, key));
  return *value;
}

inline base::Result<std::vector<std::string>> list_at(const toml::table& table, std::string_view where, std::string_view key) {
  const toml::array* const array = table[key].as_array();
  if (array == nullptr || array->empty())
    return base::fail(base::Errc::malformed, fmt::format("{} needs {} = [\"...\"]", where, key));
  std::vector<std::string> list;
  for (const toml::node& node : *array) {
    const auto value = node.value<std::string>();
    if (!value) return base::fail(base::Errc::malformed, fmt::format("{}: {} holds something that is not text", where, key));
    list.push_back(*value);
  }
  return list;
}

}  // namespace appliance::toml_fields
