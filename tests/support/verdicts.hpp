// What tests of verification ask of a verdict, and how they change fields of a file.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "crypto/package/verification.hpp"

namespace tests {

// Little-endian fields.
inline std::size_t get_field(const base::Bytes& file, std::size_t at, std::size_t size = 4) {
  std::size_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | file.at(at + i);
  return value;
}
inline void put_field(base::Bytes& file, std::size_t at, std::size_t value, std::size_t size = 4) {
  for (std::size_t i = 0; i < size; ++i) file.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
}

inline std::string ids(const package::Verdict& verdict) {
  std::string text;
  for (const package::Finding& finding : verdict.findings) text += finding.id + " (" + finding.cause + ")\n";
  return text;
}
// Every finding says why and what to do.
inline bool has(const package::Verdict& verdict, std::string_view id, package::Severity severity = package::Severity::error) {
  return std::any_of(verdict.findings.begin(), verdict.findings.end(), [&](const package::Finding& finding) {
    return finding.id == id && finding.severity == severity && !finding.cause.empty() && !finding.remedy.empty();
  });
}

}  // namespace tests
