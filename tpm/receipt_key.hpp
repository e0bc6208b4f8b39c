// The appliance's own key: P-256, born in the TPM, signs receipts and log checkpoints. It says "this appliance did it",
// not "officers approved it", so no officer is asked; the firmware gate must be open: software that was not approved cannot
// sign receipts.
#pragma once

#include <memory>

#include "crypto/signer.hpp"
#include "crypto/verify_signature.hpp"
#include "tpm/device.hpp"
#include "tpm/firmware_gate.hpp"
#include "tpm/key_blob.hpp"

namespace tpm {

class ReceiptKey final : public crypto::Signer {  // loaded in the TPM while it lives; device and gate must outlive it
 public:
  static Result<NewKey> create(Device& device, const FirmwareGate& firmware);
  // Errc::refused for a blob of another TPM, or of a key that is not as create() makes it.
  static Result<std::unique_ptr<ReceiptKey>> load(Device& device, const FirmwareGate& firmware, const KeyBlob& blob);
  ~ReceiptKey() override;

  const Bytes& name() const;
  const crypto::PublicKey& public_key() const;
  crypto::KeyAlgorithm algorithm() const override { return crypto::KeyAlgorithm::ecdsa_p256; }
  ByteView public_key_der() const override;
  // SHA-256 digests only. The signature is verified before it is returned.
  Result<Bytes> sign(const crypto::Digest& digest) override;

 private:
  struct State;
  explicit ReceiptKey(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tpm
