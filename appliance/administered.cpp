#include "appliance/administered.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;
using transparency::AuditLine;

namespace {

constexpr const char* kSubmitterKey = "submitter-key";
constexpr const char* kNever = "never";

const std::string& said(const AuditLine& line, const std::string& name) {
  static const std::string kNothing;
  const auto found = line.data.find(name);
  return found == line.data.end() ? kNothing : found->second;
}

}  // namespace

Result<void> Administered::apply(const AuditLine& line) {
  if (line.event == transparency::AuditEvent::time_changed && !said(line, kTpmAhead).empty())
    tpm_ahead_ = std::chrono::seconds(base::whole_number(said(line, kTpmAhead)).value_or(0));
  if (line.event != transparency::AuditEvent::administration) return {};
  const std::string where = fmt::format("line {}", line.index + 1);
  if (const std::string& keyid = said(line, kSubmitterKey); !keyid.empty()) {
    Enrolment& enrolment = enrolments_[keyid];
    enrolment.keyid = keyid;
    if (!said(line, "submitter").empty()) enrolment.submitter = said(line, "submitter");
    if (const std::string& why = said(line, "revoked"); !why.empty()) {
      enrolment.revoked = line.at;
      enrolment.reason = why;
      return {};
    }
    // Once revoked, for ever: whoever still has the key could use it.
    enrolment.person = said(line, "person");
    enrolment.expires.reset();
    if (said(line, "expires") != kNever) enrolment.expires = TRY(base::within(where, base::time_from_rfc3339(said(line, "expires"))));
  }
  if (const std::string& authority = said(line, "crl-authority"); !authority.empty()) {
    const base::Time update = TRY(base::within(where, base::time_from_rfc3339(said(line, "crl-update"))));
    lists_.insert_or_assign(authority, ImportedList{authority, said(line, "crl-number"), update, said(line, "crl-sha256")});
  }
  return {};
}

const Enrolment* Administered::enrolment(std::string_view keyid) const {
  const auto found = enrolments_.find(keyid);
  return found == enrolments_.end() ? nullptr : &found->second;
}

const ImportedList* Administered::list_of(std::string_view authority) const {
  const auto found = lists_.find(authority);
  return found == lists_.end() ? nullptr : &found->second;
}

std::vector<const Enrolment*> Administered::enrolments() const {
  std::vector<const Enrolment*> all;
  for (const auto& [keyid, enrolment] : enrolments_) all.push_back(&enrolment);
  std::stable_sort(all.begin(), all.end(), [](const Enrolment* a, const Enrolment* b) { return a->submitter < b->submitter; });
  return all;
}

std::vector<const ImportedList*> Administered::lists() const {
  std::vector<const ImportedList*> all;
  for (const auto& [authority, list] : lists_) all.push_back(&list);
  return all;
}

std::map<std::string, std::string> Administered::line_of(const Enrolment& enrolment) {
  std::map<std::string, std::string> data = {{"submitter", enrolment.submitter}, {kSubmitterKey, enrolment.keyid}};
  if (enrolment.revoked) {
    data["what"] = fmt::format("the key of submitter {} is revoked", enrolment.submitter);
    data["revoked"] = enrolment.reason;
    return data;
  }
  data["what"] = fmt::format("submitter {} is enrolled", enrolment.submitter);
  data["expires"] = enrolment.expires ? base::rfc3339(*enrolment.expires) : kNever;
  if (!enrolment.person.empty()) data["person"] = enrolment.person;
  return data;
}

std::map<std::string, std::string> Administered::line_of(const ImportedList& list, std::string_view issuer) {
  return {{"what", fmt::format("revocation list number {} of {} is imported", list.number, issuer)},
          {"crl-authority", list.authority},
          {"crl-number", list.number},
          {"crl-update", base::rfc3339(list.this_update)},
          {"crl-sha256", list.sha256}};
}

}  // namespace appliance
