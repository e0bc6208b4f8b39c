// What the TPM certified, as JSON: {"signature":"<hex>","statement":"<hex>"}. For the documents that hold such proofs.
#pragma once

#include <string_view>

#include "crypto/transparency/canonical_json.hpp"
#include "crypto/transparency/json_fields.hpp"
#include "crypto/transparency/transcript.hpp"

namespace transparency {

Json json_of(const TranscriptProof& proof);
base::Result<TranscriptProof> proof_at(Fields& fields, std::string_view name);

}  // namespace transparency
