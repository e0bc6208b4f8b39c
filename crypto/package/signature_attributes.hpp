// [SignatureAttributes] of an INF: what a file's catalog member says beside its digest. Source: Microsoft Learn,
// "INF SignatureAttributes Section"; what Inf2Cat writes for it was read from catalogs (docs/catalogs.md section 7).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crypto/base/result.hpp"
#include "crypto/formats/inf_file.hpp"

namespace package {

struct SignatureAttribute {
  std::string file;        // lower-case base name, as it is copied
  std::string drm_level;   // "1300", "" for none
  bool is_pe_trusted = false;
  std::vector<std::string> others;   // names of attributes that no known catalog shows; HalExt, which leaves no trace, is not among them
  std::uint32_t line = 0;
};

// file = section, and [section] name = value. Errc::too_large when an expansion is over its limit.
base::Result<std::vector<SignatureAttribute>> signature_attributes(const formats::InfFile& inf);

}  // namespace package
