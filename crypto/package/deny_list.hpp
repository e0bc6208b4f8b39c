// Files that administrators do not want signed: by digest, or by name and version. A text file, one rule a line:
//
//   # what follows '#' at the start of a line is a comment
//   sha256 <64 hex>                             of the whole file, or the Authenticode digest of an image
//   sha1 <40 hex>                               the Authenticode digest of an image
//   name <lowest version> <highest version> <file name>
//
// A name is held against OriginalFilename of an image's version resource and against the file's own name, without case; the version
// against that resource's file version, both ends included. An image without a version resource has version 0.0.0.0.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"
#include "crypto/formats/pe_details.hpp"
#include "crypto/package/inspection.hpp"

namespace package {

struct DeniedName {
  formats::FileVersion lowest = 0;
  formats::FileVersion highest = 0;
  std::string file;
};

// Digests of one file, found by whoever asks.
struct FileDigests {
  std::string path;
  crypto::Digest flat;                        // SHA-256
  std::optional<crypto::Digest> image_sha1;   // Authenticode
  std::optional<crypto::Digest> image_sha256;
};

class DenyList {
 public:
  DenyList() = default;   // about nothing
  // Errc::malformed, naming the line; Errc::too_large over limits::kDenyListBytes and kDenyListRules.
  static base::Result<DenyList> parse(std::string_view text);

  std::size_t size() const { return digests_.size() + names_.size(); }
  // A finding for each file that a rule is about: deny-list.digest, deny-list.name. Warnings: profiles make them blocking.
  std::vector<Finding> findings(const std::vector<FileDigests>& files, const std::vector<PeFile>& images) const;

 private:
  std::map<std::string, std::size_t, std::less<>> digests_;   // hex, and the line
  std::multimap<std::string, DeniedName, std::less<>> names_;   // lower case
};

// Lines of such a file. A name that could not be read again is left out: "" is returned.
std::string deny_line(const crypto::Digest& digest);
std::string deny_line(const DeniedName& name);

}  // namespace package
