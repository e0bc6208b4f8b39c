#include "crypto/transparency/dsse.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/text.hpp"

namespace transparency {
namespace {

using base::Errc;
using base::fail;

constexpr std::size_t kTypeBytes = 128;
constexpr std::size_t kSignatureTextBytes = 256;   // base64 of an ECDSA P-256 signature takes 96

// A cursor over the one form there is.
class Form {  // a view: the text must outlive it
 public:
  explicit Form(std::string_view text) : rest_(text) {}

  Result<void> expect(std::string_view literal) {
    if (!rest_.starts_with(literal))
      return fail(Errc::malformed, fmt::format("envelope: {} wanted where \"{}\" stands", literal,
                                               base::printable(rest_.substr(0, 24))));
    rest_.remove_prefix(literal.size());
    return {};
  }
  // Everything up to the next quote: printable ASCII without a backslash, so that JSON would read the same.
  Result<std::string_view> take_string(std::string_view name, std::size_t most) {
    const std::size_t end = rest_.find('"');
    if (end == std::string_view::npos) return fail(Errc::malformed, fmt::format("envelope: {}: no end", name));
    if (end > most) return fail(Errc::malformed, fmt::format("envelope: {}: {} bytes, at most {}", name, end, most));
    const std::string_view text = rest_.substr(0, end);
    const auto is_plain = [](char c) { return c >= 0x20 && c <= 0x7E && c != '\\'; };
    if (!std::all_of(text.begin(), text.end(), is_plain))
      return fail(Errc::malformed, fmt::format("envelope: {}: a character that is not allowed there", name));
    rest_.remove_prefix(end);
    return text;
  }
  Result<void> expect_end() const {
    if (!rest_.empty()) return fail(Errc::malformed, fmt::format("envelope: {} bytes after its end", rest_.size()));
    return {};
  }

 private:
  std::string_view rest_;
};

bool is_keyid(std::string_view text) {
  const auto is_lower_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == 64 && std::all_of(text.begin(), text.end(), is_lower_hex);
}

// What is signed (secure-systems-lab/dsse, protocol.md): type and payload with their lengths, so that neither can be
// taken for the other.
crypto::Digest pre_authentication_digest(std::string_view payload_type, std::string_view payload) {
  const std::string head = fmt::format("DSSEv1 {} {} {} ", payload_type.size(), payload_type, payload.size());
  return std::move(crypto::Hasher(crypto::DigestAlgorithm::sha256)
                       .update(base::as_bytes(head))
                       .update(base::as_bytes(payload)))
      .finish();
}

}  // namespace

Result<Envelope> Envelope::parse(std::string_view text, std::size_t limit) {
  if (text.size() > limit)
    return fail(Errc::too_large, fmt::format("envelope of {} bytes, at most {}", text.size(), limit));
  Form form(text);
  TRY(form.expect("{\"payload\":\""));
  const std::string_view payload = TRY(form.take_string("payload", limit));
  TRY(form.expect("\",\"payloadType\":\""));
  const std::string_view payload_type = TRY(form.take_string("payloadType", kTypeBytes));
  TRY(form.expect("\",\"signatures\":[{\"keyid\":\""));
  const std::string_view keyid = TRY(form.take_string("keyid", 64));
  TRY(form.expect("\",\"sig\":\""));
  const std::string_view signature = TRY(form.take_string("sig", kSignatureTextBytes));
  TRY(form.expect("\"}]}"));
  TRY(form.expect_end());
  if (!is_keyid(keyid)) return fail(Errc::malformed, "envelope: keyid: not 64 lower-case hex digits");
  if (payload_type.empty()) return fail(Errc::malformed, "envelope: payloadType: empty");
  const Bytes bytes = TRY(base::within("envelope: payload", base::from_base64(payload)));
  Envelope envelope;
  envelope.payload_type_ = std::string(payload_type);
  envelope.keyid_ = std::string(keyid);
  envelope.payload_ = std::string(base::as_text(bytes));
  envelope.signature_ = TRY(base::within("envelope: sig", base::from_base64(signature)));
  if (envelope.signature_.empty()) return fail(Errc::malformed, "envelope: sig: empty");
  return envelope;
}

Result<Envelope> Envelope::sign(std::string_view payload_type, std::string payload, crypto::Signer& signer) {
  if (signer.algorithm() != crypto::KeyAlgorithm::ecdsa_p256)
    return fail(Errc::unsupported, "envelopes are signed with ECDSA P-256 only");
  Envelope envelope;
  envelope.payload_type_ = std::string(payload_type);
  envelope.payload_ = std::move(payload);
  envelope.keyid_ = crypto::sha256(signer.public_key_der()).hex();
  envelope.signature_ = TRY(signer.sign(pre_authentication_digest(envelope.payload_type_, envelope.payload_)));
  return envelope;
}

std::string Envelope::text() const {
  return fmt::format(R"({{"payload":"{}","payloadType":"{}","signatures":[{{"keyid":"{}","sig":"{}"}}]}})",
                     base::base64(base::as_bytes(payload_)), payload_type_, keyid_, base::base64(signature_));
}

crypto::Digest Envelope::payload_digest() const { return crypto::sha256(base::as_bytes(payload_)); }

Result<std::string_view> Envelope::verify(const crypto::PublicKey& key, std::string_view wanted_type) const {
  if (key.algorithm() != crypto::KeyAlgorithm::ecdsa_p256)
    return fail(Errc::unsupported, "envelope: the key is not ECDSA P-256");
  if (key.keyid() != keyid_)
    return fail(Errc::mismatch, fmt::format("envelope: signed by key {}, not by {}", keyid_, key.keyid()));
  TRY(base::within("envelope", key.verify(pre_authentication_digest(payload_type_, payload_), signature_)));
  if (payload_type_ != wanted_type)
    return fail(Errc::unsupported, fmt::format("envelope: payload of type \"{}\", \"{}\" wanted",
                                               base::printable(payload_type_), wanted_type));
  return std::string_view(payload_);
}

}  // namespace transparency
