// Public areas of indices: what is read is written again byte for byte.
#include <cstdint>

#include "crypto/attest/names.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView bytes(data, size);
  const base::Result<attest::NvPublic> area = attest::parse_nv_public(bytes);
  if (area) base::require(attest::encode(*area) == base::to_bytes(bytes), "an index is not written as it was read");
  return 0;
}
