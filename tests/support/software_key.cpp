#include "tests/support/software_key.hpp"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "crypto/verify_signature.hpp"

namespace tests {
namespace {

using base::Errc;
using base::fail;

const EVP_MD* message_digest(crypto::DigestAlgorithm algorithm) {
  switch (algorithm) {
    case crypto::DigestAlgorithm::sha1:
      return EVP_sha1();
    case crypto::DigestAlgorithm::sha256:
      return EVP_sha256();
    case crypto::DigestAlgorithm::sha384:
      return EVP_sha384();
    case crypto::DigestAlgorithm::sha512:
      return EVP_sha512();
  }
  base::stop("no such digest algorithm");
}

// OpenSSL asks here for a pass phrase; it is to fail instead of asking on the terminal.
int no_pass_phrase(char*, int, int, void* was_asked) {
  *static_cast<bool*>(was_asked) = true;
  return -1;
}

}  // namespace

struct SoftwareKey::Key {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pkey{nullptr, EVP_PKEY_free};
};

SoftwareKey::SoftwareKey(std::unique_ptr<Key> key) : key_(std::move(key)) {}
SoftwareKey::SoftwareKey(SoftwareKey&&) noexcept = default;
SoftwareKey& SoftwareKey::operator=(SoftwareKey&&) noexcept = default;
SoftwareKey::~SoftwareKey() = default;

base::Result<SoftwareKey> SoftwareKey::from_pem(std::string_view pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  auto key = std::make_unique<Key>();
  bool is_protected = false;
  key->pkey.reset(PEM_read_bio_PrivateKey(text.get(), nullptr, no_pass_phrase, &is_protected));
  ERR_clear_error();
  if (is_protected) return fail(Errc::unsupported, "private key is protected by a pass phrase, an unprotected one is wanted");
  if (!key->pkey) return fail(Errc::malformed, "not a private key in PEM: PKCS#8, PKCS#1 or SEC1 wanted");
  return with_public_part(std::move(key));
}

SoftwareKey SoftwareKey::generate_p256() {
  auto key = std::make_unique<Key>();
  key->pkey.reset(EVP_EC_gen("P-256"));
  base::require(key->pkey != nullptr, "no P-256 key could be made");
  return *with_public_part(std::move(key));
}

base::Result<SoftwareKey> SoftwareKey::with_public_part(std::unique_ptr<Key> key) {
  const int size = i2d_PUBKEY(key->pkey.get(), nullptr);
  if (size <= 0) return fail(Errc::unsupported, "private key without a public one");
  SoftwareKey whole(std::move(key));
  whole.public_key_der_.resize(static_cast<std::size_t>(size));
  unsigned char* end = whole.public_key_der_.data();
  i2d_PUBKEY(whole.key_->pkey.get(), &end);
  const crypto::PublicKey public_key = TRY(crypto::PublicKey::parse(whole.public_key_der_));
  whole.algorithm_ = public_key.algorithm();
  return whole;
}

crypto::KeyAlgorithm SoftwareKey::algorithm() const {
  return algorithm_;
}

base::Result<base::Bytes> SoftwareKey::sign(const crypto::Digest& digest) {
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(EVP_PKEY_CTX_new(key_->pkey.get(), nullptr),
                                                                            EVP_PKEY_CTX_free);
  base::Bytes signature(static_cast<std::size_t>(EVP_PKEY_get_size(key_->pkey.get())));
  std::size_t size = signature.size();
  if (!context || EVP_PKEY_sign_init(context.get()) <= 0 ||
      EVP_PKEY_CTX_set_signature_md(context.get(), message_digest(digest.algorithm())) <= 0 ||
      EVP_PKEY_sign(context.get(), signature.data(), &size, digest.bytes().data(), digest.bytes().size()) <= 0) {
    ERR_clear_error();
    return fail(Errc::unavailable, "the software key did not sign");
  }
  signature.resize(size);
  return signature;
}

}  // namespace tests
