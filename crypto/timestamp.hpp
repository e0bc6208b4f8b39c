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

// A TimeStampReq asking for the authority's certificate. nonce: 8 octets, random; empty for none. policy: content octets of
// the OID under which the timestamp must be made; empty to leave it to the authority.
Bytes timestamp_query(const Digest& imprint, ByteView nonce, ByteView policy = {});

// Content octets of an OID in dotted text ("1.2.3.4"). Errc::malformed.
Result<Bytes> policy_from_text(std::string_view dotted);

struct TimestampQuery {
  // Reads what timestamp_query() wrote, as a .tsq file brings it back. Errc::malformed.
  static Result<TimestampQuery> parse(ByteView der);
  Digest imprint;
  Bytes nonce;    // content octets of the INTEGER; empty when there is none
  Bytes policy;   // content octets of the OID; empty when any will do
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
  // Errc::mismatch unless it is for that query: same imprint and nonce, and the policy if one was asked for.
  Result<void> expect_answers(const TimestampQuery& query) const;
  // Errc::mismatch unless the token is a good signature over its own content by a certificate inside it, which its
  // signingCertificate attribute (RFC 2634, RFC 5816) names as well: an authority may have several.
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

// The token in a reply, fit to be put on the signature that the query was for: granted, for that query, well signed and,
// unless roots is empty, by an authority whose chain leads to one of them. Errors: those of token_of_reply(),
// TimestampToken::parse() and signer(); Errc::mismatch; Errc::refused for an authority that is not trusted.
Result<Bytes> token_answering(ByteView reply_der, const TimestampQuery& query, const std::vector<Certificate>& roots);

}  // namespace crypto
