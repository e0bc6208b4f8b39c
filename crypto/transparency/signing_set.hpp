// The signing set: everything that one approval will have signed. Its fingerprint is what officers compare and approve:
// SHA-256 over the canonical JSON
//   {"items":[{"digest":"sha256:<hex>","file":"<path>","slot":"primary"}],"keyName":"<hex>","profileSha256":"<hex>"}
// so it changes with any digest, with the order, with the key and with the profile.
#pragma once

#include <string>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"

namespace transparency {

inline constexpr std::string_view kPrimarySlot = "primary";
inline constexpr std::string_view kNestedSlot = "nested";   // a signature added to the one that a file had

struct SigningItem {
  std::string file;        // path in the package
  std::string slot;        // which signature of the file: "primary", "nested"
  crypto::Digest digest;   // what the TPM signs: the digest of the encoded signed attributes
};

struct SigningSet {
  crypto::Digest fingerprint() const;
  std::string words() const;   // base::fingerprint_words of it

  std::vector<SigningItem> items;
  base::Bytes key_name;            // TPM Name of the key
  crypto::Digest profile_sha256;   // of the profile and the certificate chain, as the appliance held them
};

// "sha256:<64 lower-case hex>" and back; Errc::malformed for another algorithm than sha256 or sha384 (or sha1, which
// legacy profiles sign) or another length.
std::string digest_text(const crypto::Digest& digest);
base::Result<crypto::Digest> digest_from_text(std::string_view text);

}  // namespace transparency
