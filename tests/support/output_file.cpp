#include "tests/support/output_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace tests {
namespace {

tl::unexpected<base::Error> io_error(const std::filesystem::path& file) {
  return base::fail(errno == ENOSPC ? base::Errc::no_space : base::Errc::io,
                    fmt::format("{}: {}", file.string(), std::strerror(errno)));
}

}  // namespace

base::Result<OutputFile> OutputFile::create(const std::filesystem::path& file) {
  std::string part = file.string() + ".XXXXXX";
  const int descriptor = mkostemp(part.data(), O_CLOEXEC);
  if (descriptor < 0) return io_error(file);
  const mode_t mask = umask(0);  // mkostemp makes a private file; the output is an ordinary one
  umask(mask);
  OutputFile opened(file, part, descriptor);
  if (fchmod(descriptor, 0666 & ~mask) != 0) return io_error(file);
  return opened;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : file_(std::move(other.file_)),
      part_(std::exchange(other.part_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!part_.empty()) ::unlink(part_.c_str());
}

base::Result<void> OutputFile::write(base::ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return io_error(file_);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

base::Result<void> OutputFile::overwrite(std::uint64_t offset, base::ByteView bytes) {
  const ssize_t count = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  if (count < 0 || static_cast<std::size_t>(count) != bytes.size()) return io_error(file_);
  return {};
}

base::Result<void> OutputFile::commit() {
  if (::close(std::exchange(descriptor_, -1)) != 0) return io_error(file_);
  if (::rename(part_.c_str(), file_.c_str()) != 0) return io_error(file_);
  part_.clear();
  return {};
}

}  // namespace tests
