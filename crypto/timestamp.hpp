// RFC 3161 timestamps: the question for an authority, its reply, and judging a token. Pure: no network, no clock; the
// nonce is given. Tokens are CMS SignedData over TSTInfo (RFC 3161 section 2.4.2).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "crypto/certificate.hpp"
#include "crypto/digest.hpp"

namespace crypto {

// A TimeStampReq asking for the authority's certificate. nonce: 8 octets, random; empty for none.
Bytes timestamp_query(const Digest& imprint, ByteView nonce);

struct TimestampQuery {
  // Reads what timestamp_query() wrote, as a .tsq file brings it back. Errc::malformed.
  static Result<TimestampQuery> parse(ByteView der);
  Digest imprint;
  Bytes nonce;   // content octets of the INTEGER; empty when there is none
};

// The token in a TimeStampResp. Errc::refused with the authority's words when it granted none; Errc::malformed for
// anything else, such as a web page; Errc::too_large over limits::kTimestampBytes.
Result<Bytes> token_of_reply(ByteView reply_der);

class TimestampToken {
 public:
  // Errc::malformed, Errc::unsupported: not a token as RFC 3161 has it.
  static Result<TimestampToken> parse(ByteView der);
  base::Time time() const { return time_; }
  const Digest& imprint() const { return imprint_; }
  ByteView policy() const { return policy_; }   // content octets of the OID
  ByteView nonce() const { return nonce_; }     // content octets of the INTEGER; empty when there is none
  // Errc::mismatch unless it is for that query: same imprint and nonce.
  Result<void> expect_answers(const TimestampQuery& query) const;
  // Errc::mismatch unless the token is a good signature over its own content by a certificate inside it.
  Result<Certificate> signer() const;
  // The authority's chain at the token's own time, for time stamping.
  Result<ChainVerdict> chain(const std::vector<Certificate>& roots) const;

 private:
  TimestampToken(Bytes der, base::Time time, Digest imprint)
      : der_(std::move(der)), time_(time), imprint_(imprint) {}
  Bytes der_;
  base::Time time_;
  Digest imprint_;
  Bytes policy_;
  Bytes nonce_;
};

}  // namespace crypto
