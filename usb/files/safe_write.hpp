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
  // Goes on with the first `offset` bytes of a ".part" that keep() or a crash left, which must have them; they are read
  // again. What lies behind them is cut off.
  static base::Result<FileWriter> resume(const std::filesystem::path& file, std::uint64_t offset);
  FileWriter(FileWriter&&) noexcept;
  FileWriter& operator=(FileWriter&&) noexcept;
  ~FileWriter() override;
  base::Result<void> write(base::ByteView bytes) override;
  // fsync, re-read from the medium (page cache dropped) and compare with what was written, rename to the final
  // name, fsync the folder. Returns the SHA-256 of the file.
  base::Result<crypto::Digest> commit();
  base::Result<void> sync();   // what was written so far survives a power cut, under the name with ".part"
  void keep();                 // ends, and leaves the ".part" for resume()
  std::uint64_t written() const { return written_; }

 private:
  FileWriter() = default;
  std::filesystem::path file_;
  std::filesystem::path part_;
  int descriptor_ = -1;
  std::uint64_t written_ = 0;
  std::uint64_t flushed_ = 0;   // of written_, already on its way to the medium
  crypto::Hasher hasher_{crypto::DigestAlgorithm::sha256};
};

// Errc::refused when there is something else than a regular file: a folder, a device, a symbolic link would be gone.
base::Result<void> expect_file_or_nothing(const std::filesystem::path& at);

base::Result<crypto::Digest> write_file(const std::filesystem::path& file, base::ByteView bytes);
// Copies a source; the result's digest is that of the bytes now on the medium.
base::Result<crypto::Digest> copy_file(const base::ByteSource& from, const std::filesystem::path& to);
base::Result<base::Bytes> read_file(const std::filesystem::path& file, std::uint64_t limit);

base::Result<void> make_folders(const std::filesystem::path& folder);   // mkdir -p, 0700
base::Result<void> sync_folder(const std::filesystem::path& folder);
enum class IfThere : std::uint8_t { refuse, replace };
// rename(2) and fsync of the parent folder; both names are in the same file system. What is already at `to` is Errc::refused
// or, a folder with all in it too, exchanged for the new one and removed (where the file system cannot exchange, it lies as
// <to>.old for a moment).
base::Result<void> rename_durably(const std::filesystem::path& from, const std::filesystem::path& to,
                                  IfThere if_there = IfThere::refuse);
inline constexpr std::string_view kGoneSuffix = ".gone";
// Removes a folder with all in it, so that its name never shows a part of it: it is <folder>.gone, durably, before the first
// file goes. Nothing to do when there is none. After an error either all of it is there, or none of it under its name.
base::Result<void> remove_folder(const std::filesystem::path& folder);

}  // namespace usb
