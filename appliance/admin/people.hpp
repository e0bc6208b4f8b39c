// People at the administration terminal: PINs typed, approvals collected.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "appliance/terminal.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/secret_bytes.hpp"
#include "tpm/quorum.hpp"

namespace appliance {

// Typed twice; asked again until both agree and are long enough.
base::Result<base::SecretBytes> new_pin(const std::string& person, Terminal& terminal);
base::Result<base::SecretBytes> ask_pin(const std::string& person, Terminal& terminal);

// One PIN after the other until `needed` people have approved. A wrong PIN asks again; Enter stops (Errc::refused), and so
// does a TPM that fails. role: "officer", "administrator". on_failure writes a failed PIN down before anybody is told.
using ApproveAs = std::function<base::Result<tpm::Approval>(const std::string& name, base::SecretBytes pin)>;
using OnFailure = std::function<base::Result<void>(const std::string& name, const std::string& reason)>;
base::Result<std::vector<tpm::Approval>> collect_approvals(unsigned needed, const std::string& role, Terminal& terminal,
                                                           const ApproveAs& approve, const OnFailure& on_failure);

// Names that people and screens can use: plain, and longer than the one-letter answers at the console.
base::Result<void> expect_person_name(const std::string& name);

}  // namespace appliance
