// A catalog definition file (.cdf), MakeCat's input: which files a catalog lists, and with which attributes. It opens none of
// them. Read as MakeCat reads it: "key=value" under [CatalogHeader] and [CatalogFiles]; lines that start with "#" or ";" are
// comments. Errors: Errc::malformed and Errc::unsupported name the line; Errc::too_large over limits::kInf*, which are those of an INF.
// Source: Microsoft Learn, "MakeCat" (win32/seccrypto); what each flag puts into a catalog was read from a catalog that MakeCat
// made (docs/catalogs.md section 8).
#pragma once

#include <string>
#include <vector>

#include "crypto/base/result.hpp"
#include "crypto/formats/catalog.hpp"

namespace formats {

struct CatalogDefinition {
  // Errc::unsupported for what no catalog has shown: labels without <HASH> (the label would be the member's tag), ALTSIPID,
  // attributes named by an OID, unauthenticated attributes.
  static Result<CatalogDefinition> parse(ByteView bytes);

  struct File {
    std::string path;                    // as written, with '\' as '/'
    std::vector<NameValue> attributes;   // ATTRn, flags as they go into the catalog
    std::uint32_t line = 0;
  };
  std::string name;          // of the catalog, as written
  std::string result_dir;    // '/'-separated; "" when not given
  unsigned version = 1;      // CatalogVersion
  bool page_hashes = false;  // PageHashes: to all PE files
  std::vector<NameValue> attributes;   // CATATTRn
  std::vector<File> files;
};

}  // namespace formats
