// Requests that have no answer yet, as administrators see them while coldseald is stopped.
#pragma once

#include <string>

#include "appliance/admin/acts.hpp"

namespace appliance {

base::Result<void> list_requests(const AdminDesk& desk);
// One administrator takes a request back, with a PIN and a reason for the submitter. id: any beginning of it that no other has.
// coldseald answers it when it is started.
base::Result<void> withdraw_request(const AdminDesk& desk, const std::string& id, const std::string& administrator, const std::string& reason);

}  // namespace appliance
