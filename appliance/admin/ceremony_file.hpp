// The ceremony's one input: a file that was reviewed before, by people who compare its words at the ceremony. Unknown settings
// are refused. Paths are relative to the file.
//
//   [ceremony]
//   title = "vault-1, first key"
//   mode = "development"                       # fixed for the life of the keys
//   [firmware]
//   vendor_keys = ["vendor-a.pem", "vendor-b.pem"]
//   approval = "approval.toml"                 # with approval.sig beside it
//   floor = 1
//   [administrators]
//   quorum = 2
//   names = ["uma", "vic", "wes"]
//   [[key_class]]
//   name = "release"
//   quorum = 2
//   officers = ["ada", "ben", "cay"]
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "crypto/attest/nv_map.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"
#include "crypto/verify_signature.hpp"
#include "tpm/firmware_gate.hpp"

namespace appliance {

struct CeremonyClass {
  std::string name;
  unsigned quorum = 0;
  std::vector<std::string> officers;
};

struct CeremonyFile {
  static base::Result<CeremonyFile> load(const std::filesystem::path& file);

  std::string title;
  attest::Mode mode = attest::Mode::development;
  std::vector<crypto::PublicKey> vendors;   // two
  tpm::FirmwareApproval approval;
  std::uint64_t floor = 0;
  unsigned administrators_quorum = 0;
  std::vector<std::string> administrators;
  std::vector<CeremonyClass> key_classes;
  crypto::Digest digest;                    // of the file, the vendors' keys and the approval
};

}  // namespace appliance
