#include "usb/files/shared_folder.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "crypto/base/text.hpp"

namespace usb {

namespace fs = std::filesystem;
using base::Errc;
using base::fail;
using base::Result;

namespace {

Result<void> change_mode(const fs::path& path, mode_t mode) {
  if (::chmod(path.c_str(), mode) == 0) return {};
  return fail(Errc::io, fmt::format("{}: letting the group read it: {}", base::printable(path.string()), std::strerror(errno)));
}

}  // namespace

Result<void> give_rights_of_shared_folder(const fs::path& shared, const fs::path& tree) {
  struct stat about {};
  if (::stat(shared.c_str(), &about) != 0) return fail(Errc::io, fmt::format("{}: {}", base::printable(shared.string()), std::strerror(errno)));
  if ((about.st_mode & S_ISGID) == 0) return {};
  // Without set-group-ID: nothing more is made below, and the services' sandbox lets nobody set that bit.
  const mode_t folders = S_IRWXU | (about.st_mode & S_IRWXG);
  const mode_t files = S_IRUSR | S_IWUSR | (about.st_mode & (S_IRGRP | S_IWGRP));
  std::error_code error;
  const fs::file_status top = fs::symlink_status(tree, error);
  if (!fs::is_directory(top)) return fs::is_regular_file(top) ? change_mode(tree, files) : Result<void>();
  TRY(change_mode(tree, folders));
  for (fs::recursive_directory_iterator at(tree, error), end; !error && at != end; at.increment(error)) {
    const fs::file_status status = at->symlink_status(error);
    if (fs::is_directory(status)) TRY(change_mode(at->path(), folders));
    if (fs::is_regular_file(status)) TRY(change_mode(at->path(), files));
  }
  if (error) return fail(Errc::io, fmt::format("{}: {}", base::printable(tree.string()), error.message()));
  return {};
}

}  // namespace usb
