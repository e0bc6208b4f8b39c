// What is carried in on a stick: revocation lists, which their authority has signed, and lists of files that are not to be signed, which count
// once administrators have approved the digest in coldseal.toml.
#pragma once

#include <string>

#include "appliance/admin/acts.hpp"

namespace appliance {

base::Result<void> import_revocation_list(const AdminDesk& desk, const std::string& file);
base::Result<void> show_revocation_lists(const AdminDesk& desk);

// Microsoft's list of vulnerable drivers, or any policy in that form (block_list.hpp): its rules take the place of those of the last
// import, what administrators wrote themselves stays. Shows the digest that belongs into coldseal.toml.
base::Result<void> import_deny_list(const AdminDesk& desk, const std::string& file);
base::Result<void> show_deny_list(const AdminDesk& desk);

}  // namespace appliance
