// coldseal.toml: which TPM, and how each kind of request is signed. Unknown keys are refused, so that a misspelt
// rule is never silently absent.
//
//   [appliance]
//   name = "vault-1"
//   tpm = "device:/dev/tpmrm0"        # a TCTI
//   mode = "development"              # or "production": what the ceremony made of this appliance, for ever
//
//   [[profile]]
//   name = "release"
//   key_class = "release"
//   operations = ["embed", "catalog"]
//   submitters = ["build-1"]
//   description = "Example driver"    # in every signature (SpcSpOpusInfo); may be left out
//   url = "https://example.com"       # the same
//   dual_signing = true               # for Windows before 8: SHA-1, with the SHA-256 signature nested in it; may be left out
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "appliance/embedding.hpp"
#include "appliance/layout.hpp"
#include "crypto/attest/nv_map.hpp"
#include "crypto/base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/digest.hpp"
#include "crypto/verify_signature.hpp"
#include "usb/wire/request.hpp"

namespace appliance {

struct Profile {
  std::string name;
  std::string key_class;
  std::vector<wire::Operation> operations;
  std::vector<std::string> submitters;
  SignatureForm form;
};

// What decides how a request is signed, as one value: the profile's settings and the certificate chain. It is part of the
// signing set, so that a change of either after the inspection is noticed before anybody approves.
crypto::Digest profile_digest(const Profile& profile, const std::vector<crypto::Certificate>& chain);

struct Submitter {
  std::string name;
  crypto::PublicKey key;
};

struct Configuration {
  static base::Result<Configuration> load(const Layout& layout);
  static base::Result<Configuration> parse(std::string_view toml);   // without submitters

  // Errc::not_found, worded for the submitter.
  base::Result<const Profile*> profile(std::string_view name) const;
  base::Result<const Submitter*> submitter_of_key(std::string_view keyid) const;

  std::string name;
  std::string tpm;
  attest::Mode mode = attest::Mode::development;
  std::vector<Profile> profiles;
  std::vector<Submitter> submitters;
  crypto::Digest digest;   // SHA-256 of coldseal.toml
};

// Lower-case letters, digits, '-' and '_', at most limits::kNameBytes: names of classes, profiles, submitters, officers.
bool is_plain_name(std::string_view name);

}  // namespace appliance
