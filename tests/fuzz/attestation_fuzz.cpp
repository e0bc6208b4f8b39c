// What TPMs say about themselves: no bytes bring the reader down, and nothing is read beyond its own size.
#include <cstdint>

#include "crypto/attest/attestation.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::Result<attest::Attested> attested = attest::parse_attestation({data, size});
  if (!attested) return 0;
  base::require(attested->extra_data.size() <= size, "more extra data than bytes");
  if (const auto* const index = std::get_if<attest::IndexContent>(&attested->says))
    base::require(index->index.size() == attest::kNameBytes && index->content.size() <= size, "an index of no Name");
  return 0;
}
