#include "crypto/package/signature_attributes.hpp"

#include <algorithm>

#include "crypto/base/text.hpp"

namespace package {

using base::Result;

Result<std::vector<SignatureAttribute>> signature_attributes(const formats::InfFile& inf) {
  std::vector<SignatureAttribute> all;
  const formats::InfSection* files = inf.section("SignatureAttributes");
  if (files == nullptr) return all;
  for (const formats::InfLine& line : files->lines) {
    if (!line.key) continue;
    SignatureAttribute attribute;
    const std::string file = TRY(inf.expand(*line.key));
    attribute.file = base::lower_ascii(file.substr(std::min(file.find_last_of("/\\") + 1, file.size())));
    attribute.line = line.number;
    const std::string name = TRY(inf.expand(line.field(0)));
    const formats::InfSection* section = inf.section(name);
    if (section == nullptr) continue;
    for (const formats::InfLine& value : section->lines) {
      if (!value.key) continue;
      const std::string text = TRY(inf.expand(value.field(0)));
      if (base::equal_ignoring_case(*value.key, "DRMLevel"))
        attribute.drm_level = text;
      else if (base::equal_ignoring_case(*value.key, "PETrust"))
        attribute.is_pe_trusted = base::equal_ignoring_case(text, "true");
      else if (!base::equal_ignoring_case(*value.key, "HalExt"))
        attribute.others.push_back(*value.key);
    }
    all.push_back(std::move(attribute));
  }
  return all;
}

}  // namespace package
