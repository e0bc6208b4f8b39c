#include "crypto/verify_signature.hpp"

#include <fmt/format.h>
#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/keys/pem.hpp"

namespace crypto {
namespace {

using base::Errc;
using base::fail;

class Pk {  // an mbedTLS public key context
 public:
  Pk() { mbedtls_pk_init(&context_); }
  Pk(const Pk&) = delete;
  Pk& operator=(const Pk&) = delete;
  ~Pk() { mbedtls_pk_free(&context_); }
  mbedtls_pk_context* get() { return &context_; }

 private:
  mbedtls_pk_context context_;
};

mbedtls_md_type_t md_type(DigestAlgorithm algorithm) {
  switch (algorithm) {
    case DigestAlgorithm::sha1:
      return MBEDTLS_MD_SHA1;
    case DigestAlgorithm::sha256:
      return MBEDTLS_MD_SHA256;
    case DigestAlgorithm::sha384:
      return MBEDTLS_MD_SHA384;
    case DigestAlgorithm::sha512:
      return MBEDTLS_MD_SHA512;
  }
  return MBEDTLS_MD_NONE;
}

Result<KeyAlgorithm> algorithm_of(mbedtls_pk_context* key, unsigned bits) {
  if (mbedtls_pk_get_type(key) == MBEDTLS_PK_RSA) {
    if (bits < 2048 || bits > 4096)
      return fail(Errc::unsupported, fmt::format("RSA key of {} bits; 2048 to 4096 wanted", bits));
    return KeyAlgorithm::rsa_pkcs1;
  }
  if (mbedtls_pk_get_type(key) == MBEDTLS_PK_ECKEY) {
    // The curve by its size: mbedTLS 3 hides the group, and of these two sizes only the NIST curves below
    // are told apart by their OID, which parse() checks in the DER.
    if (bits == 256) return KeyAlgorithm::ecdsa_p256;
    if (bits == 384) return KeyAlgorithm::ecdsa_p384;
    return fail(Errc::unsupported, fmt::format("elliptic curve of {} bits; P-256 or P-384 wanted", bits));
  }
  return fail(Errc::unsupported, "public key is neither RSA nor ECDSA");
}

bool contains(ByteView bytes, ByteView wanted) {
  return base::as_text(bytes).find(base::as_text(wanted)) != std::string_view::npos;
}

}  // namespace

Result<PublicKey> PublicKey::parse(ByteView spki) {
  if (spki.size() > base::limits::kCertificateBytes)
    return fail(Errc::too_large, fmt::format("public key of {} bytes", spki.size()));
  Pk key;
  if (mbedtls_pk_parse_public_key(key.get(), spki.data(), spki.size()) != 0)
    return fail(Errc::malformed, "not a public key that mbedTLS can read");
  PublicKey parsed;
  parsed.bits_ = static_cast<unsigned>(mbedtls_pk_get_bitlen(key.get()));
  parsed.algorithm_ = TRY(algorithm_of(key.get(), parsed.bits_));
  constexpr std::uint8_t kP256[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
  constexpr std::uint8_t kP384[] = {0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22};
  if (parsed.algorithm_ == KeyAlgorithm::ecdsa_p256 && !contains(spki, kP256))
    return fail(Errc::unsupported, "elliptic curve of 256 bits that is not P-256");
  if (parsed.algorithm_ == KeyAlgorithm::ecdsa_p384 && !contains(spki, kP384))
    return fail(Errc::unsupported, "elliptic curve of 384 bits that is not P-384");
  parsed.der_ = base::to_bytes(spki);
  return parsed;
}

Result<PublicKey> PublicKey::parse_pem(std::string_view pem) {
  const Bytes der = TRY(keys::single_pem_block(pem, "PUBLIC KEY"));
  return parse(der);
}

std::string PublicKey::pem() const { return keys::pem_block("PUBLIC KEY", der_); }

std::string PublicKey::keyid() const { return sha256(der_).hex(); }

Result<void> PublicKey::verify(const Digest& digest, ByteView signature) const {
  Pk key;
  base::require(mbedtls_pk_parse_public_key(key.get(), der_.data(), der_.size()) == 0,
                "a public key that was parsed once no longer parses");
  const int error = mbedtls_pk_verify(key.get(), md_type(digest.algorithm()), digest.bytes().data(),
                                      digest.bytes().size(), signature.data(), signature.size());
  if (error != 0) return fail(Errc::mismatch, "signature does not fit the key and the digest");
  return {};
}

}  // namespace crypto
