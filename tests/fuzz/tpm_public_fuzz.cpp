// Public areas of TPM keys, as key files hold them. Corpus: made with tpm2_create of tpm2-tools on swtpm.
#include <cstdint>
#include <cstdlib>

#include "crypto/attest/names.hpp"
#include "crypto/verify_signature.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView bytes(data, size);
  (void)attest::ObjectPublic::parse(bytes);
  const auto key = attest::ObjectPublic::parse_sized(bytes);
  if (!key) return 0;
  if (key->name().size() != attest::kNameBytes || key->name() != attest::name_of_public_area(bytes.subspan(2))) std::abort();
  // A point off the curve or an even modulus may be refused here; what is accepted is the same kind of key.
  const auto public_key = crypto::PublicKey::parse(key->spki());
  if (public_key && (public_key->algorithm() != key->algorithm() || public_key->bits() != key->bits())) std::abort();
  return 0;
}
