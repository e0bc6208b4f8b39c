// Verdicts on signed files: everything that is wrong or notable, not only the first thing. Pure: roots and time are
// given, nothing is fetched. Every nested signature is judged like the primary one. A certificate is judged at the time
// of an RFC 3161 timestamp that a trusted authority made, else at the time given. docs/verification.md lists every reason.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "crypto/base/byte_source.hpp"
#include "crypto/base/text.hpp"
#include "crypto/certificate.hpp"
#include "crypto/digest.hpp"
#include "crypto/package/inspection.hpp"

namespace package {

// Whose rules: Windows' for any signed file, or a firmware's for an EFI image (every table entry counts, no time does).
enum class Policy : std::uint8_t { authenticode, uefi };

struct Verdict {
  // Their ids are listed in docs/verification.md. `file` is empty; the caller knows its name.
  std::vector<Finding> findings;
  std::string signer;                           // subject of the signing certificate, safe to print; empty if unknown
  std::vector<crypto::Certificate> chain;       // leaf first, as far as it was built
  std::optional<crypto::Digest> file_digest;    // the Authenticode digest of the image; of a catalog, none
  std::optional<crypto::Digest> signed_digest;  // messageDigest's algorithm and value: what the signature vouches for
  std::optional<crypto::Digest> approved_digest;   // of the signed attributes: what the key signed, and officers approved
  struct GoodSignature {   // whose key did sign; nested ones too. Says nothing about trust
    crypto::Digest approved;       // as approved_digest
    crypto::Digest certificate;    // SHA-256 of the signer's
    crypto::Digest key;            // SHA-256 of its SubjectPublicKeyInfo
    bool is_nested = false;
  };
  std::vector<GoodSignature> good_signatures;
  std::optional<base::Time> timestamp;   // of the primary signature, when it can be relied on
  std::size_t signatures = 0;            // judged, nested ones included
  bool valid() const;                           // no finding is an error
};

// roots empty: the chain is "not checked", which is a warning; everything else is checked.
Verdict verify_pe(const base::ByteSource& file, const std::vector<crypto::Certificate>& roots, base::Time time,
                  Policy policy = Policy::authenticode);
// A cabinet; one that is not signed is an error here.
Verdict verify_cab(const base::ByteSource& file, const std::vector<crypto::Certificate>& roots, base::Time time);
Verdict verify_catalog_signature(base::ByteView catalog_der, const std::vector<crypto::Certificate>& roots,
                                 base::Time time);

}  // namespace package
