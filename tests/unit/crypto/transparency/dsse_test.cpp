#include "crypto/transparency/dsse.hpp"

#include <gtest/gtest.h>

#include "crypto/base/text.hpp"
#include "crypto/keys/submitter_key.hpp"

namespace transparency {
namespace {

using base::Errc;

// The vector of secure-systems-lab/dsse, protocol.md: its P-256 key as SubjectPublicKeyInfo, and its signature (there r || s) as
// ECDSA-Sig-Value. The published keyid is null; ours is always the SHA-256 of the key.
constexpr std::string_view kSpki =
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ805D3eqNZywjCI19lInBJOp7YMrCrzAH3CVTAOQ0jgMeCvVTiaRJaRPRDOv8UMs6U4SvKc6pnrIDOoSYI3fdA==";
constexpr std::string_view kEnvelope =
    R"({"payload":"aGVsbG8gd29ybGQ=","payloadType":"http://example.com/HelloWorld","signatures":[)"
    R"({"keyid":"f793580060562d6ff075d814ea698c282fcc779b0cde64d79ffc6301df00d14b",)"
    R"("sig":"MEQCIANyarEBrVbCdjtsaqyOSHJ14qeRk6CdxfhZ2fjvPEo7AiBR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]})";

crypto::PublicKey published_key() { return *crypto::PublicKey::parse(*base::from_base64(kSpki)); }

TEST(Envelope, VerifiesThePublishedVector) {
  const base::Result<Envelope> envelope = Envelope::parse(kEnvelope, 1000);
  ASSERT_TRUE(envelope) << envelope.error().text();
  EXPECT_EQ(envelope->text(), kEnvelope);
  EXPECT_EQ(envelope->claimed_keyid(), published_key().keyid());
  const base::Result<std::string_view> payload = envelope->verify(published_key(), "http://example.com/HelloWorld");
  ASSERT_TRUE(payload) << payload.error().text();
  EXPECT_EQ(*payload, "hello world");
}

std::string edited(std::string_view from, std::string_view to) {
  std::string text(kEnvelope);
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Envelope, RefusesAChangedPayloadTypeOrSignature) {
  for (const std::string& text :
       {edited("aGVsbG8gd29ybGQ=", "aGVsbG8gd29ybGU="), edited("HelloWorld", "HelloWorle"), edited("MEQCIANyarEB", "MEQCIANyarEC")}) {
    const base::Result<Envelope> envelope = Envelope::parse(text, 1000);
    ASSERT_TRUE(envelope) << text;
    const auto payload = envelope->verify(published_key(), "http://example.com/HelloWorld");
    ASSERT_FALSE(payload) << text;
    EXPECT_EQ(payload.error().code(), Errc::mismatch);
  }
}

// Lengths are signed too: moving the border between type and payload changes what was signed.
TEST(Envelope, RefusesABorderMovedBetweenTypeAndPayload) {
  keys::SubmitterKey key = keys::SubmitterKey::generate();
  const Envelope signed_envelope = *Envelope::sign("type", "payload", key);
  std::string text = signed_envelope.text();
  const std::string wanted = R"("payload":"cGF5bG9hZA==","payloadType":"type")";
  ASSERT_NE(text.find(wanted), std::string::npos) << text;
  text.replace(text.find(wanted), wanted.size(), R"("payload":"YXlsb2Fk","payloadType":"type 7 p")");
  const base::Result<Envelope> moved = Envelope::parse(text, 1000);
  ASSERT_TRUE(moved);
  EXPECT_FALSE(moved->verify(*crypto::PublicKey::parse(key.public_key_der()), "type 7 p"));
}

TEST(Envelope, SaysUnsupportedForAPayloadOfAnotherVersion) {
  const auto payload = Envelope::parse(kEnvelope, 1000)->verify(published_key(), kRequestPayloadType);
  ASSERT_FALSE(payload);
  EXPECT_EQ(payload.error().code(), Errc::unsupported);
}

TEST(Envelope, RefusesAnotherKey) {
  const keys::SubmitterKey other = keys::SubmitterKey::generate();
  const auto payload =
      Envelope::parse(kEnvelope, 1000)->verify(*crypto::PublicKey::parse(other.public_key_der()), "http://example.com/HelloWorld");
  ASSERT_FALSE(payload);
  EXPECT_EQ(payload.error().code(), Errc::mismatch);
}

TEST(Envelope, SignsWhatItVerifies) {
  keys::SubmitterKey key = keys::SubmitterKey::generate();
  const base::Result<Envelope> signed_envelope = Envelope::sign(kRequestPayloadType, std::string("\0\"\xFF", 3), key);
  ASSERT_TRUE(signed_envelope);
  const base::Result<Envelope> read = Envelope::parse(signed_envelope->text(), 1000);
  ASSERT_TRUE(read) << read.error().text();
  const auto payload = read->verify(*crypto::PublicKey::parse(key.public_key_der()), kRequestPayloadType);
  ASSERT_TRUE(payload) << payload.error().text();
  EXPECT_EQ(*payload, std::string_view("\0\"\xFF", 3));
  EXPECT_EQ(read->payload_digest(), crypto::sha256(base::as_bytes(*payload)));
}

TEST(Envelope, RefusesEveryOtherForm) {
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string(kEnvelope) + "\n", " " + std::string(kEnvelope), edited("payload\":", "payload\": "),
        edited("}]}", "},{\"keyid\":\"a\",\"sig\":\"AA==\"}]}"), edited("}]}", "}],\"x\":1}"), edited("aGVsbG8gd29ybGQ=", "aGVsbG8gd29ybGQ"),
        edited("aGVsbG8gd29ybGQ=", "aGVsbG8gd29ybGR="), edited("aGVsbG8g", "aGVs\nbG8g"), edited("HelloWorld", "Hello\\u0057orld"),
        edited("f793", "F793"), edited("f793", ""), edited("f793", "f793f793"), edited("http://example.com/HelloWorld", ""),
        edited("http://", std::string(200, 'h')), edited("MEQCIANy", std::string(400, 'A')),
        edited("MEQCIANyarEBrVbCdjtsaqyOSHJ14qeRk6CdxfhZ2fjvPEo7AiBR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==", ""),
        edited(R"("payloadType":"http://example.com/HelloWorld",)", "")}) {
    const base::Result<Envelope> envelope = Envelope::parse(text, 4000);
    ASSERT_FALSE(envelope) << text;
    EXPECT_EQ(envelope.error().code(), Errc::malformed);
  }
}

TEST(Envelope, RefusesMoreThanTheLimitUnread) {
  const base::Result<Envelope> envelope = Envelope::parse(kEnvelope, kEnvelope.size() - 1);
  ASSERT_FALSE(envelope);
  EXPECT_EQ(envelope.error().code(), Errc::too_large);
  EXPECT_TRUE(Envelope::parse(kEnvelope, kEnvelope.size()));
}

}  // namespace
}  // namespace transparency
