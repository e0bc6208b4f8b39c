// coldseal.toml: which TPM, and how each kind of request is signed. Unknown keys are refused, so that a misspelt
// rule is never silently absent.
//
//   [appliance]
//   name = "vault-1"
//   tpm = "device:/dev/tpmrm0"        # a TCTI
//   mode = "development"              # or "production": what the ceremony made of this appliance, for ever
//   keep_days = 30                    # rules of the whole box, each of which may be left out (BoxRules)
//   spool_mib = 40960
//   clock_days = 1
//   deny_list = "<SHA-256 of the file deny-list, hex>"
//
//   [[profile]]
//   name = "release"
//   key_class = "release"
//   operations = ["embed", "catalog"]
//   submitters = ["build-1"]
//   description = "Example driver"    # in every signature (SpcSpOpusInfo); may be left out
//   url = "https://example.com"       # the same
//   os = ["10_X64"]                   # rules, each of which may be left out (profile_rules.hpp)
//   request_mib = 512
//   certificate_days = 30
//   signatures_a_day = 200
//   blocking = ["inf.pnplockdown-missing"]
//   crl_days = 7
//   waiting_days = 30
//   officers_may_submit = true
//   dual_signing = true               # for Windows before 8: SHA-1, with the SHA-256 signature nested in it; may be left out
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "appliance/embedding.hpp"
#include "appliance/layout.hpp"
#include "appliance/profile_rules.hpp"
#include "appliance/submitters.hpp"
#include "crypto/attest/nv_map.hpp"
#include "crypto/base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/digest.hpp"
#include "crypto/package/deny_list.hpp"
#include "crypto/verify_signature.hpp"
#include "usb/wire/request.hpp"

namespace appliance {

struct Profile {
  std::string name;
  std::string key_class;
  std::vector<wire::Operation> operations;
  std::vector<std::string> submitters;
  SignatureForm form;
  ProfileRules rules;
};

// What decides how a request is signed, as one value: the profile's settings and the certificate chain. It is part of the
// signing set, so that a change of either after the inspection is noticed before anybody approves.
crypto::Digest profile_digest(const Profile& profile, const std::vector<crypto::Certificate>& chain);

struct BoxRules {   // of [appliance]
  unsigned keep_days = 0;            // how long a response stays after it was delivered, or refused at the door; 0: for ever (of refusals limits::kRefusalsKept)
  std::uint64_t spool_bytes = 0;     // what requests may take of the disk together; 0: no limit
  unsigned clock_days = 1;           // how far the clock may be ahead of the time last known before administrators must say that it is right
  std::string deny_list;             // SHA-256 of the deny list that administrators approved with this file, hex; empty: there is none
};

struct Configuration {
  static base::Result<Configuration> load(const Layout& layout);
  static base::Result<Configuration> parse(std::string_view toml);   // without submitters

  // Errc::not_found, worded for the submitter.
  base::Result<const Profile*> profile(std::string_view name) const;
  base::Result<const Submitter*> submitter_of_key(std::string_view keyid) const;
  // Errc::unavailable, worded for officers, when coldseal.toml is not the file any more that this was made from: configuration.changed.
  base::Result<void> expect_unchanged(const Layout& layout) const;
  // What the audit log says of the submitters' keys.
  void heed(const Administered& log);

  std::string name;
  std::string tpm;
  attest::Mode mode = attest::Mode::development;
  std::vector<Profile> profiles;
  std::vector<Submitter> submitters;
  crypto::Digest digest;   // SHA-256 of coldseal.toml
  BoxRules box{};
};

// The file deny-list, when its SHA-256 is that one. Without one there must be no such file: a list that nobody approved is not passed over in
// silence. Errc::refused: deny-list.changed, deny-list.not-approved.
base::Result<package::DenyList> load_deny_list(const Layout& layout, const std::string& sha256);

// Lower-case letters, digits, '-' and '_', at most limits::kNameBytes: names of classes, profiles, submitters, officers.
bool is_plain_name(std::string_view name);

}  // namespace appliance
