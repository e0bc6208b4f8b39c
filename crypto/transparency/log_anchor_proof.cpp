#include "crypto/transparency/log_anchor_proof.hpp"

#include <algorithm>

#include "crypto/attest/attestation.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/transparency/proof_json.hpp"

namespace transparency {

using base::Bytes;
using base::Errc;
using base::fail;
using base::Result;

namespace {

constexpr std::string_view kLogAnchorType = "urn:coldseal:log-anchor:v1";

Result<Bytes> certified_content(const crypto::PublicKey& identity, const attest::NvPublic& area, const crypto::Digest& checkpoint,
                                const TranscriptProof& proof) {
  const attest::Attested attested = TRY(attest::verified_attestation(identity, proof.statement, proof.signature));
  const auto* const index = std::get_if<attest::IndexContent>(&attested.says);
  if (index == nullptr || index->offset != 0 || index->index != attest::name_of(area))
    return fail(Errc::mismatch, "certified is another index than the appliance's");
  if (!std::equal(attested.extra_data.begin(), attested.extra_data.end(), checkpoint.bytes().begin(), checkpoint.bytes().end()))
    return fail(Errc::mismatch, "certified for another checkpoint");
  return index->content;
}

}  // namespace

std::string LogAnchorProof::to_json() const {
  return canonical(Json{{"baseline", json_of(baseline)}, {"count", json_of(count)}, {"extended", json_of(extended)}, {"type", std::string(kLogAnchorType)}});
}

Result<LogAnchorProof> LogAnchorProof::from_json(std::string_view text) {
  const Json value = TRY(base::within("log anchor", parse_canonical(text, base::limits::kLogAnchorBytes)));
  Fields fields = TRY(Fields::of(value, "log anchor"));
  TRY(fields.expect_text("type", kLogAnchorType));
  LogAnchorProof proof;
  proof.baseline = TRY(proof_at(fields, "baseline"));
  proof.count = TRY(proof_at(fields, "count"));
  proof.extended = TRY(proof_at(fields, "extended"));
  TRY(fields.expect_no_others());
  return proof;
}

Result<LogAnchorProof::Certified> LogAnchorProof::verified(const crypto::PublicKey& identity, const attest::FirmwareMap& map,
                                                           std::string_view checkpoint) const {
  const crypto::Digest nonce = crypto::sha256(base::as_bytes(checkpoint));
  const Bytes count_content = TRY(base::within("AUDIT_CNT", certified_content(identity, map.audit_count(), nonce, count)));
  const Bytes extended_content = TRY(base::within("AUDIT_EXT", certified_content(identity, map.audit_extend(), nonce, extended)));
  const Bytes baseline_content = TRY(base::within("BASELINE", certified_content(identity, attest::baseline_index(), nonce, baseline)));
  attest::AnchorState state = TRY(attest::parse_anchor(count_content, extended_content));
  attest::AnchorBaseline since = TRY(attest::parse_baseline(baseline_content));
  return Certified{std::move(state), std::move(since)};
}

}  // namespace transparency
