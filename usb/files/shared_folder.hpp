// Folders that two programs with users of their own share, inbox and outbox: whoever prepared them made them
// set-group-ID, with the group that both are in and what it may do. Files are written with rights for their owner
// alone; before something gets its final name there, the group is given the rights that the shared folder gives it.
#pragma once

#include <filesystem>

#include "crypto/base/result.hpp"

namespace usb {

// Nothing happens unless `shared` is set-group-ID. Folders below `tree`, and itself (which may also be a single file), get the group's bits of `shared`, files
// its read and write bits. Symbolic links are left alone. Errc::io.
base::Result<void> give_rights_of_shared_folder(const std::filesystem::path& shared, const std::filesystem::path& tree);

}  // namespace usb
