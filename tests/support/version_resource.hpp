// Images with a version resource or imports, byte by byte as "VS_VERSIONINFO structure" and "PE Format" describe them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crypto/base/bytes.hpp"

namespace tests {

// VS_VERSIONINFO with VS_FIXEDFILEINFO and one string table that says OriginalFilename and ProductName.
base::Bytes version_resource(const std::string& original_name, std::uint64_t version, bool is_debug);
base::Bytes driver_with_version(const std::string& original_name, std::uint64_t version, bool is_debug);
base::Bytes driver_with_imports(const std::vector<std::string>& dlls);

}  // namespace tests
