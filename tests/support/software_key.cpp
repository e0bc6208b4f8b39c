#include "tests/support/software_key.hpp"

#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "crypto/verify_signature.hpp"

namespace tests {
namespace {

using base::Errc;
using base::fail;

int system_random(void*, unsigned char* out, std::size_t size) {
  while (size > 0) {
    const ssize_t count = getrandom(out, size, 0);
    if (count <= 0) return MBEDTLS_ERR_PK_BAD_INPUT_DATA;
    out += count;
    size -= static_cast<std::size_t>(count);
  }
  return 0;
}

mbedtls_md_type_t md_type(crypto::DigestAlgorithm algorithm) {
  switch (algorithm) {
    case crypto::DigestAlgorithm::sha1:
      return MBEDTLS_MD_SHA1;
    case crypto::DigestAlgorithm::sha256:
      return MBEDTLS_MD_SHA256;
    case crypto::DigestAlgorithm::sha384:
      return MBEDTLS_MD_SHA384;
    case crypto::DigestAlgorithm::sha512:
      return MBEDTLS_MD_SHA512;
  }
  return MBEDTLS_MD_NONE;
}

}  // namespace

struct SoftwareKey::Key {
  Key() { mbedtls_pk_init(&pk); }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
  ~Key() { mbedtls_pk_free(&pk); }
  mbedtls_pk_context pk;
};

SoftwareKey::SoftwareKey(std::unique_ptr<Key> key) : key_(std::move(key)) {}
SoftwareKey::SoftwareKey(SoftwareKey&&) noexcept = default;
SoftwareKey& SoftwareKey::operator=(SoftwareKey&&) noexcept = default;
SoftwareKey::~SoftwareKey() = default;

base::Result<SoftwareKey> SoftwareKey::from_pem(std::string_view pem) {
  auto key = std::make_unique<Key>();
  const std::string terminated(pem);  // mbedTLS wants the NUL counted
  const auto* const text = reinterpret_cast<const unsigned char*>(terminated.c_str());
#if MBEDTLS_VERSION_MAJOR < 3
  const int error = mbedtls_pk_parse_key(&key->pk, text, terminated.size() + 1, nullptr, 0);
#else
  const int error = mbedtls_pk_parse_key(&key->pk, text, terminated.size() + 1, nullptr, 0, system_random, nullptr);
#endif
  if (error == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
    return fail(Errc::unsupported, "private key is protected by a pass phrase, an unprotected one is wanted");
  if (error != 0) return fail(Errc::malformed, "not a private key in PEM: PKCS#8, PKCS#1 or SEC1 wanted");
  std::array<unsigned char, 4096> buffer{};  // mbedTLS writes backwards from its end
  const int size = mbedtls_pk_write_pubkey_der(&key->pk, buffer.data(), buffer.size());
  if (size <= 0) return fail(Errc::unsupported, "private key without a public one");
  SoftwareKey parsed(std::move(key));
  parsed.public_key_der_.assign(buffer.end() - size, buffer.end());
  const crypto::PublicKey public_key = TRY(crypto::PublicKey::parse(parsed.public_key_der_));
  parsed.algorithm_ = public_key.algorithm();
  return parsed;
}

SoftwareKey SoftwareKey::generate_p256() {
  auto key = std::make_unique<Key>();
  base::require(mbedtls_pk_setup(&key->pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0 &&
                    mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key->pk), system_random, nullptr) == 0,
                "no P-256 key could be made");
  std::array<unsigned char, 4096> pem{};
  base::require(mbedtls_pk_write_key_pem(&key->pk, pem.data(), pem.size()) == 0, "no PEM of a P-256 key");
  auto parsed = from_pem(reinterpret_cast<const char*>(pem.data()));
  base::require(parsed.has_value(), "a key that was just made does not parse");
  return std::move(*parsed);
}

crypto::KeyAlgorithm SoftwareKey::algorithm() const {
  return algorithm_;
}

base::Result<base::Bytes> SoftwareKey::sign(const crypto::Digest& digest) {
  base::Bytes signature(1024);  // an RSA-4096 signature has 512 bytes, an ECDSA P-384 one at most 104
  std::size_t size = 0;
#if MBEDTLS_VERSION_MAJOR < 3
  const int error = mbedtls_pk_sign(&key_->pk, md_type(digest.algorithm()), digest.bytes().data(),
                                    digest.bytes().size(), signature.data(), &size, system_random, nullptr);
#else
  const int error =
      mbedtls_pk_sign(&key_->pk, md_type(digest.algorithm()), digest.bytes().data(), digest.bytes().size(),
                      signature.data(), signature.size(), &size, system_random, nullptr);
#endif
  if (error != 0) return fail(Errc::unavailable, "the software key did not sign");
  signature.resize(size);
  return signature;
}

}  // namespace tests
