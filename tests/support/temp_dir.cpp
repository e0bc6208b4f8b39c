#include "tests/support/temp_dir.hpp"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "crypto/base/result.hpp"

namespace tests {

TempDir::TempDir() {
  const char* const parent = std::getenv("TMPDIR");
  std::string pattern = std::string(parent != nullptr ? parent : "/tmp") + "/cs.XXXXXX";
  base::require(mkdtemp(pattern.data()) != nullptr, "no temporary folder");
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

base::Bytes read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  base::require(in.good(), "cannot read " + file.string());
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string read_text(const std::filesystem::path& file) {
  const base::Bytes bytes = read_file(file);
  return std::string(base::as_text(bytes));
}

void write_file(const std::filesystem::path& file, base::ByteView bytes) { write_text(file, base::as_text(bytes)); }

void write_text(const std::filesystem::path& file, std::string_view text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  base::require(out.good(), "cannot write " + file.string());
}

}  // namespace tests
