// Editing what a signature does not cover: the unsigned attributes of a finished SignedData, where nested signatures and
// timestamps live. Everything else keeps its bytes; each function makes sure that what was signed is still the same
// (content, signed attributes, signature), and stops the program if it were not. No key is needed, nothing is judged.
// A SignedData here is a complete ContentInfo with one signer. Errors: those of SignedData::parse; Errc::malformed for
// other than one signer; Errc::too_large over limits::kNestedSignatures.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "crypto/cms/signed_data.hpp"

namespace cms {

// The same signature with those unsigned attributes in place of its own; none removes the field. In DER order.
Result<Bytes> with_unsigned_attributes(ByteView signed_data_der, const std::vector<Attribute>& attributes);

// The nested signatures (SignTool /as), each a complete ContentInfo, in the order of the file.
Result<std::vector<Bytes>> nested_signatures(ByteView signed_data_der);

// With those in place of its own nested signatures. They are values of one attribute, which DER sorts: the order of
// the result may be another.
Result<Bytes> with_nested_signatures(ByteView signed_data_der, const std::vector<Bytes>& nested);

// With the timestamp token in place of its own timestamps of any kind. The token is not looked at.
Result<Bytes> with_timestamp(ByteView signed_data_der, ByteView token);

// The same signature without timestamps of any kind: as it left the signer.
Result<Bytes> without_timestamp(ByteView signed_data_der);

// Every signature of a tree, the nested ones before the one that holds them, each replaced by what edit makes of it.
// edit gets the signature, its nested ones done already, and its slot: "primary", "nested 1", "nested 1.2" (in the order
// of the tree before it was edited). Errc::too_large for trees deeper than limits::kNestingDepth.
using Edit = std::function<Result<Bytes>(ByteView signed_data_der, const std::string& slot)>;
Result<Bytes> with_every_signature(ByteView signed_data_der, const Edit& edit);

}  // namespace cms
