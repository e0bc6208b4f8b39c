#include "crypto/transparency/signing_set.hpp"

#include <gtest/gtest.h>

#include "crypto/base/text.hpp"

namespace transparency {
namespace {

SigningSet sample() {
  return {{{"b.sys", "primary", crypto::sha256({})}, {"a.cat", "primary", crypto::sha256(base::as_bytes("a"))}},
          base::Bytes{0x00, 0x0B, 0x01},
          crypto::sha256(base::as_bytes("profile"))};
}

TEST(SigningSet, HasTheFingerprintOfItsPublishedForm) {
  const std::string json =
      R"({"items":[{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","file":"b.sys","slot":"primary"},)"
      R"({"digest":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","file":"a.cat","slot":"primary"}],)"
      R"("keyName":"000b01","profileSha256":")" +
      crypto::sha256(base::as_bytes("profile")).hex() + R"("})";
  EXPECT_EQ(sample().fingerprint(), crypto::sha256(base::as_bytes(json)));
}

TEST(SigningSet, FingerprintChangesWithEverything) {
  const crypto::Digest fingerprint = sample().fingerprint();
  SigningSet set = sample();
  std::swap(set.items[0], set.items[1]);
  EXPECT_NE(set.fingerprint(), fingerprint) << "order";
  set = sample();
  set.items[0].digest = set.items[1].digest;
  EXPECT_NE(set.fingerprint(), fingerprint) << "digest";
  set = sample();
  set.items[0].file = "c.sys";
  EXPECT_NE(set.fingerprint(), fingerprint) << "file";
  set = sample();
  set.key_name.back() = 2;
  EXPECT_NE(set.fingerprint(), fingerprint) << "key";
  set = sample();
  set.profile_sha256 = crypto::sha256({});
  EXPECT_NE(set.fingerprint(), fingerprint) << "profile";
}

TEST(DigestText, ReadsBackWhatItWroteAndNothingElse) {
  using crypto::DigestAlgorithm;
  for (const DigestAlgorithm algorithm : {DigestAlgorithm::sha1, DigestAlgorithm::sha256, DigestAlgorithm::sha384}) {
    const crypto::Digest digest = crypto::digest_of(algorithm, base::as_bytes("x"));
    const base::Result<crypto::Digest> read = digest_from_text(digest_text(digest));
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, digest);
  }
  EXPECT_FALSE(digest_from_text("sha256:00"));
  EXPECT_FALSE(digest_from_text("sha512:" + std::string(128, '0')));
  EXPECT_FALSE(digest_from_text("sha256:" + std::string(64, 'A')));
  EXPECT_FALSE(digest_from_text(std::string(64, 'a')));
  EXPECT_FALSE(digest_from_text(""));
}

}  // namespace
}  // namespace transparency
