// Any bytes as a PE image: parsed, measured, its certificate table read, and signed when that is possible.
#include <cstddef>
#include <cstdint>

#include "crypto/base/byte_sink.hpp"
#include "crypto/base/byte_source.hpp"
#include "crypto/formats/pe_image.hpp"
#include "crypto/package/verification.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::MemorySource file({data, size});
  (void)package::verify_pe(file, {}, base::Time{}, package::Policy::uefi);
  const auto looks = formats::looks_like_pe(file);
  const auto image = formats::PeImage::parse(file);
  if (!image) return 0;
  base::require(looks && *looks, "an image was parsed that does not look like one");
  const crypto::DigestAlgorithm wanted[] = {crypto::DigestAlgorithm::sha256};
  const auto measurement = image->measure(file, wanted);
  base::require(measurement.has_value(), "an image was parsed that cannot be measured");
  (void)image->certificates(file);
  base::MemorySink out;
  const std::uint8_t signature[] = {0x30, 0x03, 0x02, 0x01, 0x07};
  base::require(formats::write_signed(file, *image, *measurement, signature, out).has_value(),
                "an image cannot be signed");
  // Signing changes neither digest nor layout, and sets the right CheckSum.
  const base::MemorySource signed_file(out.bytes());
  const auto again = formats::PeImage::parse(signed_file);
  base::require(again.has_value(), "a signed image does not parse");
  base::require(again->measure(signed_file, wanted)->digest(wanted[0]) == measurement->digest(wanted[0]),
                "signing changed the digest");
  base::require(*formats::pe_checksum(signed_file, *again) == again->stored_checksum(), "wrong CheckSum");
  return 0;
}
