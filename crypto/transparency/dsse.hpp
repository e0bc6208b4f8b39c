// DSSE envelopes (secure-systems-lab/dsse, envelope.md): a payload with one ECDSA P-256 signature, in exactly
// one textual form, RFC 8785 canonical JSON:
//   {"payload":"<base64>","payloadType":"<type>","signatures":[{"keyid":"<64 hex>","sig":"<base64>"}]}
// The reader takes that form apart without a JSON parser, so nothing unsigned reaches one.
#pragma once

#include <string>
#include <string_view>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"
#include "crypto/signer.hpp"
#include "crypto/verify_signature.hpp"

namespace transparency {

using base::Bytes;
using base::ByteView;
using base::Result;

inline constexpr std::string_view kRequestPayloadType = "application/vnd.coldseal.request.v1+json";
inline constexpr std::string_view kStatementPayloadType = "application/vnd.in-toto+json";

class Envelope {
 public:
  // Errc::too_large over limit; Errc::malformed for any other form than the canonical one.
  static Result<Envelope> parse(std::string_view text, std::size_t limit);
  static Result<Envelope> sign(std::string_view payload_type, std::string payload, crypto::Signer& signer);
  std::string text() const;

  // Not to be believed before verify(): who is said to have signed, and what kind of payload this is said to be.
  const std::string& claimed_keyid() const { return keyid_; }
  const std::string& payload_type() const { return payload_type_; }
  // SHA-256 of the payload: the id of a request.
  crypto::Digest payload_digest() const;

  // The payload, once the signature over it and its type is key's. Errc::mismatch if it is not;
  // Errc::unsupported when the payload is of another type than wanted (another version, say).
  Result<std::string_view> verify(const crypto::PublicKey& key, std::string_view wanted_type) const;

 private:
  Envelope() = default;
  std::string payload_type_;
  std::string payload_;
  std::string keyid_;
  Bytes signature_;
};

}  // namespace transparency
