#include "usb/files/safe_write.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "usb/files/file_source.hpp"

namespace usb {
namespace {

using base::Bytes;
using base::ByteView;
using base::Errc;
using base::fail;
using base::Result;
namespace fs = std::filesystem;

// Dirty pages are handed to the medium in steps, so that a slow stick shows its errors early and the last fsync is short.
constexpr std::uint64_t kFlushEvery = 64ULL << 20;
constexpr std::size_t kResumePiece = 64U << 10;

std::string shown(const fs::path& path) { return base::printable(path.string()); }

fs::path with_suffix(const fs::path& path, std::string_view suffix) { return fs::path(path.string().append(suffix)); }

tl::unexpected<base::Error> fail_errno(int error, const fs::path& path, std::string_view doing) {
  Errc code = Errc::io;
  if (error == ENOENT || error == ENOTDIR) code = Errc::not_found;
  if (error == ENOSPC || error == EDQUOT) code = Errc::no_space;
  if (error == EFBIG) code = Errc::too_large;
  if (error == EEXIST || error == ENOTEMPTY || error == ELOOP) code = Errc::refused;
  return fail(code, fmt::format("{}: {}: {}", shown(path), doing, std::strerror(error)));
}

tl::unexpected<base::Error> fail_full(const fs::path& file, std::uint64_t needed) {
  struct statvfs status {};
  std::uint64_t free_bytes = 0;
  if (statvfs(file.parent_path().c_str(), &status) == 0) free_bytes = std::uint64_t{status.f_bavail} * status.f_frsize;
  return fail(Errc::no_space, fmt::format("{}: the medium is full: {} more bytes needed for this file, {} free",
                                          shown(file), needed, free_bytes));
}

Result<crypto::Digest> digest_on_medium(int descriptor, std::uint64_t size, const fs::path& file) {
  // A clean page can be dropped; the read below then comes from the device, not from what we meant to write.
  if (const int error = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED); error != 0)
    return fail_errno(error, file, "dropping the cached pages");
  crypto::Hasher hasher(crypto::DigestAlgorithm::sha256);
  Bytes piece(64U << 10);   // the courier does this too, within what one serial link may take
  std::uint64_t offset = 0;
  while (true) {
    const ssize_t count = pread(descriptor, piece.data(), piece.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, file, "reading back");
    if (count == 0) break;
    hasher.update(ByteView(piece).first(static_cast<std::size_t>(count)));
    offset += static_cast<std::uint64_t>(count);
  }
  if (offset != size)
    return fail(Errc::io, fmt::format("{}: {} bytes were written, {} can be read back", shown(file), size, offset));
  return std::move(hasher).finish();
}

}  // namespace

Result<void> expect_file_or_nothing(const fs::path& at) {
  struct stat status {};
  if (::lstat(at.c_str(), &status) != 0) return {};   // what is wrong with the folder is said when the file is made
  if (S_ISREG(status.st_mode)) return {};
  return fail(Errc::refused, fmt::format("{}: there is {} here, which is not replaced; name a file", shown(at),
                                         S_ISDIR(status.st_mode)   ? "a folder"
                                         : S_ISLNK(status.st_mode) ? "a symbolic link"
                                                                   : "a device or the like"));
}

Result<FileWriter> FileWriter::create(const fs::path& file) {
  TRY(expect_file_or_nothing(file));
  FileWriter writer;
  writer.file_ = file;
  writer.part_ = with_suffix(file, ".part");
  if (::unlink(writer.part_.c_str()) != 0 && errno != ENOENT)
    return fail_errno(errno, writer.part_, "removing what an earlier attempt left");
  const int descriptor = ::open(writer.part_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (descriptor < 0) return fail_errno(errno, writer.part_, "creating");
  writer.descriptor_ = descriptor;
  return writer;
}

Result<FileWriter> FileWriter::resume(const fs::path& file, std::uint64_t offset) {
  FileWriter writer;
  writer.file_ = file;
  writer.part_ = with_suffix(file, ".part");
  const int descriptor = ::open(writer.part_.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor < 0) return fail_errno(errno, writer.part_, "opening what came of it");
  struct stat status {};
  const bool has_them = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_size >= 0 &&
                        static_cast<std::uint64_t>(status.st_size) >= offset;
  if (!has_them || ::ftruncate(descriptor, static_cast<off_t>(offset)) != 0) {
    ::close(descriptor);
    return fail(Errc::io, fmt::format("{}: its first {} bytes are not there", shown(writer.part_), offset));
  }
  writer.descriptor_ = descriptor;   // from here on it is removed when something fails
  Bytes piece(kResumePiece);
  while (writer.written_ < offset) {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), offset - writer.written_));
    const ssize_t count = ::read(descriptor, piece.data(), wanted);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail_errno(count < 0 ? errno : EIO, writer.part_, "reading what came of it");
    writer.hasher_.update(ByteView(piece).first(static_cast<std::size_t>(count)));
    writer.written_ += static_cast<std::uint64_t>(count);
  }
  return writer;
}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : file_(std::move(other.file_)),
      part_(std::move(other.part_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      written_(other.written_),
      flushed_(other.flushed_),
      hasher_(std::move(other.hasher_)) {}

FileWriter& FileWriter::operator=(FileWriter&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(part_, other.part_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(written_, other.written_);
  std::swap(flushed_, other.flushed_);
  std::swap(hasher_, other.hasher_);
  return *this;
}

Result<void> FileWriter::sync() {
  if (fdatasync(descriptor_) != 0) {
    if (errno == ENOSPC || errno == EDQUOT) return fail_full(file_, written_ - flushed_);
    return fail_errno(errno, file_, "writing to the medium");
  }
  flushed_ = written_;
  return {};
}

void FileWriter::keep() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

FileWriter::~FileWriter() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(part_.c_str());
}

Result<void> FileWriter::write(ByteView bytes) {
  hasher_.update(bytes);
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == ENOSPC || errno == EDQUOT)) return fail_full(file_, bytes.size());
    if (count < 0) return fail_errno(errno, file_, "writing");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    written_ += static_cast<std::uint64_t>(count);
  }
  if (written_ - flushed_ >= kFlushEvery) {
    if (fdatasync(descriptor_) != 0) return fail_errno(errno, file_, "writing to the medium");
    flushed_ = written_;
  }
  return {};
}

Result<crypto::Digest> FileWriter::commit() {
  if (fsync(descriptor_) != 0) {
    if (errno == ENOSPC || errno == EDQUOT) return fail_full(file_, written_ - flushed_);
    return fail_errno(errno, file_, "writing to the medium");
  }
  const crypto::Digest meant = std::move(hasher_).finish();
  hasher_ = crypto::Hasher(crypto::DigestAlgorithm::sha256);
  const crypto::Digest there = TRY(digest_on_medium(descriptor_, written_, file_));
  if (there != meant)
    return fail(Errc::io, fmt::format("{}: the bytes on the medium are not the {} bytes written to it", shown(file_), written_));
  if (::rename(part_.c_str(), file_.c_str()) != 0) return fail_errno(errno, file_, "renaming");
  ::close(std::exchange(descriptor_, -1));
  TRY(sync_folder(file_.parent_path()));
  return there;
}

Result<crypto::Digest> write_file(const fs::path& file, ByteView bytes) {
  FileWriter writer = TRY(FileWriter::create(file));
  TRY(writer.write(bytes));
  return writer.commit();
}

Result<crypto::Digest> copy_file(const base::ByteSource& from, const fs::path& to) {
  FileWriter writer = TRY(FileWriter::create(to));
  TRY(base::for_each_piece(from, 0, from.size(), [&](ByteView piece) { return writer.write(piece); }));
  return writer.commit();
}

Result<Bytes> read_file(const fs::path& file, std::uint64_t limit) {
  const FileSource source = TRY(FileSource::open(file));
  return base::within(shown(file), base::read_all(source, limit));
}

Result<void> make_folders(const fs::path& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) == 0) {
    if (!S_ISDIR(status.st_mode)) return fail(Errc::refused, fmt::format("{}: a folder is wanted here", shown(folder)));
    return {};
  }
  if (errno != ENOENT) return fail_errno(errno, folder, "looking for the folder");
  const fs::path parent = folder.has_filename() ? folder.parent_path() : folder.parent_path().parent_path();
  if (!parent.empty() && parent != folder) TRY(make_folders(parent));
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, folder, "creating the folder");
  return sync_folder(parent);
}

Result<void> sync_folder(const fs::path& folder) {
  const fs::path opened = folder.empty() ? fs::path(".") : folder;
  const int descriptor = ::open(opened.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return fail_errno(errno, opened, "opening the folder");
  const int failed = fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (failed != 0) return fail_errno(failed, opened, "writing the folder to the medium");
  return {};
}

namespace {

Result<void> rename_new(const fs::path& from, const fs::path& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno != EINVAL && errno != ENOSYS) return fail_errno(errno, to, "renaming");
  struct stat status {};   // a file system without RENAME_NOREPLACE
  if (::lstat(to.c_str(), &status) == 0) return fail_errno(EEXIST, to, "renaming");
  if (::rename(from.c_str(), to.c_str()) != 0) return fail_errno(errno, to, "renaming");
  return {};
}

Result<void> rename_over(const fs::path& from, const fs::path& to) {
  std::error_code left_behind;   // the old one is out of the way under another name: no reason to fail
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
    TRY(sync_folder(to.parent_path()));
    fs::remove_all(from, left_behind);
    return {};
  }
  if (errno == ENOENT) return rename_new(from, to);
  if (errno != EINVAL && errno != ENOSYS) return fail_errno(errno, to, "exchanging the old one for the new one");
  const fs::path old = with_suffix(to, ".old");
  fs::remove_all(old, left_behind);
  TRY(rename_new(to, old));
  if (Result<void> renamed = rename_new(from, to); !renamed) {
    (void)::rename(old.c_str(), to.c_str());
    return renamed;
  }
  TRY(sync_folder(to.parent_path()));
  fs::remove_all(old, left_behind);
  return {};
}

}  // namespace

Result<void> rename_durably(const fs::path& from, const fs::path& to, IfThere if_there) {
  if (if_there == IfThere::replace) {
    TRY(rename_over(from, to));
  } else {
    TRY(rename_new(from, to));
  }
  TRY(sync_folder(to.parent_path()));
  if (from.parent_path() != to.parent_path()) TRY(sync_folder(from.parent_path()));
  return {};
}

Result<void> remove_folder(const fs::path& folder) {
  const fs::path gone = with_suffix(folder, kGoneSuffix);
  std::error_code error;
  fs::remove_all(gone, error);   // what an earlier attempt left, or the rename below would be refused
  if (error) return fail_errno(error.value(), gone, "removing");
  struct stat status {};
  if (::lstat(folder.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(errno, folder, "removing");
  }
  TRY(rename_durably(folder, gone));
  fs::remove_all(gone, error);
  if (error) return fail_errno(error.value(), gone, "removing");
  return {};
}

}  // namespace usb
