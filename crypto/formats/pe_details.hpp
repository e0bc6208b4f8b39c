// What people and rules want to know of an image beyond its signature: whose code may be written to and executed, which mitigations it
// was linked for, which DLLs it imports from, and its version resource. Nothing of this is signed or decides a digest, so a file whose
// details cannot be read can still be signed. Reads headers, the import directory and one resource, under limits, through a ByteSource.
// Sources: Microsoft "PE Format" (optional header, section table, .idata, .rsrc); "VS_VERSIONINFO structure" and "VS_FIXEDFILEINFO".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "crypto/base/byte_source.hpp"
#include "crypto/base/result.hpp"
#include "crypto/formats/pe_image.hpp"

namespace formats {

// Four numbers of 16 bits, as Windows compares them: "10.0.22621.1" is 10 in the highest 16 bits.
using FileVersion = std::uint64_t;
std::string version_text(FileVersion version);
// "1.2.3.4", each at most 65535; fewer numbers stand for the highest ones. Errc::malformed.
base::Result<FileVersion> version_from_text(std::string_view text);

struct VersionResource {
  FileVersion file_version = 0;
  bool is_debug = false;           // VS_FF_DEBUG
  std::string original_name;       // OriginalFilename of the first string table that has one; may be empty
  std::string product_name;
};
// The content of an RT_VERSION resource. Errc::malformed, Errc::too_large.
base::Result<VersionResource> parse_version_resource(ByteView bytes);

struct PeDetails {
  // Of the same file that `image` was parsed from. Errc::malformed for a section table that the file does not hold; what is wrong with
  // imports or the version resource is said in their own results.
  static Result<PeDetails> read(const base::ByteSource& file, const PeImage& image);

  bool has_nx = false;                       // IMAGE_DLLCHARACTERISTICS_NX_COMPAT
  bool has_cfg = false;                      // IMAGE_DLLCHARACTERISTICS_GUARD_CF
  std::vector<std::string> writable_code;    // names of sections that may be written and executed
  Result<std::vector<std::string>> imports = std::vector<std::string>();   // names of DLLs, as they stand there
  Result<std::optional<VersionResource>> version = std::optional<VersionResource>();   // none: the image has no such resource
};

}  // namespace formats
