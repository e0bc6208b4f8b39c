// Any bytes as a revocation list: what is taken keeps its bytes, and follows nothing that is itself.
#include <algorithm>
#include <cstdint>

#include "crypto/revocation_list.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView bytes(data, size);
  const auto list = crypto::RevocationList::read(bytes);
  if (!list) return 0;
  const auto again = crypto::RevocationList::parse(list->der());
  base::require(again && again->number() == list->number() && again->size() == list->size(), "a revocation list does not come back");
  base::require(!again->expect_newer_than(list->number(), list->this_update()), "a list is newer than itself");
  return 0;
}
