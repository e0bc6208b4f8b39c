// That a TPM computes the same cpHash is shown in tests/unit/tpm/quorum_test.cpp: it signs.
#include "crypto/attest/sign_command.hpp"

#include <gtest/gtest.h>

#include <set>

#include "crypto/base/text.hpp"
#include "crypto/verify_signature.hpp"
#include "tests/support/plain_index.hpp"

namespace attest {
namespace {

using crypto::DigestAlgorithm;
using crypto::KeyAlgorithm;

TEST(SignCommand, IsTheDigestOfTheCommandByteForByte) {
  const Name key = name_of(tests::plain_index(0x01800001));
  const crypto::Digest file = crypto::sha256(base::as_bytes("driver.cat"));
  const std::string command = "0000015d" + base::hex(key) +   // TPM_CC_Sign, the key
                              "0020" + file.hex() +           // digest
                              "0014" "000b" +                 // TPM_ALG_RSASSA, TPM_ALG_SHA256
                              "8024" "40000007" "0000";       // TPM_ST_HASHCHECK, TPM_RH_NULL, no digest
  EXPECT_EQ(sign_cp_hash(key, KeyAlgorithm::rsa_pkcs1, file)->hex(), crypto::sha256(*base::from_hex(command)).hex());
}

TEST(SignCommand, DiffersForEveryKeyDigestAndScheme) {
  std::set<std::string> seen;
  for (const std::uint32_t index : {0x01800001U, 0x01800002U})
    for (const KeyAlgorithm algorithm : {KeyAlgorithm::rsa_pkcs1, KeyAlgorithm::ecdsa_p256})
      for (const DigestAlgorithm hash : {DigestAlgorithm::sha256, DigestAlgorithm::sha384})
        for (const char* file : {"driver.cat", "other.cat"})
          seen.insert(sign_cp_hash(name_of(tests::plain_index(index)), algorithm,
                                   crypto::digest_of(hash, base::as_bytes(file)))->hex());
  EXPECT_EQ(seen.size(), 16U);
}

TEST(SignCommand, RefusesDigestsThatTpmsDoNotShareOrThatAreBroken) {
  for (const DigestAlgorithm hash : {DigestAlgorithm::sha1, DigestAlgorithm::sha512}) {
    const auto refused = sign_cp_hash({}, KeyAlgorithm::rsa_pkcs1, crypto::digest_of(hash, ByteView()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), base::Errc::unsupported);
  }
}

TEST(SignCommand, TakesSha1OnlyForOldWindowsAndOnlyWithRsa) {
  const Name key = name_of(tests::plain_index(0x01800001));
  const crypto::Digest file = crypto::digest_of(DigestAlgorithm::sha1, base::as_bytes("driver.sys"));
  const std::string command = "0000015d" + base::hex(key) + "0014" + file.hex() + "0014" "0004" + "8024" "40000007" "0000";
  EXPECT_EQ(sign_cp_hash(key, KeyAlgorithm::rsa_pkcs1, file, crypto::Sha1::for_old_windows)->hex(), crypto::sha256(*base::from_hex(command)).hex());
  EXPECT_FALSE(sign_cp_hash(key, KeyAlgorithm::ecdsa_p256, file, crypto::Sha1::for_old_windows));
  EXPECT_FALSE(sign_cp_hash(key, KeyAlgorithm::rsa_pkcs1, crypto::digest_of(DigestAlgorithm::sha512, ByteView()), crypto::Sha1::for_old_windows));
}

TEST(EcdsaSignature, IsMinimalDerWithPositiveNumbers) {
  EXPECT_EQ(base::hex(ecdsa_signature(*base::from_hex("00007f"), *base::from_hex("80"))), "300702017f02020080");
}

}  // namespace
}  // namespace attest
