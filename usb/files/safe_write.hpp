// Files that are either wholly there or not there: written beside, fsynced, read back, renamed. umount and sync
// succeed even after a stick was pulled; only fsync and reading back prove anything.
#pragma once

#include <filesystem>
#include <functional>

#include "crypto/base/byte_sink.hpp"
#include "crypto/base/byte_source.hpp"
#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"

namespace usb {

class FileWriter final : public base::ByteSink {  // one file being written; removed again unless commit() succeeded
 public:
  // Creates `file` + ".part" (O_EXCL after removing a left-over one). The folder must exist.
  static base::Result<FileWriter> create(const std::filesystem::path& file);
  FileWriter(FileWriter&&) noexcept;
  FileWriter& operator=(FileWriter&&) noexcept;
  ~FileWriter() override;
  base::Result<void> write(base::ByteView bytes) override;
  // fsync, re-read from the medium (page cache dropped) and compare with what was written, rename to the final
  // name, fsync the folder. Returns the SHA-256 of the file.
  base::Result<crypto::Digest> commit();

 private:
  FileWriter() = default;
  std::filesystem::path file_;
  std::filesystem::path part_;
  int descriptor_ = -1;
};

base::Result<crypto::Digest> write_file(const std::filesystem::path& file, base::ByteView bytes);
// Copies a source; the result's digest is that of the bytes now on the medium.
base::Result<crypto::Digest> copy_file(const base::ByteSource& from, const std::filesystem::path& to);
base::Result<base::Bytes> read_file(const std::filesystem::path& file, std::uint64_t limit);

base::Result<void> make_folders(const std::filesystem::path& folder);   // mkdir -p, 0700
base::Result<void> sync_folder(const std::filesystem::path& folder);
// rename(2) and fsync of the parent folder. The target must not exist unless replace.
base::Result<void> rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace usb
