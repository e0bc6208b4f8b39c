// Any bytes as a catalog definition file. What is read can be put into a catalog, or says why not.
#include <cstdint>

#include "crypto/formats/catalog_definition.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto cdf = formats::CatalogDefinition::parse(base::ByteView(data, size));
  if (!cdf) return 0;
  base::require(!cdf->files.empty() && !cdf->name.empty(), "a definition names a catalog and files");
  formats::CatalogContent content;
  content.attributes = cdf->attributes;
  for (const formats::CatalogDefinition::File& file : cdf->files)
    content.members.push_back({"", "", {formats::MemberKind::flat, crypto::digest_of(crypto::DigestAlgorithm::sha1, base::ByteView()), crypto::sha256({}), {}}, file.attributes});
  const auto ctl = formats::encode_ctl(content);
  if (ctl) base::require(formats::Catalog::parse_ctl(*ctl).has_value(), "what is written is read again");
  return 0;
}
