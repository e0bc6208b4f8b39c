// From what an inspection plans to what a catalog holds. Whoever signs gives the digests, found from the files themselves;
// of the plan only bounded strings go in, each held against what the request asks for.
//
//   const CatalogContent content = TRY(catalog_content(planned, targets, digests_of));
//   content.list_identifier = ...; content.this_update = ...;
#pragma once

#include <functional>
#include <span>
#include <string>

#include "crypto/base/result.hpp"
#include "crypto/formats/catalog.hpp"
#include "crypto/package/inspection.hpp"
#include "crypto/package/os_targets.hpp"

namespace package {

using DigestsOf = std::function<base::Result<formats::MemberDigests>(const std::string& path, formats::MemberPageHashes wanted)>;

// All but list identifier and time. Errc::refused when the plan names an OS or a version that was not asked for, a File that is
// no lower-case base name, or no members; errors of digests_of with the member's name.
base::Result<formats::CatalogContent> catalog_content(const PlannedCatalog& planned, std::span<const OsTarget* const> asked_for,
                                                      const DigestsOf& digests_of);

}  // namespace package
