// Any bytes as a deny list, held against a file and an image.
#include <cstdint>

#include "crypto/package/deny_list.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto list = package::DenyList::parse(base::as_text({data, size}));
  if (!list) return 0;
  const crypto::Digest digest = crypto::sha256(base::ByteView(data, size));
  const auto findings = list->findings({{"a.sys", digest, {}, digest}}, {{"a.sys", "x64", false, {}, {}, "b.sys", 1}});
  base::require(findings.size() <= 2, "more findings than a file can have");
  return 0;
}
