#include "appliance/revocation.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

namespace {

constexpr std::string_view kImport = "carry the newest in and import it: coldseal-admin crl import FILE";

std::string authority_id(const crypto::Certificate& authority) { return crypto::sha256(authority.public_key_der()).hex(); }

// None when nothing was ever imported for that authority.
Result<std::optional<crypto::RevocationList>> list_of(const Layout& layout, const Administered& log, const crypto::Certificate& authority) {
  const std::string id = authority_id(authority);
  const ImportedList* const newest = log.list_of(id);
  const std::filesystem::path file = list_file(layout, id);
  if (newest == nullptr && !is_there(file)) return std::optional<crypto::RevocationList>();
  const Result<base::Bytes> bytes = usb::read_file(file, base::limits::kRevocationListBytes);
  if (newest == nullptr || !bytes || crypto::sha256(*bytes).hex() != newest->sha256)
    return fail(Errc::unavailable, fmt::format("crl.changed: the revocation list of {} is not the one that was imported; {}", authority.subject(), kImport));
  crypto::RevocationList list = TRY(crypto::RevocationList::parse(*bytes));
  TRY(list.expect_issued_by(authority));
  return std::optional(std::move(list));
}

Result<void> expect_fresh(const crypto::RevocationList& list, const crypto::Certificate& authority, unsigned crl_days, base::Time now) {
  if (now - list.this_update() > std::chrono::hours(24) * crl_days)
    return fail(Errc::unavailable, fmt::format("crl.too-old: the revocation list of {} is of {}, the profile wants one that is at most {} days old; {}",
                                               authority.subject(), base::rfc3339(list.this_update()), crl_days, kImport));
  if (list.next_update() && now > *list.next_update())
    return fail(Errc::unavailable, fmt::format("crl.too-old: the revocation list of {} was to be replaced at {}; {}", authority.subject(),
                                               base::rfc3339(*list.next_update()), kImport));
  return {};
}

}  // namespace

std::filesystem::path list_file(const Layout& layout, const std::string& authority) { return layout.revocation_lists() / (authority + ".crl"); }

const crypto::Certificate* issuer_in(const std::vector<crypto::Certificate>& chain, const crypto::Certificate& certificate) {
  if (certificate.is_self_issued()) return nullptr;
  const auto found = std::find_if(chain.begin(), chain.end(), [&](const crypto::Certificate& each) {
    return std::ranges::equal(each.subject_der(), certificate.issuer_der());
  });
  return found == chain.end() ? nullptr : &*found;
}

Result<void> expect_not_revoked(const Layout& layout, const Administered& log, const crypto::SigningIdentity& identity, unsigned crl_days, base::Time now) {
  for (const crypto::Certificate& certificate : identity.chain()) {
    const crypto::Certificate* const issuer = issuer_in(identity.chain(), certificate);
    if (issuer == nullptr) continue;
    const std::optional<crypto::RevocationList> list = TRY(list_of(layout, log, *issuer));
    if (list && list->revoked_at(certificate.serial()))
      return fail(Errc::unavailable, fmt::format("certificate.revoked: {} took the certificate of {} back at {}; nothing is signed with it any more",
                                                 issuer->subject(), certificate.subject(), base::rfc3339(*list->revoked_at(certificate.serial()))));
    // Authorities above issue theirs once in a year: only the one about the signing certificate is held against the profile.
    if (crl_days == 0 || !(certificate == identity.leaf())) continue;
    if (!list)
      return fail(Errc::unavailable, fmt::format("crl.missing: the profile wants a revocation list of {}; {}", issuer->subject(), kImport));
    TRY(expect_fresh(*list, *issuer, crl_days, now));
  }
  return {};
}

Result<CheckedList> check_new_list(base::ByteView file, const std::vector<crypto::Certificate>& authorities, const Administered& log, base::Time now) {
  crypto::RevocationList list = TRY(crypto::RevocationList::read(file));
  const auto by_name = [&](const crypto::Certificate& each) { return std::ranges::equal(each.subject_der(), list.issuer_der()); };
  Result<void> issued = fail(Errc::mismatch, "no certificate of an installed chain has the name of its issuer");
  const crypto::Certificate* issuer = nullptr;
  for (const crypto::Certificate& authority : authorities) {
    if (!by_name(authority)) continue;
    issued = list.expect_issued_by(authority);
    if (!issued) continue;
    issuer = &authority;
    break;
  }
  if (issuer == nullptr) return fail(issued.error().code(), "crl.not-by-issuer: " + issued.error().text());
  // An hour: the authority's clock and ours differ.
  if (list.this_update() > now + std::chrono::hours(1))
    return fail(Errc::refused, fmt::format("crl.from-the-future: the list is of {} and it is {} here; look at the clock of this machine",
                                           base::rfc3339(list.this_update()), base::rfc3339(now)));
  const std::string id = authority_id(*issuer);
  ImportedList line{id, list.number(), list.this_update(), crypto::sha256(list.der()).hex()};
  const ImportedList* const before = log.list_of(id);
  const bool is_recorded = before != nullptr && before->sha256 == line.sha256;
  if (before != nullptr && !is_recorded) TRY(base::within("crl.not-newer", list.expect_newer_than(before->number, before->this_update)));
  std::string subject = issuer->subject();
  return CheckedList{std::move(list), std::move(line), std::move(subject), is_recorded};
}

}  // namespace appliance
