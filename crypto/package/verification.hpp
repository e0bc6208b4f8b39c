// Verdicts on signed files: everything that is wrong or notable, not only the first thing. Pure: roots and time are
// given, nothing is fetched. Timestamps and nested signatures are reported as present and not judged yet, so a
// signature whose certificate has expired at the given time is reported as expired even if it was timestamped.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/base/byte_source.hpp"
#include "crypto/base/text.hpp"
#include "crypto/certificate.hpp"
#include "crypto/digest.hpp"
#include "crypto/package/inspection.hpp"

namespace package {

struct Verdict {
  // Findings' ids: pe.not-readable, pe.ambiguous-layout, pe.not-signed, pe.table-malformed, pe.table-stuffed,
  // pe.checksum, pe.several-entries, pe.digest-mismatch, signature.malformed, signature.form, signature.content-type,
  // signature.message-digest, signature.no-certificate, signature.wrong, signature.certificate-order,
  // signature.key-unsupported, signature.sha1, chain.not-checked, chain.untrusted, chain.validity, chain.use,
  // chain.weak, chain.unreadable, signature.nested-not-checked, signature.timestamp-not-checked, catalog.not-signed.
  // `file` is empty; the caller knows its name.
  std::vector<Finding> findings;
  std::string signer;                           // subject of the signing certificate, safe to print; empty if unknown
  std::vector<crypto::Certificate> chain;       // leaf first, as far as it was built
  std::optional<crypto::Digest> file_digest;    // the Authenticode digest of the image; of a catalog, none
  std::optional<crypto::Digest> signed_digest;  // messageDigest's algorithm and value: what the signature vouches for
  std::optional<crypto::Digest> approved_digest;   // of the signed attributes: what the key signed, and officers approved
  bool valid() const;                           // no finding is an error
};

// roots empty: the chain is "not checked", which is a warning; everything else is checked.
Verdict verify_pe(const base::ByteSource& file, const std::vector<crypto::Certificate>& roots, base::Time time);
Verdict verify_catalog_signature(base::ByteView catalog_der, const std::vector<crypto::Certificate>& roots,
                                 base::Time time);

}  // namespace package
