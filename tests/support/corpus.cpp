#include "tests/support/corpus.hpp"

#include <algorithm>
#include <cstdlib>

#include "tests/support/temp_dir.hpp"

namespace tests {

namespace fs = std::filesystem;

std::optional<fs::path> corpus() {
  const char* folder = std::getenv("COLDSEAL_CORPUS");
  if (folder == nullptr || *folder == '\0') return std::nullopt;
  base::require(fs::is_directory(folder), "COLDSEAL_CORPUS names a folder");
  return fs::path(folder);
}

Package Package::load(const fs::path& folder) {
  Package package;
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().filename() != "SOURCE.txt") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) package.add(fs::relative(file, folder).generic_string(), read_file(file));
  return package;
}

void Package::add(const std::string& path, base::Bytes bytes) {
  bytes_.push_back(std::make_unique<base::Bytes>(std::move(bytes)));
  sources_.push_back(std::make_unique<base::MemorySource>(*bytes_.back()));
  files_.push_back({path, sources_.back().get()});
}

const base::ByteSource& Package::source(const std::string& path) const {
  const auto found = std::find_if(files_.begin(), files_.end(), [&](const package::PackageFile& file) { return file.path == path; });
  base::require(found != files_.end(), "the package has that file");
  return *found->bytes;
}

}  // namespace tests
