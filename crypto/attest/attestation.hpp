// What a TPM says about itself (TPMS_ATTEST), read from bytes and held against the identity key that signed it. Parsed: births
// of keys, contents of indices, quotes. Untrusted bytes; Errc::malformed, Errc::unsupported. No TPM is needed.
// Source: TPM 2.0 Library Part 2 section 10.12 (attestation structures).
#pragma once

#include <cstdint>
#include <variant>

#include "crypto/attest/names.hpp"
#include "crypto/verify_signature.hpp"

namespace attest {

struct Birth {   // TPMS_CREATION_INFO: the key with that Name was made in this TPM
  Name object;
};
struct IndexContent {   // TPMS_NV_CERTIFY_INFO
  Name index;
  std::uint16_t offset = 0;
  Bytes content;
};
struct Quote {   // TPMS_QUOTE_INFO
  Bytes selection;   // TPML_PCR_SELECTION
  Bytes pcr_digest;
};

struct Attested {
  Bytes extra_data;            // the asker's
  std::uint64_t clock = 0;     // milliseconds
  std::uint32_t resets = 0;
  std::uint64_t firmware = 0;
  std::variant<Birth, IndexContent, Quote> says;
};

Result<Attested> parse_attestation(ByteView statement);
// The statement, once the identity key's signature over it was verified: Errc::mismatch otherwise.
Result<Attested> verified_attestation(const crypto::PublicKey& identity, ByteView statement, ByteView signature);

}  // namespace attest
