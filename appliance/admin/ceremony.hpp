// What administrators do with the TPM: officers and keys are made, a certificate is asked for. Each step says what it did.
// The full ceremony (one reviewed file, attestations, closed hierarchies, administrators' quorum) is not here yet.
#pragma once

#include <string>
#include <vector>

#include "appliance/custody.hpp"
#include "appliance/layout.hpp"
#include "appliance/terminal.hpp"
#include "crypto/base/result.hpp"
#include "crypto/keys/certificate_request.hpp"

namespace appliance {

struct ProvisioningPlan {
  std::string tcti;
  std::string key_class;
  unsigned quorum = 0;
  std::vector<std::string> officers;
};

// Officers type their PINs at the terminal; then the key class and, the first time, the receipt key are made. Errc::refused
// when the class exists.
base::Result<void> provision(const Layout& layout, const ProvisioningPlan& plan, Terminal& terminal);

// A PKCS#10 request for the class's key, approved by its officers like any other signature. Written to `file`.
base::Result<void> request_certificate(const Layout& layout, Custody& custody, const std::string& key_class,
                                       const keys::SubjectName& subject, const std::string& file, Terminal& terminal);

// A blocked officer may try again; the PIN stays as it is, and unknown to everybody else.
base::Result<void> unlock(const Layout& layout, Custody& custody, const std::string& key_class, const std::string& officer,
                          Terminal& terminal);

base::Result<void> enrol_submitter(const Layout& layout, const std::string& name, const std::string& key_file,
                                   Terminal& terminal);

base::Result<void> show_status(const Layout& layout, Custody& custody, Terminal& terminal);

}  // namespace appliance
