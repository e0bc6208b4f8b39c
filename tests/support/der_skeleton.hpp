// What a signature's DER looks like without what differs from key to key: tags, object identifiers, versions, flags and
// fixed values, one element a line, indented by depth. Two signatures in the same form have the same skeleton.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "crypto/base/bytes.hpp"

namespace tests {

// signed_data: a complete ContentInfo(SignedData) with one signer. Left out: lengths, OCTET STRINGs (digests,
// signature), certificates, issuer and serial number, unsigned attributes. Stops the test program when it is not DER.
std::string signature_skeleton(base::ByteView signed_data);
// The same of the first signature in a PE file.
std::string pe_signature_skeleton(const std::filesystem::path& file);

// What SignTool itself wrote into the SHA-256 signature of uthenticode's pegoat64 (taken with der_skeleton), less the
// attribute sequenceNumber (1.2.840.113549.1.9.25.4), which SignTool adds to nested signatures only.
extern const std::string_view kSignToolSkeleton;

}  // namespace tests
