// Any bytes as a catalog file and as a bare list. A list that is read can be wrapped and read again; one that would be signed as
// delivered is what its parts give.
#include <cstdint>

#include "crypto/formats/catalog.hpp"
#include "crypto/package/delivered_catalog.hpp"

namespace {

// Files that fit the catalog's digests, so that more than the first check is reached.
std::map<std::string, formats::MemberDigests> files_for(const formats::Catalog& catalog) {
  std::map<std::string, formats::MemberDigests> files;
  for (std::size_t i = 0; i < catalog.entries().size() && i < 64; ++i) {
    const formats::CatalogEntry& entry = catalog.entries()[i];
    if (!entry.digest) continue;
    const bool is_sha1 = entry.digest->algorithm() == crypto::DigestAlgorithm::sha1;
    if (!is_sha1 && entry.digest->algorithm() != crypto::DigestAlgorithm::sha256) continue;
    formats::MemberDigests digests{entry.kind.value_or(formats::MemberKind::flat), crypto::digest_of(crypto::DigestAlgorithm::sha1, base::ByteView()), crypto::sha256({}),
                                   crypto::sha256({})};
    (is_sha1 ? digests.sha1 : digests.sha256) = *entry.digest;
    for (const formats::CatalogEntry& twin : catalog.entries())
      if (const auto tag = crypto::Digest::from_bytes(crypto::DigestAlgorithm::sha1, twin.tag); !is_sha1 && !twin.digest && tag) digests.sha1 = *tag;
    files.emplace("f" + std::to_string(i), digests);
  }
  return files;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView bytes(data, size);
  (void)formats::Catalog::parse(bytes);
  const auto catalog = formats::Catalog::parse_ctl(bytes);
  if (!catalog) return 0;
  (void)catalog->hardware_ids();
  const base::Bytes file = formats::unsigned_catalog(bytes);
  const auto again = formats::Catalog::parse(file);
  base::require(again.has_value() && again->ctl() == catalog->ctl(), "a list survives being wrapped");
  std::vector<const package::OsTarget*> targets;
  for (const package::OsTarget& target : package::known_os_targets()) targets.push_back(&target);
  const auto files = files_for(*catalog);
  const auto delivered = package::delivered_catalog(file, files, targets, [&](const std::string& path, formats::MemberPageHashes) {
    return base::Result<formats::MemberDigests>(files.at(path));
  });
  base::require(!delivered || (delivered->ctl == catalog->ctl() && delivered->paths.size() == delivered->content.members.size()), "what is signed is what was read");
  return 0;
}
