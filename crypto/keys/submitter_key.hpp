// A submitter's key: ECDSA P-256 in a PKCS#8 file. It signs requests, never code.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/secret_bytes.hpp"
#include "crypto/signer.hpp"

namespace keys {

class SubmitterKey final : public crypto::Signer {
 public:
  static base::Result<SubmitterKey> generate();
  // Errors as keys::private_key_info_from_pem; Errc::unsupported for a key that is not P-256.
  static base::Result<SubmitterKey> from_pem(std::string_view pem, const base::SecretBytes* pass_phrase);
  SubmitterKey(SubmitterKey&&) noexcept;
  SubmitterKey& operator=(SubmitterKey&&) noexcept;
  ~SubmitterKey() override;

  // With a pass phrase the file is encrypted; without one it is plain.
  base::Result<std::string> pem(const base::SecretBytes* pass_phrase) const;
  std::string public_key_pem() const;

  crypto::KeyAlgorithm algorithm() const override { return crypto::KeyAlgorithm::ecdsa_p256; }
  base::ByteView public_key_der() const override { return public_key_; }
  base::Result<base::Bytes> sign(const crypto::Digest& digest) override;

 private:
  struct Context;
  explicit SubmitterKey(std::unique_ptr<Context> context);
  base::Result<void> export_public_key();
  std::unique_ptr<Context> context_;
  base::Bytes public_key_;
};

}  // namespace keys
