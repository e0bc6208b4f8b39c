#include "crypto/keys/pkcs8.hpp"

#include <gtest/gtest.h>

#include "crypto/base/text.hpp"
#include "crypto/der/writer.hpp"
#include "crypto/keys/pem.hpp"

namespace keys {
namespace {

using base::Bytes;
using base::Errc;
using base::SecretBytes;

constexpr std::uint32_t kFew = 10;   // iterations: these tests are not about time

SecretBytes secret(std::string_view text) { return SecretBytes::copy_of(base::as_bytes(text)); }
Bytes some_key_info() { return der::sequence({der::integer(0), der::octet_string(Bytes(40, 0x77))}); }

TEST(Pkcs8, GivesBackWhatItEncrypted) {
  for (std::size_t size = 0; size < 40; ++size) {   // every length of padding
    const Bytes info = der::sequence({der::octet_string(Bytes(size, 0x11))});
    const Bytes encrypted = encrypt_pkcs8(info, secret("correct horse"), kFew);
    const base::Result<SecretBytes> decrypted = decrypt_pkcs8(encrypted, secret("correct horse"));
    ASSERT_TRUE(decrypted) << decrypted.error().text();
    EXPECT_EQ(base::to_bytes(decrypted->reveal()), info);
  }
}

TEST(Pkcs8, NeverWritesTheSameTwice) {
  EXPECT_NE(encrypt_pkcs8(some_key_info(), secret("p"), kFew), encrypt_pkcs8(some_key_info(), secret("p"), kFew));
}

TEST(Pkcs8, RefusesAWrongPassPhrase) {
  const Bytes encrypted = encrypt_pkcs8(some_key_info(), secret("right"), kFew);
  for (const char* const wrong : {"wrong", "Right", "right "}) {
    const base::Result<SecretBytes> decrypted = decrypt_pkcs8(encrypted, secret(wrong));
    ASSERT_FALSE(decrypted);
    EXPECT_EQ(decrypted.error().code(), Errc::refused);
  }
}

TEST(Pkcs8, WritesTheIterationsItPromises) {
  const std::string pem = encrypted_pkcs8_pem(some_key_info(), secret("pass phrase"));
  const Bytes der = *single_pem_block(pem, "ENCRYPTED PRIVATE KEY");
  EXPECT_NE(base::hex(der).find("0203" "0927c0"), std::string::npos) << "INTEGER 600000";
  EXPECT_EQ(decrypt_pkcs8(der, secret("pass phrase"), kPbkdf2Iterations - 1).error().code(), Errc::too_large);
  EXPECT_TRUE(private_key_info_from_pem(pem, nullptr).error().code() == Errc::refused);
  const SecretBytes pass_phrase = secret("pass phrase");
  EXPECT_TRUE(private_key_info_from_pem(pem, &pass_phrase));
}

TEST(Pkcs8, RefusesMoreIterationsThanItIsWillingToCompute) {
  const Bytes encrypted = encrypt_pkcs8(some_key_info(), secret("p"), 200);
  const base::Result<SecretBytes> decrypted = decrypt_pkcs8(encrypted, secret("p"), 199);
  ASSERT_FALSE(decrypted);
  EXPECT_EQ(decrypted.error().code(), Errc::too_large);
}

// EncryptedPrivateKeyInfo with one part replaced.
struct Parts {
  Bytes scheme = der::oid(der::oids::kPbes2);
  Bytes function = der::oid(der::oids::kPbkdf2);
  Bytes salt = der::octet_string(Bytes(16, 1));
  Bytes iterations = der::integer(kFew);
  Bytes key_length = {};
  Bytes prf = der::algorithm(der::oids::kHmacSha256);
  Bytes cipher = der::oid(der::oids::kAes256Cbc);
  Bytes iv = der::octet_string(Bytes(16, 2));
  Bytes encrypted = der::octet_string(Bytes(32, 3));
  Bytes whole() const {
    const Bytes derivation = der::sequence({function, der::sequence({salt, iterations, key_length, prf})});
    return der::sequence(
        {der::sequence({scheme, der::sequence({derivation, der::sequence({cipher, iv})})}), encrypted});
  }
};

void expect_refused(const Parts& parts, Errc code, std::string_view why) {
  const base::Result<SecretBytes> decrypted = decrypt_pkcs8(parts.whole(), secret("p"));
  ASSERT_FALSE(decrypted) << why;
  EXPECT_EQ(decrypted.error().code(), code) << decrypted.error().text();
  EXPECT_NE(decrypted.error().text().find(why), std::string::npos) << decrypted.error().text();
}

TEST(Pkcs8, RefusesOtherEncryptions) {
  expect_refused({}, Errc::refused, "wrong pass phrase");
  expect_refused({.scheme = der::oid(der::oids::kPbkdf2)}, Errc::unsupported, "PBES2 wanted");
  expect_refused({.function = der::oid(der::oids::kPbes2)}, Errc::unsupported, "PBKDF2 wanted");
  expect_refused({.prf = {}}, Errc::unsupported, "HMAC-SHA1");
  expect_refused({.prf = der::algorithm(der::oids::kSha256)}, Errc::unsupported, "HMAC-SHA256 wanted");
  expect_refused({.cipher = der::oid(der::oids::kSha256)}, Errc::unsupported, "AES-256-CBC wanted");
  expect_refused({.key_length = der::integer(16)}, Errc::unsupported, "32 wanted");
  expect_refused({.key_length = der::integer(32)}, Errc::refused, "wrong pass phrase");
}

TEST(Pkcs8, RefusesBrokenParameters) {
  expect_refused({.salt = der::octet_string({})}, Errc::malformed, "salt of 0");
  expect_refused({.salt = der::octet_string(Bytes(65, 1))}, Errc::malformed, "salt of 65");
  expect_refused({.iterations = der::integer(0)}, Errc::malformed, "no iterations");
  expect_refused({.iterations = der::integer(0xFFFFFFFFFFFFULL)}, Errc::too_large, "iterations");
  expect_refused({.iv = der::octet_string(Bytes(15, 2))}, Errc::malformed, "15 bytes");
  expect_refused({.encrypted = der::octet_string(Bytes(31, 3))}, Errc::malformed, "31 encrypted bytes");
  expect_refused({.encrypted = der::octet_string({})}, Errc::malformed, "0 encrypted bytes");
}

TEST(Pkcs8, SaysWhatItWantsOfAPemFile) {
  EXPECT_EQ(private_key_info_from_pem(pem_block("EC PRIVATE KEY", some_key_info()), nullptr).error().code(), Errc::malformed);
  EXPECT_EQ(private_key_info_from_pem("", nullptr).error().code(), Errc::malformed);
  const std::string plain = plain_pkcs8_pem(some_key_info());
  EXPECT_FALSE(private_key_info_from_pem(plain + plain, nullptr));
  EXPECT_TRUE(private_key_info_from_pem(plain, nullptr));
  EXPECT_FALSE(is_encrypted_pkcs8_pem(plain));
  EXPECT_TRUE(is_encrypted_pkcs8_pem(pem_block("ENCRYPTED PRIVATE KEY", some_key_info())));
}

}  // namespace
}  // namespace keys
