// Who may send requests, and until when. The audit log remembers: a key that was revoked stays so, whatever happens to the files.
#pragma once

#include <optional>
#include <string>

#include "appliance/admin/acts.hpp"
#include "appliance/administered.hpp"

namespace appliance {

struct EnrolmentWish {
  std::string name;
  std::string key_file;              // PEM of the public key
  std::optional<base::Time> expires;
  std::string person;                // whose key it is, by the name that an officer has or would have; may be empty
};
// Names and the key's file, by themselves.
base::Result<void> expect_sound(const EnrolmentWish& wish);
// A new submitter, a new key for one whose key is revoked or has expired, or another date for the same key. Errc::refused for a key that was revoked.
base::Result<void> enrol_submitter(const AdminDesk& desk, const EnrolmentWish& wish);
// From now on, for ever; their waiting requests too.
base::Result<void> revoke_submitter(const AdminDesk& desk, const std::string& name, const std::string& reason);
base::Result<void> list_submitters(const AdminDesk& desk);

// What the lines of the audit log say.
base::Result<Administered> read_administered(const AdminDesk& desk);

}  // namespace appliance
