// The audit log's anchor, as values: what the TPM holds of it (nv_map.hpp: AUDIT_CNT, AUDIT_EXT, BASELINE).
#pragma once

#include <cstdint>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"

namespace attest {

struct AnchorState {
  std::uint64_t count = 0;
  crypto::Digest extended;
};
struct AnchorBaseline {
  std::uint64_t count = 0;
  crypto::Digest extended;
  crypto::Digest head;   // SHA-256 of the log's last line then; zeros for an empty log
};
base::Bytes baseline_bytes(const AnchorBaseline& baseline);
// The contents of the indices; Errc::malformed.
base::Result<AnchorBaseline> parse_baseline(base::ByteView content);
base::Result<AnchorState> parse_anchor(base::ByteView count, base::ByteView extended);
// What EXT becomes: SHA-256 of what it was and the line's digest (TPM 2.0 Library Part 3 section 31.9).
crypto::Digest extended_by(const crypto::Digest& before, const crypto::Digest& line);

}  // namespace attest
