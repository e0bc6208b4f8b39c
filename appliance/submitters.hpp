// Enrolled submitters: a public key in submitters/NAME.pem, and what the audit log says of that key (administered.hpp). A key without a
// line in the log does not expire and is nobody's in particular.
#pragma once

#include <optional>
#include <string>

#include "appliance/administered.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "crypto/verify_signature.hpp"
#include "tpm/quorum.hpp"

namespace appliance {

struct Submitter {
  std::string name;
  crypto::PublicKey key;
  std::string person;   // whose key it is, when an officer of that name exists; may be empty
  std::optional<base::Time> expires;
  std::optional<base::Time> revoked;
  std::string revocation_reason;

  // Errc::refused, worded for the submitter: submitter.revoked, submitter.expired.
  base::Result<void> expect_usable(base::Time now) const;
  // Errc::refused: submitter.is-officer, when one of the officers has the submitter's or the person's name.
  base::Result<void> expect_no_officer(const tpm::Quorum& quorum) const;
};

}  // namespace appliance
