// What an inspection says of one image beyond its form: who signed it, how it was built, what its version resource names it.
#pragma once

#include "crypto/formats/pe_image.hpp"
#include "crypto/package/inspection.hpp"
#include "crypto/package/inspection_builder.hpp"

namespace package {

// Fills the rest of `found` and adds findings: pe.debug-build, pe.writable-code, pe.no-nx, pe.no-cfg, pe.details-not-readable.
void inspect_details(const PackageFile& file, const formats::PeImage& image, base::Time today, PeFile& found, InspectionBuilder& out);

// Whether a DLL's name is that of one of Microsoft's debug runtimes, which may not be redistributed and are on no customer's machine.
bool is_debug_runtime(std::string_view dll);

}  // namespace package
