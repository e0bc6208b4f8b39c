// The optional corpus of genuine packages and catalogs (environment COLDSEAL_CORPUS), and package folders as inspect() takes them.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/base/byte_source.hpp"
#include "crypto/base/bytes.hpp"
#include "crypto/package/inspection.hpp"

namespace tests {

// The corpus' folder; none when COLDSEAL_CORPUS is not set. Stops the test program when it names no folder.
std::optional<std::filesystem::path> corpus();
inline constexpr const char* kNoCorpus = "COLDSEAL_CORPUS is not set: genuine catalogs are not compared";

class Package {  // files in memory, kept for as long as it lives
 public:
  Package() = default;
  // Every file below the folder but SOURCE.txt, which the corpus adds.
  static Package load(const std::filesystem::path& folder);
  void add(const std::string& path, base::Bytes bytes);
  void add(const std::string& path, std::string_view text) { add(path, base::to_bytes(base::as_bytes(text))); }
  const std::vector<package::PackageFile>& files() const { return files_; }
  const base::ByteSource& source(const std::string& path) const;   // stops the test program when there is none

 private:
  std::vector<std::unique_ptr<base::Bytes>> bytes_;
  std::vector<std::unique_ptr<base::MemorySource>> sources_;
  std::vector<package::PackageFile> files_;
};

}  // namespace tests
