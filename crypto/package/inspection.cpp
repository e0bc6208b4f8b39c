#include "crypto/package/inspection.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/formats/catalog.hpp"
#include "crypto/formats/pe_image.hpp"
#include "crypto/package/driver_package.hpp"
#include "crypto/package/image_details.hpp"
#include "crypto/package/inspection_builder.hpp"
#include "crypto/package/os_targets.hpp"

namespace package {

using base::Result;

namespace {

std::string machine_name(std::uint16_t machine) {
  switch (machine) {   // IMAGE_FILE_MACHINE_* of "PE Format"
    case 0x014C:
      return "x86";
    case 0x8664:
      return "x64";
    case 0xAA64:
      return "arm64";
    case 0x01C4:
      return "arm";
    default:
      return fmt::format("{:#06x}", machine);
  }
}

void inspect_image(const PackageFile& file, Today today, InspectionBuilder& out) {
  const Result<bool> is_pe = formats::looks_like_pe(*file.bytes);
  if (!is_pe) return out.finding("file.not-readable", Severity::error, file.path, 0, is_pe.error().text(), "copy the package again");
  if (!*is_pe) return;
  const Result<formats::PeImage> image = formats::PeImage::parse(*file.bytes);
  if (!image) {
    const bool ambiguous = image.error().text().starts_with("pe.ambiguous-layout");
    out.finding(ambiguous ? "pe.ambiguous-layout" : "pe.not-readable", Severity::error, file.path, 0, image.error().text(),
                ambiguous ? "link the file again without gaps or overlaps between its sections: Windows and firmware may read it differently"
                          : "build the file again: it begins like a PE image and is none");
    return;
  }
  PeFile found{file.path, machine_name(image->machine()), image->is_signed()};
  inspect_details(file, *image, today.date, found, out);
  out.pe_files().push_back(std::move(found));
  if (image->is_signed())
    out.finding("pe.already-signed", Severity::note, file.path, 0, "the file has a signature already",
                "none needed: it stays as it is, and the catalog covers it whether signed or not");
}

// A catalog that comes with the package and is not made anew.
void inspect_catalog(const PackageFile& file, InspectionBuilder& out) {
  if (!base::lower_ascii(file.path).ends_with(".cat")) return;
  for (const PlannedCatalog& planned : out.catalogs())
    if (base::equal_ignoring_case(planned.path, file.path)) return;   // said where it was planned
  const Result<base::Bytes> bytes = base::read_all(*file.bytes, base::limits::kCatalogBytes);
  const Result<formats::Catalog> catalog = bytes ? formats::Catalog::parse(*bytes) : Result<formats::Catalog>(tl::unexpected<base::Error>(bytes.error()));
  if (!catalog)
    out.finding("catalog.not-readable", Severity::warning, file.path, 0, catalog.error().text(), "make it anew, or leave it out");
  else
    out.finding("catalog.delivered", Severity::note, file.path, 0,
                fmt::format("a catalog of version {} with {} members that is {} and that no INF here asks for", catalog->version(), catalog->entries().size(),
                            catalog->is_signed() ? "signed already" : "not signed"),
                catalog->is_signed() ? "none needed: it stays as it is" : "ask for the operation sign-catalog to have it signed as it is");
}

}  // namespace

bool Inspection::has_errors() const {
  return std::any_of(findings.begin(), findings.end(), [](const Finding& finding) { return finding.severity == Severity::error; });
}

Inspection inspect(const std::vector<PackageFile>& files, const std::vector<std::string>& os_targets, Today today) {
  InspectionBuilder out;
  const Result<std::vector<const OsTarget*>> targets = os_targets_from_names(os_targets);
  if (!targets) out.finding("os.unknown", Severity::error, "", 0, targets.error().text(), "see docs/catalogs.md for the names");
  const std::vector<const OsTarget*> wanted = targets.value_or(std::vector<const OsTarget*>());

  DriverPackage package = DriverPackage::read(files, out);
  package.describe(wanted, today, out);
  package.plan_catalogs(wanted, out);
  for (const PackageFile& file : files) inspect_image(file, today, out);
  package.find_obstacles(wanted, out);
  for (const PackageFile& file : files) inspect_catalog(file, out);
  package.note_files_not_copied(out);
  return std::move(out).finish();
}

}  // namespace package
