// A folder of its own for one test, removed afterwards, and whole files in and out of it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "crypto/base/bytes.hpp"

namespace tests {

class TempDir {
 public:
  TempDir();   // below TMPDIR or /tmp; a short path, so that a unix socket fits in it
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// These stop the test program when the file cannot be read or written.
base::Bytes read_file(const std::filesystem::path& file);
std::string read_text(const std::filesystem::path& file);
void write_file(const std::filesystem::path& file, base::ByteView bytes);   // makes the folders above it
void write_text(const std::filesystem::path& file, std::string_view text);

}  // namespace tests
