// A private key from a PEM file, for tests and the test signer only: no shipped program signs code with a key like
// this. Over OpenSSL, so that what our own verification accepts was not made by the library it is built on.
#pragma once

#include <memory>
#include <string_view>

#include "crypto/signer.hpp"

namespace tests {

class SoftwareKey final : public crypto::Signer {
 public:
  // PKCS#8, PKCS#1 or SEC1 PEM without a pass phrase: RSA 2048 to 4096, P-256, P-384. Errc::malformed,
  // Errc::unsupported.
  static base::Result<SoftwareKey> from_pem(std::string_view pem);
  // A new P-256 key, different each time.
  static SoftwareKey generate_p256();
  SoftwareKey(SoftwareKey&&) noexcept;
  SoftwareKey& operator=(SoftwareKey&&) noexcept;
  ~SoftwareKey() override;

  crypto::KeyAlgorithm algorithm() const override;
  base::ByteView public_key_der() const override { return public_key_der_; }
  base::Result<base::Bytes> sign(const crypto::Digest& digest) override;

 private:
  struct Key;
  explicit SoftwareKey(std::unique_ptr<Key> key);
  static base::Result<SoftwareKey> with_public_part(std::unique_ptr<Key> key);
  std::unique_ptr<Key> key_;
  base::Bytes public_key_der_;
  crypto::KeyAlgorithm algorithm_{};
};

}  // namespace tests
