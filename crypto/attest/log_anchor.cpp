#include "crypto/attest/log_anchor.hpp"

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"

namespace attest {

using base::Bytes;
using base::ByteView;
using base::Result;

namespace {

Result<crypto::Digest> sha256_digest(ByteView bytes) { return crypto::Digest::from_bytes(crypto::DigestAlgorithm::sha256, bytes); }

}  // namespace

Bytes baseline_bytes(const AnchorBaseline& baseline) {
  return base::ByteWriter().u64be(baseline.count).put(baseline.extended.bytes()).put(baseline.head.bytes()).bytes();
}

Result<AnchorBaseline> parse_baseline(ByteView content) {
  base::ByteReader in(content);
  const std::uint64_t count = TRY(in.u64be());
  const ByteView extended = TRY(in.take(32));
  const ByteView head = TRY(in.take(32));
  TRY(in.expect_end());
  crypto::Digest extended_digest = TRY(sha256_digest(extended));
  crypto::Digest head_digest = TRY(sha256_digest(head));
  return AnchorBaseline{count, std::move(extended_digest), std::move(head_digest)};
}

Result<AnchorState> parse_anchor(ByteView count, ByteView extended) {
  base::ByteReader in(count);
  const std::uint64_t number = TRY(in.u64be());
  TRY(in.expect_end());
  crypto::Digest digest = TRY(sha256_digest(extended));
  return AnchorState{number, std::move(digest)};
}

crypto::Digest extended_by(const crypto::Digest& before, const crypto::Digest& line) {
  return crypto::sha256(base::ByteWriter().put(before.bytes()).put(line.bytes()).bytes());
}

}  // namespace attest
