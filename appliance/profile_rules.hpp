// What a profile of coldseal.toml allows beyond operations and submitters. Every rule may be left out. They are held against a
// request at the door, after its inspection, before officers are asked and again before anything is signed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crypto/base/limits.hpp"
#include "crypto/base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/package/inspection.hpp"
#include "usb/wire/request.hpp"

namespace appliance {

std::uint64_t total_bytes(const wire::Request& request);   // of its files

struct ProfileRules {
  std::vector<std::string> os;                            // systems that requests may name; empty: any
  std::uint64_t request_bytes = base::limits::kPackageBytes;   // all files of one request
  unsigned certificate_days = 0;                          // how long the certificate must still be valid
  std::uint64_t signatures_a_day = 0;                     // in any 24 hours; 0: no limit
  std::vector<std::string> blocking;                      // ids of findings (crypto/package/finding_ids.hpp), warnings and notes, that refuse a request
  bool officers_may_submit = false;                       // whether an officer of the key class may be a submitter
  unsigned crl_days = 0;                                  // how old the revocation list about the certificate may be; 0: none is demanded
  unsigned waiting_days = 0;                              // how long a request waits for officers; 0: for ever

  // Errc::refused, worded for the submitter.
  base::Result<void> expect_request(const wire::Request& request) const;
  base::Result<void> expect_findings(const std::vector<package::Finding>& findings) const;
  // Errc::unavailable: worded for officers, who can do something about it. Chain complete and rightly signed, uses, validity.
  base::Result<void> expect_certificates(const crypto::SigningIdentity& identity, base::Time now) const;
  base::Result<void> expect_room(std::uint64_t made_in_a_day, std::uint64_t wanted) const;

 private:
  bool blocks(const package::Finding& finding, std::size_t findings) const;   // one of so many
};

}  // namespace appliance
