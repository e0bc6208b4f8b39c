// Envelopes: what is read is written again byte for byte, and no signature verifies by accident.
#include <cstdint>

#include "crypto/base/text.hpp"
#include "crypto/transparency/dsse.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = base::as_text({data, size});
  const base::Result<transparency::Envelope> envelope = transparency::Envelope::parse(text, 1U << 20);
  if (!envelope) return 0;
  base::require(envelope->text() == text, "an envelope is not written as it was read");
  // The key of the published vector, under which the corpus verifies: its payload is the only one that may come out.
  static const crypto::PublicKey key = *crypto::PublicKey::parse(
      *base::from_base64("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ805D3eqNZywjCI19lInBJOp7YMrCrzAH3CVTAOQ0jgMeCvVTiaRJaRPRDOv8UMs6U4SvKc6"
                         "pnrIDOoSYI3fdA=="));
  const base::Result<std::string_view> payload = envelope->verify(key, "http://example.com/HelloWorld");
  if (payload) base::require(*payload == "hello world", "an envelope verified that nobody signed");
  return 0;
}
