// Any bytes as an image whose imports and version resource are read, and as a version resource by itself.
#include <cstdint>

#include "crypto/base/limits.hpp"
#include "crypto/formats/pe_details.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView bytes(data, size);
  (void)formats::parse_version_resource(bytes);
  const base::MemorySource file(bytes);
  const auto image = formats::PeImage::parse(file);
  if (!image) return 0;
  const auto details = formats::PeDetails::read(file, *image);
  base::require(details.has_value(), "an image was parsed whose section table cannot be read");
  base::require(!details->imports || details->imports->size() <= base::limits::kImports, "more imports than the limit");
  return 0;
}
