// Key files: DER of EncryptedPrivateKeyInfo, and PEM of either kind. Few iterations, so that the fuzzer gets on.
#include <cstdint>

#include "crypto/base/text.hpp"
#include "crypto/keys/pkcs8.hpp"
#include "crypto/keys/submitter_key.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView bytes(data, size);
  const base::SecretBytes pass_phrase = base::SecretBytes::copy_of(base::as_bytes("pass phrase"));
  const auto decrypted = keys::decrypt_pkcs8(bytes, pass_phrase, 16);
  if (decrypted) base::require(!decrypted->empty(), "an empty key was decrypted");
  // Without the pass phrase: nothing is derived, however many iterations the file asks for.
  const auto key = keys::SubmitterKey::from_pem(base::as_text(bytes), nullptr);
  if (key) base::require(keys::SubmitterKey::from_pem(key->pem(nullptr), nullptr).has_value(), "a key does not come back");
  return 0;
}
