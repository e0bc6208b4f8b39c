// A file on disk as a ByteSource, opened once: what was opened is what is read, whatever happens to the name.
#pragma once

#include <filesystem>

#include "crypto/base/byte_source.hpp"

namespace usb {

class FileSource final : public base::ByteSource {
 public:
  // A regular file, opened without following a symbolic link in the last part of its path. Errc::not_found,
  // Errc::refused (not a regular file), Errc::too_large over limits::kFileBytes.
  static base::Result<FileSource> open(const std::filesystem::path& file);
  // Takes an open descriptor, and closes it when it is not a file that may be read. `shown` is its name in errors.
  static base::Result<FileSource> adopt(int descriptor, const std::string& shown);
  int descriptor() const { return descriptor_; }   // for a child process that is to read it; stays ours
  FileSource(FileSource&& other) noexcept;
  FileSource& operator=(FileSource&& other) noexcept;
  ~FileSource() override;
  std::uint64_t size() const override { return size_; }
  base::Result<void> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override;

 private:
  FileSource(int descriptor, std::uint64_t size) : descriptor_(descriptor), size_(size) {}
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace usb
