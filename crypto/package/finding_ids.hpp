// The ids of all findings that an inspection, or the box itself, can have: what a profile's `blocking` may name. Not the verdicts of
// verification.hpp. tests/architecture holds the table against the sources and docs/catalogs.md.
#pragma once

#include <span>
#include <string_view>

namespace package {

std::span<const std::string_view> finding_ids();
bool is_finding_id(std::string_view id);
std::string_view nearest_finding_id(std::string_view id);   // for whoever mistyped one

}  // namespace package
