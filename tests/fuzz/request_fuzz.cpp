// Manifests: what is read is written again byte for byte.
#include <cstdint>

#include "usb/wire/request.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view json = base::as_text({data, size});
  const base::Result<wire::Request> request = wire::Request::from_json(json);
  if (request) base::require(request->to_json() == json, "a manifest is not written as it was read");
  return 0;
}
