// Runs coldseal-inspector over one spooled request: a child that is given the request's files already open and one pipe back,
// limits on memory, time and output, a system call filter (appliance/confinement.hpp), its own user where there is one, and
// nothing else. What it answers is untrusted and decoded as such.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "appliance/confinement.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "crypto/package/inspection.hpp"

namespace appliance {

struct InspectorJob {
  std::filesystem::path program;
  std::filesystem::path files;   // the spooled request's files
  std::vector<std::string> os_targets;
  base::Time today{};
  std::chrono::seconds patience{120};
  std::uint64_t memory = 2ULL << 30;   // it streams what it reads; INFs and catalogs are bounded
  std::uint64_t output = base::limits::kInspectionBytes;
  std::optional<UserIds> user = std::nullopt;   // none: that of the caller
};

// The inspector ends with this when its memory is used up.
inline constexpr int kInspectorOutOfMemory = 86;

// The answer as it came. Errc::refused (Errc::too_large for a flood) when the inspector did what it may not or ran out of
// its limits; the text begins with the reason's id, inspector.crashed and the like (docs/operations.md lists them), and the
// child is gone. Errc::unavailable when it could not be run, or was told to stop.
base::Result<base::Bytes> run_inspector(const InspectorJob& job);

}  // namespace appliance
