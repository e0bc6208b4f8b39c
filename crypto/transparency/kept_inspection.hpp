// Where the inspection of that SHA-256 (64 hex digits) lies below the folder of kept inspections, on the appliance and in exports:
// "3f/3f2a...". Lines of the audit log name it in their field "inspection".
#pragma once

#include <string>
#include <string_view>

namespace transparency {

inline constexpr std::string_view kInspectionField = "inspection";
inline constexpr std::string_view kInspectionsFolder = "inspections";

inline std::string kept_inspection_path(std::string_view digest) {
  return std::string(digest.substr(0, 2)) + "/" + std::string(digest);
}

}  // namespace transparency
