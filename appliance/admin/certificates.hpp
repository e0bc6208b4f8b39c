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

// The chain in that file, if it may be the class's, becomes the one in use: an act, in the log before it takes effect.
base::Result<void> install_certificate(const AdminDesk& desk, const std::string& key_class, const std::string& file);
// Whether it may be, before anything is opened.
base::Result<crypto::SigningIdentity> expect_chain(const Layout& layout, const std::string& key_class, const std::string& file);

base::Result<void> show_status(const Layout& layout, Custody& custody, Terminal& terminal);

}  // namespace appliance
