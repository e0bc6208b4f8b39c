// Cabinets from any bytes: what parses can be signed, and the result has the same digest and parses again.
#include <cstddef>
#include <cstdint>

#include "crypto/der/writer.hpp"
#include "crypto/formats/cab_file.hpp"
#include "crypto/package/verification.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::MemorySource file(base::ByteView(data, size));
  (void)package::verify_cab(file, {}, base::Time{});
  const auto cab = formats::CabFile::parse(file);
  if (!cab) return 0;
  const auto digest = cab->digest(file, crypto::DigestAlgorithm::sha256);
  base::require(digest.has_value(), "a cabinet in memory has a digest");
  base::MemorySink out;
  base::require(cab->write_signed(file, der::sequence({der::null()}), out).has_value(), "a small cabinet can be signed");
  const base::MemorySource signed_file(out.bytes());
  const auto again = formats::CabFile::parse(signed_file);
  base::require(again.has_value() && again->is_signed(), "a signed cabinet no longer parses");
  base::require(*again->digest(signed_file, crypto::DigestAlgorithm::sha256) == *digest, "signing changed the digest");
  return 0;
}
