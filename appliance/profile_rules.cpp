#include "appliance/profile_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/text.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

namespace {

bool is_in(const std::vector<std::string>& list, const std::string& wanted) { return std::find(list.begin(), list.end(), wanted) != list.end(); }

}  // namespace

std::uint64_t total_bytes(const wire::Request& request) {
  std::uint64_t bytes = 0;
  for (const wire::FileEntry& file : request.files) bytes += file.size;
  return bytes;
}

Result<void> ProfileRules::expect_request(const wire::Request& request) const {
  if (!os.empty())
    for (const std::string& target : request.os_targets)
      if (!is_in(os, target)) return fail(Errc::refused, fmt::format("the profile does not allow the system {}", base::printable(target)));
  const std::uint64_t bytes = total_bytes(request);
  if (bytes > request_bytes)
    return fail(Errc::refused, fmt::format("files of {} bytes together, the profile allows {}", bytes, request_bytes));
  return {};
}

bool ProfileRules::blocks(const package::Finding& finding, std::size_t findings) const {
  if (is_in(blocking, finding.id)) return true;
  // What could not be read of an image could be any of the findings about images, or the name and version that a deny list wants.
  if (finding.id == "pe.details-not-readable")
    return std::any_of(blocking.begin(), blocking.end(), [](const std::string& id) { return id.starts_with("pe.") || id == "deny-list.name"; });
  // The inspector leaves findings out when its list is full, and never the first of an id: nothing that blocks is among them. One that says so
  // of a list with room left is not to be believed.
  return finding.id == "inspection.findings-left-out" && !blocking.empty() && findings + 1 < base::limits::kFindings;
}

Result<void> ProfileRules::expect_findings(const std::vector<package::Finding>& findings) const {
  for (const package::Finding& finding : findings)
    if (blocks(finding, findings.size()))
      return fail(Errc::refused, fmt::format("the profile refuses packages with the finding {}: {}{}", finding.id,
                                             finding.file.empty() ? std::string() : base::printable(finding.file) + ": ", base::printable(finding.cause)));
  return {};
}

Result<void> ProfileRules::expect_certificates(const crypto::SigningIdentity& identity, base::Time now) const {
  TRY(identity.expect_valid_at(now));
  // The roots are those that administrators installed with the chain: it must lead to one of them by signatures, not only by names.
  std::vector<crypto::Certificate> roots;
  for (const crypto::Certificate& certificate : identity.chain())
    if (certificate.is_self_issued()) roots.push_back(certificate);
  if (roots.empty())
    return fail(Errc::unavailable, "certificate.chain-incomplete: the root is missing; install the certificate with all its issuers, the root too: "
                                   "coldseal-admin certificate");
  const crypto::ChainVerdict verdict = crypto::verify_chain(identity.leaf(), identity.chain(), roots, now, crypto::CertificateUse::code_signing);
  if (!verdict.trusted())
    return fail(Errc::unavailable, fmt::format("certificate.chain-incomplete: {}; install the certificate with all its issuers: coldseal-admin certificate",
                                               verdict.problems.front().text));
  if (const auto later = identity.expect_valid_at(now + std::chrono::hours(24) * certificate_days); !later)
    return fail(Errc::unavailable, fmt::format("certificate.expires-soon: the profile wants a certificate that is valid for {} days more: {}; install the next one with "
                                               "coldseal-admin certificate", certificate_days, later.error().text()));
  return {};
}

Result<void> ProfileRules::expect_room(std::uint64_t made_in_a_day, std::uint64_t wanted) const {
  if (signatures_a_day == 0 || made_in_a_day + wanted <= signatures_a_day) return {};
  return fail(Errc::unavailable, fmt::format("profile.signatures-a-day: the profile allows {} signatures in 24 hours; {} were made and this request wants {}: wait, or split the "
                                             "request", signatures_a_day, made_in_a_day, wanted));
}

}  // namespace appliance
