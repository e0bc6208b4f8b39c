// An open folder: what was opened is what is read, whatever happens to its name meanwhile. Everything below it is
// reached name by name, without following a symbolic link anywhere on the way, and without leaving it. Not by openat2(2): systemd's
// RestrictSUIDSGID= and other sandboxes answer that with ENOSYS.
// Does not write. Errors: Errc::not_found; Errc::refused (a symbolic link, device, socket or pipe on the way or at the
// end); Errc::too_large (a limit, checked while walking); Errc::io.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "crypto/base/result.hpp"
#include "usb/files/file_source.hpp"
#include "usb/files/tree_walk.hpp"

namespace usb {

class Folder {
 public:
  // The path is trusted up to its last part, which must not be a symbolic link.
  static base::Result<Folder> open(const std::filesystem::path& path);
  // Errors name it as `shown`, and what lies in it by its path below that; "" for paths within this folder alone.
  static base::Result<Folder> open(const std::filesystem::path& path, std::string shown);
  // A folder below this one; `relative` is '/'-separated.
  base::Result<Folder> folder(std::string_view relative) const;
  base::Result<FileSource> file(std::string_view relative) const;
  base::Result<base::Bytes> read(std::string_view relative, std::uint64_t limit) const;
  // Size and time of last change of a regular file, without opening it.
  base::Result<FoundFile> stat(std::string_view relative) const;
  // Names directly in this folder, sorted. At most `limit` of those that `wanted` accepts are kept: the rest of a
  // longer folder is left out, so that junk on a stick cannot hide or block what is wanted.
  base::Result<std::vector<std::string>> names(std::size_t limit, const std::function<bool(std::string_view)>& wanted) const;
  // Every file below, as files_below() in tree_walk.hpp.
  base::Result<std::vector<FoundFile>> files(std::size_t file_limit, std::uint64_t byte_limit) const;

  Folder(Folder&& other) noexcept;
  Folder& operator=(Folder&& other) noexcept;
  ~Folder();

 private:
  Folder(int descriptor, std::string shown) : descriptor_(descriptor), shown_(std::move(shown)) {}
  base::Result<int> open_below(std::string_view relative, int flags) const;
  int descriptor_ = -1;
  std::string shown_;   // the path as errors show it
};

}  // namespace usb
