// Any bytes as a policy in XML: what comes out of it is a deny list.
#include <cstdint>

#include "appliance/admin/block_list.hpp"
#include "crypto/package/deny_list.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto list = appliance::read_block_list({data, size});
  if (!list) return 0;
  const auto parsed = package::DenyList::parse(list->rules);
  base::require(parsed && parsed->size() == list->digests + list->names, "imported rules are not a deny list");
  return 0;
}
