// What administrators' lines of the audit log say of submitters and revocation lists. The log is the only state: a key that was
// revoked stays revoked when its file is copied back, and an older revocation list is not taken because the newer one was deleted.
// Also the names of the fields of those lines, for who writes and who reads them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "crypto/transparency/audit_log_line.hpp"

namespace appliance {

// Of one submitter's key: what the last line about it says.
struct Enrolment {
  std::string submitter;
  std::string keyid;
  std::string person;   // an officer's or administrator's name, when the key is that person's; may be empty
  std::optional<base::Time> expires;
  std::optional<base::Time> revoked;
  std::string reason;   // of the revocation
};

// Of the newest revocation list of one authority.
struct ImportedList {
  std::string authority;   // keyid of its public key
  std::string number;
  base::Time this_update{};
  std::string sha256;      // of the file
};

class Administered {
 public:
  // Lines arrive in order; those about anything else are passed over. Errc::mismatch for one of ours that does not hold together.
  base::Result<void> apply(const transparency::AuditLine& line);
  const Enrolment* enrolment(std::string_view keyid) const;
  const ImportedList* list_of(std::string_view authority) const;
  std::vector<const Enrolment*> enrolments() const;   // by submitter
  std::vector<const ImportedList*> lists() const;
  // How far the TPM's clock, which cannot be set back, is ahead of the time, as administrators have said.
  std::chrono::seconds tpm_ahead() const { return tpm_ahead_; }

  // The data of such lines, "what" included.
  static std::map<std::string, std::string> line_of(const Enrolment& enrolment);
  static std::map<std::string, std::string> line_of(const ImportedList& list, std::string_view issuer);
  static constexpr const char* kTpmAhead = "tpm-ahead";   // of a time-changed line: whole seconds

 private:
  std::map<std::string, Enrolment, std::less<>> enrolments_;   // by keyid
  std::map<std::string, ImportedList, std::less<>> lists_;     // by authority
  std::chrono::seconds tpm_ahead_{0};
};

}  // namespace appliance
