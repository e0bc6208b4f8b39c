// A catalog that came with a package and is to be signed as it is. Whoever signs it vouches for everything in it, so it is read
// strictly: every member must be a file of the request, of that kind and with these page hashes, every system one that was asked for,
// and the list must be byte for byte what its parts give, so that nothing hides in what a reader steps over.
// Takes what Inf2Cat and MakeCat write today. Signatures are not looked at: a signed catalog is refused here.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "crypto/formats/catalog.hpp"
#include "crypto/package/catalog_content.hpp"
#include "crypto/package/os_targets.hpp"

namespace package {

struct DeliveredCatalog {
  base::Bytes ctl;                   // the list's bytes, unchanged: the content to be signed
  formats::CatalogContent content;   // the same in its parts; os and hardware ids are among its attributes
  std::vector<std::string> paths;    // of each of content.members: the file it is
};

// files: digests of every file that may be a member, by path; digests_of gives page hashes where the catalog has them.
// Errc::refused for what must not be signed, errors of Catalog::parse for what cannot be read; each names the member.
base::Result<DeliveredCatalog> delivered_catalog(base::ByteView file, const std::map<std::string, formats::MemberDigests>& files,
                                                 std::span<const OsTarget* const> asked_for, const DigestsOf& digests_of);

}  // namespace package
