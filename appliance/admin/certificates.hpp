// Certificates, and what there is to be seen.
#pragma once

#include <string>

#include "appliance/admin/acts.hpp"
#include "appliance/custody.hpp"
#include "appliance/layout.hpp"
#include "appliance/terminal.hpp"
#include "crypto/base/result.hpp"
#include "crypto/keys/certificate_request.hpp"

namespace appliance {

// A PKCS#10 request for the class's key, approved by its officers like any other signature. Written to `file`.
base::Result<void> request_certificate(const AdminDesk& desk, const std::string& key_class, const keys::SubjectName& subject,
                                       const std::string& file);

base::Result<void> show_status(const Layout& layout, Custody& custody, Terminal& terminal);

}  // namespace appliance
