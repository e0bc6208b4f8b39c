// The TPM's word about an exported audit log: AUDIT_CNT, AUDIT_EXT and BASELINE, each certified by the identity key together with
// the digest of the log's checkpoint. One canonical JSON document; untrusted when read.
//   {"baseline":{...},"count":{...},"extended":{...},"type":"urn:coldseal:log-anchor:v1"}
#pragma once

#include <string>
#include <string_view>

#include "crypto/attest/nv_map.hpp"
#include "crypto/transparency/anchored_lines.hpp"
#include "crypto/transparency/transcript.hpp"
#include "crypto/verify_signature.hpp"

namespace transparency {

struct LogAnchorProof {
  TranscriptProof count;
  TranscriptProof extended;
  TranscriptProof baseline;

  std::string to_json() const;
  static base::Result<LogAnchorProof> from_json(std::string_view text);   // at most limits::kLogAnchorBytes

  struct Certified {
    attest::AnchorState state;
    attest::AnchorBaseline baseline;
  };
  // Errc::mismatch unless that identity key certified those indices of that appliance over that checkpoint.
  base::Result<Certified> verified(const crypto::PublicKey& identity, const attest::FirmwareMap& map, std::string_view checkpoint) const;
};

}  // namespace transparency
