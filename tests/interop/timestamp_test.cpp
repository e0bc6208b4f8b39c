// RFC 3161 timestamps by a real authority (openssl ts), put on a finished signature and judged.
#include <gtest/gtest.h>

#include "crypto/cms/signature_edit.hpp"
#include "crypto/formats/pe_image.hpp"
#include "crypto/timestamp.hpp"
#include "tests/interop/timestamp_fixture.hpp"
#include "tests/support/pe_builder.hpp"

namespace {

using base::Bytes;
using base::MemorySource;

class Timestamp : public tests::WithAuthority {
 protected:
  void SetUp() override {
    make_p256();
    make_authority();
    tests::write_file(dir_ / "in.sys", tests::build_pe(tests::driver_description()));
    ASSERT_EQ(test_signer({"--in", file("in.sys"), "--out", file("signed.sys")}).status, 0);
  }
  Bytes signature_of(std::string_view name) const {
    const Bytes bytes = tests::read_file(dir_ / name);
    const MemorySource source(bytes);
    return formats::PeImage::parse(source)->certificates(source)->front().der;
  }
  crypto::Digest imprint_of(std::string_view name) const {
    return crypto::sha256(cms::SignedData::parse(signature_of(name))->signers().front().signature);
  }
  void put_on(const Bytes& token, std::string_view out) const {
    const Bytes bytes = tests::read_file(dir_ / "signed.sys");
    const MemorySource source(bytes);
    const auto image = formats::PeImage::parse(source);
    base::MemorySink sink;
    ASSERT_TRUE(formats::write_signed(source, *image, *image->measure(source, std::span<const crypto::DigestAlgorithm>()),
                                      *cms::with_timestamp(signature_of("signed.sys"), token), sink));
    tests::write_file(dir_ / out, sink.bytes());
  }
  package::Verdict verdict(std::string_view name, bool with_tsa, base::Time time) const {
    const Bytes bytes = tests::read_file(dir_ / name);
    return package::verify_pe(MemorySource(bytes), roots(with_tsa), time);
  }
};

bool has(const package::Verdict& verdict, std::string_view id) {
  return std::ranges::any_of(verdict.findings, [&](const package::Finding& finding) { return finding.id == id; });
}

const Bytes kNonce = {1, 2, 3, 4, 5, 6, 7, 8};

TEST_F(Timestamp, KeepsASignatureValidAfterItsCertificateExpired) {
  const Bytes query = crypto::timestamp_query(imprint_of("signed.sys"), kNonce);
  const auto token = crypto::token_of_reply(reply_to(query));
  ASSERT_TRUE(token) << token.error().text();
  const auto parsed = crypto::TimestampToken::parse(*token);
  ASSERT_TRUE(parsed) << parsed.error().text();
  EXPECT_TRUE(parsed->expect_answers(*crypto::TimestampQuery::parse(query)));
  put_on(*token, "stamped.sys");
  EXPECT_TRUE(has(verdict("signed.sys", true, expired()), "chain.validity"));
  const package::Verdict stamped = verdict("stamped.sys", true, expired());
  for (const package::Finding& finding : stamped.findings) ADD_FAILURE() << finding.id << ": " << finding.cause;
  EXPECT_EQ(stamped.timestamp, parsed->time());
  // What was signed and approved is still the same.
  EXPECT_EQ(stamped.approved_digest, verdict("signed.sys", true, parsed->time()).approved_digest);
  // osslsigncode finds the timestamp good too.
  const tests::Outcome theirs = tests::run_program({"osslsigncode", "verify", "-CAfile", file("root.pem"), "-TSA-CAfile",
                                                    file("tsa-root.pem"), "-in", file("stamped.sys")});
  EXPECT_EQ(theirs.status, 0) << theirs.output;
  // 2.9 and 2.5 say it in these words.
  EXPECT_TRUE(theirs.output.find("Timestamp verified") != std::string::npos ||
              theirs.output.find("Timestamp Server Signature verification: ok") != std::string::npos)
      << theirs.output;
}

TEST_F(Timestamp, OfAnUnknownAuthorityDoesNotCount) {
  put_on(*crypto::token_of_reply(reply_to(crypto::timestamp_query(imprint_of("signed.sys"), kNonce))), "stamped.sys");
  const package::Verdict without = verdict("stamped.sys", false, expired());
  EXPECT_TRUE(has(without, "timestamp.untrusted"));
  EXPECT_TRUE(has(without, "chain.validity"));
}

TEST_F(Timestamp, OfAnotherSignatureIsAMismatch) {
  put_on(*crypto::token_of_reply(reply_to(crypto::timestamp_query(crypto::sha256({}), kNonce))), "stamped.sys");
  EXPECT_TRUE(has(verdict("stamped.sys", true, expired()), "timestamp.mismatch"));
}

TEST_F(Timestamp, ThatWasTamperedWithIsRefused) {
  Bytes token = *crypto::token_of_reply(reply_to(crypto::timestamp_query(imprint_of("signed.sys"), kNonce)));
  token.back() ^= 1;   // inside the authority's signature
  put_on(token, "stamped.sys");
  EXPECT_TRUE(has(verdict("stamped.sys", true, expired()), "timestamp.wrong"));
}

TEST_F(Timestamp, ReplyToAnotherQuestionIsNotTaken) {
  const Bytes query = crypto::timestamp_query(imprint_of("signed.sys"), kNonce);
  const auto token = crypto::TimestampToken::parse(*crypto::token_of_reply(reply_to(query)));
  const Bytes other = crypto::timestamp_query(imprint_of("signed.sys"), Bytes{9, 9, 9, 9, 9, 9, 9, 9});
  EXPECT_FALSE(token->expect_answers(*crypto::TimestampQuery::parse(other)));
}

TEST_F(Timestamp, RefusalsAndWebPagesAreNoTokens) {
  const auto page = crypto::token_of_reply(base::as_bytes("<html>404</html>"));
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().code(), base::Errc::malformed);
  Bytes query = crypto::timestamp_query(crypto::digest_of(crypto::DigestAlgorithm::sha512, base::ByteView()), kNonce);
  const auto refused = crypto::token_of_reply(reply_to(query));   // this authority takes SHA-256 only
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::Errc::refused);
}

}  // namespace
