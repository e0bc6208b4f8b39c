// Revocation lists as they lie on the appliance, one of each authority, carried in by administrators (coldseal-admin crl). The audit log
// says which is the newest; another file in its place is noticed.
#pragma once

#include "appliance/administered.hpp"
#include "appliance/layout.hpp"
#include "crypto/base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/revocation_list.hpp"

namespace appliance {

// None of the identity's certificates is on the list of its issuer, as far as there is one. crl_days over 0: there must be one about the
// signing certificate, not older than that and not past its own nextUpdate. Errc::unavailable, worded for officers: certificate.revoked, crl.missing,
// crl.too-old, crl.changed.
base::Result<void> expect_not_revoked(const Layout& layout, const Administered& log, const crypto::SigningIdentity& identity, unsigned crl_days,
                                      base::Time now);

// The issuer of that certificate among the others; nullptr when it is not there. A root is nobody's.
const crypto::Certificate* issuer_in(const std::vector<crypto::Certificate>& chain, const crypto::Certificate& certificate);

struct CheckedList {
  crypto::RevocationList list;
  ImportedList line;    // for the audit log
  std::string issuer;   // for people
  bool is_recorded = false;   // the log has that line already
};
// A list that may be imported: by an authority of one of the chains, newer than what the log says is here or that very one, not from
// the future.
// Errc::refused and Errc::mismatch: crl.not-by-issuer, crl.not-newer, crl.from-the-future.
base::Result<CheckedList> check_new_list(base::ByteView file, const std::vector<crypto::Certificate>& authorities, const Administered& log, base::Time now);

std::filesystem::path list_file(const Layout& layout, const std::string& authority);

}  // namespace appliance
