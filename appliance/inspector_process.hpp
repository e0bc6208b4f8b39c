// Runs coldseal-inspector over one spooled request: a child with one pipe back, its own limits on memory, time and
// files, and nothing else. What it answers is untrusted and decoded as such.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

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
};

// The answer as it came, bounded by limits::kInspectionBytes. Errc::refused when the inspector crashed or ran out
// of its limits; Errc::unavailable when it could not be run, or was told to stop.
base::Result<base::Bytes> run_inspector(const InspectorJob& job);

}  // namespace appliance
