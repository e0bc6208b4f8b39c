#include "appliance/submitters.hpp"

#include <fmt/format.h>

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

Result<void> Submitter::expect_usable(base::Time now) const {
  if (revoked)
    return fail(Errc::refused, fmt::format("submitter.revoked: the key of submitter {} was revoked at {}: {}", name, base::rfc3339(*revoked),
                                           base::printable(revocation_reason)));
  if (expires && now >= *expires)
    return fail(Errc::refused, fmt::format("submitter.expired: the key of submitter {} was enrolled until {}; make a new one with coldseal key create and "
                                           "have it enrolled", name, base::rfc3339(*expires)));
  return {};
}

Result<void> Submitter::expect_no_officer(const tpm::Quorum& quorum) const {
  for (const tpm::Officer& officer : quorum.officers)
    if (officer.name == name || (!person.empty() && officer.name == person))
      return fail(Errc::refused, fmt::format("submitter.is-officer: submitter {} is the officer {} of the key that would sign; somebody else submits, or a "
                                             "profile says officers_may_submit = true", name, officer.name));
  return {};
}

}  // namespace appliance
