// The audit log for somebody else's eyes: a copy, the inspections that it names, the checkpoint over it, and the TPM's own word
// about the anchor.
#pragma once

#include <filesystem>

#include "appliance/admin/acts.hpp"

namespace appliance {

inline constexpr const char* kExportedLog = "audit.log";
inline constexpr const char* kExportedCheckpoint = "checkpoint";
inline constexpr const char* kExportedAnchor = "anchor.json";

// Into a new folder below `to`, named after the appliance and the number of lines. Errc::mismatch for a log that does not fit its
// anchor: nothing is signed about such a log. A torn last line is put right first, as at any start.
base::Result<void> export_log(const AdminDesk& desk, const std::filesystem::path& to);

}  // namespace appliance
