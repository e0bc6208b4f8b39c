#include "usb/files/file_source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace usb {

using base::Errc;
using base::fail;
using base::Result;

Result<FileSource> FileSource::open(const std::filesystem::path& file) {
  const std::string name = base::printable(file.string());
  // O_NONBLOCK: a named pipe must be refused below, not waited for.
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return fail(Errc::not_found, fmt::format("{}: no such file", name));
    if (errno == ELOOP) return fail(Errc::refused, fmt::format("{}: is a symbolic link, a regular file is wanted", name));
    return fail(Errc::io, fmt::format("{}: {}", name, std::strerror(errno)));
  }
  return adopt(descriptor, name);
}

Result<FileSource> FileSource::adopt(int descriptor, const std::string& name) {
  FileSource opened(descriptor, 0);
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return fail(Errc::io, fmt::format("{}: {}", name, std::strerror(errno)));
  if (!S_ISREG(status.st_mode)) return fail(Errc::refused, fmt::format("{}: not a regular file", name));
  opened.size_ = static_cast<std::uint64_t>(status.st_size);
  if (opened.size_ > base::limits::kFileBytes)
    return fail(Errc::too_large, fmt::format("{}: {} bytes, at most {}", name, opened.size_, base::limits::kFileBytes));
  return opened;
}

FileSource::FileSource(FileSource&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), size_(std::exchange(other.size_, 0)) {}

FileSource& FileSource::operator=(FileSource&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

FileSource::~FileSource() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> FileSource::read_at(std::uint64_t offset, std::span<std::uint8_t> out) const {
  TRY(base::expect_region(size_, offset, out.size()));
  while (!out.empty()) {
    const ssize_t count = pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(Errc::io, fmt::format("reading at {}: {}", offset, std::strerror(errno)));
    if (count == 0) return fail(Errc::io, fmt::format("the file has shrunk: nothing left at {}", offset));
    out = out.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

}  // namespace usb
