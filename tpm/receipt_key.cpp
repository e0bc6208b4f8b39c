#include "tpm/receipt_key.hpp"

#include <fmt/format.h>

#include "tpm/key_objects.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {

using base::Errc;
using base::fail;

struct ReceiptKey::State {
  Device& device;
  const FirmwareGate& firmware;
  LoadedKey key;
  crypto::PublicKey public_key;
};

ReceiptKey::ReceiptKey(std::unique_ptr<State> state) : state_(std::move(state)) {}
ReceiptKey::~ReceiptKey() = default;

Result<NewKey> ReceiptKey::create(Device& device, const FirmwareGate& firmware) {
  const crypto::Digest policy = firmware.map().receipt_key_policy();
  return create_key(device.context(),
                    {crypto::KeyAlgorithm::ecdsa_p256, kReceiptKeyAttributes, base::to_bytes(policy.bytes())});
}

Result<std::unique_ptr<ReceiptKey>> ReceiptKey::load(Device& device, const FirmwareGate& firmware, const KeyBlob& blob) {
  const crypto::Digest policy = firmware.map().receipt_key_policy();
  LoadedKey key = TRY(load_key(device.context(), blob, kReceiptKeyAttributes, policy.bytes()));
  if (key.area.algorithm() != crypto::KeyAlgorithm::ecdsa_p256)
    return fail(Errc::refused, "receipt key is not a P-256 key");
  crypto::PublicKey public_key = TRY(crypto::PublicKey::parse(key.area.spki()));
  return std::unique_ptr<ReceiptKey>(
      new ReceiptKey(std::unique_ptr<State>(new State{device, firmware, std::move(key), std::move(public_key)})));
}

const Bytes& ReceiptKey::name() const { return state_->key.area.name(); }
const crypto::PublicKey& ReceiptKey::public_key() const { return state_->public_key; }
ByteView ReceiptKey::public_key_der() const { return state_->public_key.der(); }

Result<Bytes> ReceiptKey::sign(const crypto::Digest& digest) {
  if (digest.algorithm() != crypto::DigestAlgorithm::sha256)
    return fail(Errc::unsupported, fmt::format("{} digest given to the receipt key; sha256 wanted",
                                               crypto::digest_name(digest.algorithm())));
  Context& context = state_->device.context();
  const Loaded session = TRY(policy_session(context));
  Bytes signature;
  TRY(state_->firmware.pass(session, [&]() -> Result<void> {
    TRY(policy_command(context, session, attest::CommandCode::sign));
    signature = TRY(sign_digest(context, state_->key, session, digest));
    return {};
  }));
  TRY(base::within("signature made by the TPM", state_->public_key.verify(digest, signature)));
  return signature;
}

}  // namespace tpm
