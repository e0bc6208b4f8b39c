// Any bytes as the inspector's answer: what is taken has exactly one encoding.
#include <algorithm>
#include <cstdint>

#include "crypto/package/inspection.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView bytes(data, size);
  const auto inspection = package::decode_inspection(bytes);
  if (inspection) base::require(std::ranges::equal(package::encode_inspection(*inspection), bytes), "an inspection has one encoding");
  return 0;
}
