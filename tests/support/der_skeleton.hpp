// What a signature's DER looks like without what differs from key to key: tags, object identifiers, versions, flags and
// fixed values, one element a line, indented by depth. Two signatures in the same form have the same skeleton.
#pragma once

#include <string>

#include "crypto/base/bytes.hpp"

namespace tests {

// signed_data: a complete ContentInfo(SignedData) with one signer. Left out: lengths, OCTET STRINGs (digests,
// signature), certificates, issuer and serial number, unsigned attributes. Stops the test program when it is not DER.
std::string signature_skeleton(base::ByteView signed_data);

}  // namespace tests
