// What lies in a folder from outside: regular files only, under limits, never following a symbolic link.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "crypto/base/result.hpp"

namespace usb {

struct FoundFile {
  std::string path;   // relative to the folder, '/'-separated, as the file system spells it
  std::uint64_t size = 0;       // bytes
  std::int64_t modified = 0;    // time of last change, nanoseconds since 1970
};

// Every file below the folder, sorted by path. Errc::refused for a symbolic link, device, socket or pipe;
// Errc::too_large over limits::kPackageFiles, kPackageBytes or kPathDepth. Paths are not yet judged: see wire::expect_package_path.
base::Result<std::vector<FoundFile>> files_below(const std::filesystem::path& folder);

}  // namespace usb
