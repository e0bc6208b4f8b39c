// Any bytes as SignedData, as SpcIndirectDataContent and as a certificate; every check that a verifier makes is made.
#include <cstddef>
#include <cstdint>

#include "crypto/certificate.hpp"
#include "crypto/cms/signed_data.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/package/verification.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView bytes(data, size);
  (void)crypto::Certificate::parse(bytes);
  (void)package::verify_catalog_signature(bytes, {}, base::Time{});
  const auto parsed = cms::SignedData::parse(bytes);
  if (!parsed) return 0;
  (void)formats::IndirectData::parse(parsed->content_der());
  for (const cms::SignerInfo& signer : parsed->signers()) {
    const auto certificate = parsed->signer_certificate(signer);
    (void)parsed->expect_content_type(signer);
    (void)parsed->expect_message_digest(signer);
    if (!certificate) continue;
    const auto key = certificate->public_key();
    if (key) (void)parsed->expect_signature(signer, *key);
  }
  return 0;
}
