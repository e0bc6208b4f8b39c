// Any bytes as a catalog file and as a bare list. A list that is read can be wrapped and read again.
#include <cstdint>

#include "crypto/formats/catalog.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView bytes(data, size);
  (void)formats::Catalog::parse(bytes);
  const auto catalog = formats::Catalog::parse_ctl(bytes);
  if (!catalog) return 0;
  (void)catalog->hardware_ids();
  const auto again = formats::Catalog::parse(formats::unsigned_catalog(bytes));
  base::require(again.has_value() && again->ctl() == catalog->ctl(), "a list survives being wrapped");
  return 0;
}
