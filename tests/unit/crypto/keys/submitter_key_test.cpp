#include "crypto/keys/submitter_key.hpp"

#include <gtest/gtest.h>

#include "crypto/base/text.hpp"
#include "crypto/der/writer.hpp"
#include "crypto/keys/pem.hpp"
#include "crypto/verify_signature.hpp"

namespace keys {
namespace {

using base::Bytes;
using base::Errc;
using base::SecretBytes;

TEST(SubmitterKey, SignsWhatItsPublicKeyVerifies) {
  SubmitterKey key = SubmitterKey::generate();
  const base::Result<crypto::PublicKey> public_key = crypto::PublicKey::parse_pem(key.public_key_pem());
  ASSERT_TRUE(public_key);
  EXPECT_EQ(public_key->algorithm(), crypto::KeyAlgorithm::ecdsa_p256);
  const crypto::Digest digest = crypto::sha256(base::as_bytes("x"));
  const base::Result<Bytes> signature = key.sign(digest);
  ASSERT_TRUE(signature);
  EXPECT_TRUE(public_key->verify(digest, *signature));
  EXPECT_FALSE(public_key->verify(crypto::sha256(base::as_bytes("y")), *signature));
  EXPECT_FALSE(key.sign(crypto::digest_of(crypto::DigestAlgorithm::sha1, base::as_bytes("x"))));
}

TEST(SubmitterKey, ComesBackFromItsFile) {
  const SubmitterKey key = SubmitterKey::generate();
  const base::Result<SubmitterKey> plain = SubmitterKey::from_pem(key.pem(nullptr), nullptr);
  ASSERT_TRUE(plain) << plain.error().text();
  EXPECT_EQ(plain->public_key_pem(), key.public_key_pem());
  const SecretBytes pass_phrase = SecretBytes::copy_of(base::as_bytes("pass phrase"));
  const std::string encrypted = key.pem(&pass_phrase);
  const base::Result<SubmitterKey> decrypted = SubmitterKey::from_pem(encrypted, &pass_phrase);
  ASSERT_TRUE(decrypted) << decrypted.error().text();
  EXPECT_EQ(decrypted->public_key_pem(), key.public_key_pem());
  EXPECT_EQ(SubmitterKey::from_pem(encrypted, nullptr).error().code(), Errc::refused);
}

// RFC 6979 appendix A.2.5: P-256 with SHA-256, message "sample".
TEST(SubmitterKey, SignsAsRfc6979Says) {
  const Bytes scalar = *base::from_hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
  const Bytes ec = der::sequence({der::integer(1), der::octet_string(scalar)});
  const Bytes info = der::sequence(
      {der::integer(0), der::sequence({der::oid(der::oids::kEcPublicKey), der::oid(der::oids::kP256)}), der::octet_string(ec)});
  base::Result<SubmitterKey> key = SubmitterKey::from_pem(pem_block("PRIVATE KEY", info), nullptr);
  ASSERT_TRUE(key) << key.error().text();
  const Bytes r = *base::from_hex("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716");
  const Bytes s = *base::from_hex("F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8");
  EXPECT_EQ(*key->sign(crypto::sha256(base::as_bytes("sample"))), der::sequence({der::integer_from_octets(r), der::integer_from_octets(s)}));
  EXPECT_NE(base::hex(key->public_key_der()).find("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"), std::string::npos);
}

std::string pem_with(const der::Oid& algorithm, const der::Oid& curve, std::uint64_t version, const Bytes& scalar) {
  const Bytes ec = der::sequence({der::integer(version), der::octet_string(scalar)});
  return pem_block("PRIVATE KEY", der::sequence({der::integer(0), der::sequence({der::oid(algorithm), der::oid(curve)}), der::octet_string(ec)}));
}

void expect_refused(const std::string& pem, Errc code) {
  const base::Result<SubmitterKey> key = SubmitterKey::from_pem(pem, nullptr);
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().code(), code) << key.error().text();
}

TEST(SubmitterKey, RefusesOtherKeysAndBrokenOnes) {
  const Bytes good(32, 0x11);
  ASSERT_TRUE(SubmitterKey::from_pem(pem_with(der::oids::kEcPublicKey, der::oids::kP256, 1, good), nullptr));
  expect_refused(pem_with(der::oids::kRsaEncryption, der::oids::kP256, 1, good), Errc::unsupported);
  expect_refused(pem_with(der::oids::kEcPublicKey, der::oids::kP384, 1, good), Errc::unsupported);
  expect_refused(pem_with(der::oids::kEcPublicKey, der::oids::kP256, 2, good), Errc::unsupported);
  expect_refused(pem_with(der::oids::kEcPublicKey, der::oids::kP256, 1, Bytes(31, 0x11)), Errc::malformed);
  expect_refused(pem_with(der::oids::kEcPublicKey, der::oids::kP256, 1, Bytes(33, 0x11)), Errc::malformed);
  expect_refused(pem_with(der::oids::kEcPublicKey, der::oids::kP256, 1, Bytes(32, 0x00)), Errc::malformed);
  expect_refused(pem_with(der::oids::kEcPublicKey, der::oids::kP256, 1, Bytes(32, 0xFF)), Errc::malformed);   // over the order
  expect_refused(pem_block("PRIVATE KEY", Bytes{0x30, 0x00}), Errc::malformed);
}

}  // namespace
}  // namespace keys
