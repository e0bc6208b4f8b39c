// Signatures in the form of osslsigncode 2.9 and later, so that ours can be compared with its output byte for byte. For
// tests only: what Coldseal ships writes SignTool's form.
// The differences: SpcPeImageData has the flag includeResources and the file name "<<<Obsolete>>>", the signed attributes
// have a signing time, and SpcSpOpusInfo is there only when somebody gave a description.
#pragma once

#include <optional>

#include "crypto/base/text.hpp"
#include "crypto/certificate.hpp"
#include "crypto/cms/signed_data.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/signer.hpp"

namespace tests {

cms::Content pe_content_like_osslsigncode(const crypto::Digest& digest, const std::optional<formats::PageHashes>& pages);

cms::Content cab_content_like_osslsigncode(const crypto::Digest& digest);

// The complete ContentInfo, without description and URL.
base::Result<base::Bytes> sign_like_osslsigncode(const cms::Content& content, const crypto::SigningIdentity& identity,
                                                 crypto::DigestAlgorithm algorithm, base::Time signing_time,
                                                 crypto::Signer& key);

}  // namespace tests
