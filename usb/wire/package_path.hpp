// Which names a file may have inside a package: names that are the same on Linux, FAT and Windows, and cannot
// leave the package's folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.hpp"

namespace wire {

// Relative, '/'-separated, printable ASCII without < > : " | ? * \ ; no empty, "." or ".." part; no part that
// ends in a space or a dot, or is a device name (CON, NUL, COM1, with or without extension); at most
// limits::kPathBytes and kPathDepth. Errc::refused, naming the rule that was broken.
base::Result<void> expect_package_path(std::string_view path);

// Each path is one expect_package_path() takes, none is there twice, no two differ only in case, and none is
// also the folder of another.
base::Result<void> expect_distinct_paths(const std::vector<std::string>& paths);

}  // namespace wire
