// The rules of workflow.cpp: what must hold of a request, its submitter, its files, the certificate and the time before it goes on.
#include <fmt/format.h>

#include <algorithm>

#include "appliance/revocation.hpp"
#include "appliance/workflow.hpp"
#include "crypto/base/limits.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

Result<void> Workflow::expect_submitter(const std::string& keyid, const Profile& profile) const {
  const Submitter* const submitter = TRY(settings_.configuration.submitter_of_key(keyid));
  TRY(submitter->expect_usable(log_.now()));
  if (profile.rules.officers_may_submit) return {};
  const Result<KeyClass> key_class = KeyClass::load(settings_.layout, profile.key_class);
  // Without a key nobody is its officer; the request waits until there is one.
  if (!key_class) return {};
  return submitter->expect_no_officer(key_class->quorum);
}

// Known when the request was received. Errc::refused, worded for submitters and officers.
Result<const Profile*> Workflow::profile_of(const RequestRecord& record) const {
  Result<const Profile*> profile = settings_.configuration.profile(record.profile);
  if (profile) return profile;
  return fail(Errc::refused, fmt::format("profile.gone: the profile \"{}\" was taken out of this appliance's configuration since the request came", base::printable(record.profile)));
}

// One that would never fit is refused; one that does not fit now stays in the inbox, and is taken in when others are answered.
Result<void> Workflow::expect_room(const wire::Request& request) const {
  const std::uint64_t quota = settings_.configuration.box.spool_bytes;
  if (quota == 0) return {};
  const std::uint64_t wanted = total_bytes(request);
  if (wanted > quota)
    return fail(Errc::refused, fmt::format("spool.quota: files of {} bytes, this appliance takes at most {} bytes at a time: split the request", wanted, quota));
  const std::uint64_t taken = book_.unanswered_bytes();
  if (taken + wanted <= quota) return {};
  return fail(Errc::unavailable, fmt::format("spool.quota: {} of {} bytes are taken by requests that wait, and this one has {}: it stays in the inbox until "
                                             "others are answered", taken, quota, wanted));
}

Result<void> Workflow::expect_rules(const RequestRecord& record, const KeyClass& key_class, const crypto::SigningIdentity& identity, const SigningPlan& plan,
                                    const package::Inspection& inspection) const {
  const Profile* const profile = TRY(profile_of(record));
  TRY(clock_->expect_sane());
  TRY(settings_.configuration.expect_unchanged(settings_.layout));   // what the file says now is not what would happen
  const Submitter* const submitter = TRY(settings_.configuration.submitter_of_key(record.keyid));
  TRY(submitter->expect_usable(log_.now()));
  if (!profile->rules.officers_may_submit) TRY(submitter->expect_no_officer(key_class.quorum));
  TRY(profile->rules.expect_findings(inspection.findings));
  TRY(profile->rules.expect_certificates(identity, log_.now()));
  TRY(expect_not_revoked(settings_.layout, administered_, identity, profile->rules.crl_days, log_.now()));
  return profile->rules.expect_room(book_.signatures_since(record.profile, log_.now() - std::chrono::hours(24)), plan.set().items.size());
}

void Workflow::add_own_findings(package::Inspection& inspection, const SigningPlan& plan, const KeyClass& key_class) const {
  const std::string own_key = crypto::sha256(key_class.public_key.der()).hex();
  for (const package::PeFile& image : inspection.pe_files) {
    const bool by_us = !image.signer_keys.empty() &&
                       std::all_of(image.signer_keys.begin(), image.signer_keys.end(), [&](const std::string& key) { return key == own_key; });
    if (image.is_signed && !by_us)
      inspection.findings.push_back({"pe.signed-by-other", package::Severity::note, image.path, 0,
                                     image.signer.empty() ? "signed, and not with the key that would sign here" : "signed by " + image.signer,
                                     "none needed, when it is meant to be in the package"});
  }
  for (package::Finding& finding : deny_list_.findings(plan.files(), inspection.pe_files)) inspection.findings.push_back(std::move(finding));
}

Result<package::Inspection> Workflow::inspection_in(const Sitting& sitting) const {
  const RequestRecord* const known = book_.find(sitting.id());
  package::Inspection inspection = TRY(load_inspection(settings_.layout, known->inspection_digest));
  add_own_findings(inspection, sitting.plan(), sitting.key_class());
  return inspection;
}

}  // namespace appliance
