// Any bytes as SignedData, as SpcIndirectDataContent and as a certificate; every check that a verifier makes is made.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "crypto/certificate.hpp"
#include "crypto/cms/counter_signature.hpp"
#include "crypto/cms/signature_edit.hpp"
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
    if (const auto counter = cms::CounterSignature::parse(*parsed, signer)) {
      (void)counter->expect_over(signer);
      (void)counter->chain({});
    }
  }
  // Editing what is unsigned keeps everything else, and a tree that nobody edits keeps its bytes.
  const auto same = cms::with_every_signature(bytes, [](base::ByteView der, const std::string&) -> base::Result<base::Bytes> {
    return base::to_bytes(der);
  });
  base::require(!same || std::ranges::equal(*same, bytes), "an unedited tree of signatures changed");
  const auto bare = [](base::ByteView der, const std::string&) { return cms::without_timestamp(der); };
  if (const auto once = cms::with_every_signature(bytes, bare)) {
    const auto twice = cms::with_every_signature(*once, bare);
    base::require(twice && *twice == *once, "timestamps were left behind");
  }
  return 0;
}
