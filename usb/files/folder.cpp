#include "usb/files/folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace usb {
namespace {

using base::Errc;
using base::fail;
using base::Result;
namespace limits = base::limits;

struct CloseFolder {
  void operator()(DIR* opened) const { ::closedir(opened); }
};
using OpenFolder = std::unique_ptr<DIR, CloseFolder>;

tl::unexpected<base::Error> fail_errno(int error, const std::string& where) {
  if (error == ENOENT || error == ENOTDIR) return fail(Errc::not_found, fmt::format("{}: no such file or folder", where));
  if (error == ELOOP) return fail(Errc::refused, fmt::format("{}: a symbolic link, which is never followed", where));
  if (error == EXDEV) return fail(Errc::refused, fmt::format("{}: leads out of its folder", where));
  return fail(Errc::io, fmt::format("{}: {}", where, std::strerror(error)));
}

std::int64_t nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

std::string path_shown(const std::string& folder, std::string_view name) {
  return folder.empty() ? base::printable(name) : folder + "/" + base::printable(name);
}

// The names in an open folder, for the caller of readdir(3). Takes the descriptor.
Result<OpenFolder> listing(int descriptor, const std::string& shown) {
  DIR* opened = ::fdopendir(descriptor);
  if (opened == nullptr) {
    const int error = errno;
    ::close(descriptor);
    return fail_errno(error, shown);
  }
  return OpenFolder(opened);
}

// The next name other than "." and ".."; null at the end.
Result<const char*> next_name(const OpenFolder& folder, const std::string& shown) {
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(folder.get());
    if (entry == nullptr && errno != 0) return fail_errno(errno, shown);
    if (entry == nullptr) return nullptr;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return entry->d_name;
  }
}

class Descriptor {   // closed when it goes, or when another takes its place
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

class Walk {
 public:
  Walk(std::size_t file_limit, std::uint64_t byte_limit) : file_limit_(file_limit), byte_limit_(byte_limit) {}

  // depth: folders above, within the walk. It is bounded by kPathDepth, and so is the recursion.
  Result<void> enter(int descriptor, const std::string& prefix, const std::string& shown, std::size_t depth) {
    const OpenFolder folder = TRY(listing(descriptor, shown));
    while (true) {
      const char* name = TRY(next_name(folder, shown));
      if (name == nullptr) return {};
      const std::string path = prefix.empty() ? std::string(name) : prefix + "/" + name;
      const std::string shown_path = path_shown(shown, name);
      struct stat status {};
      if (fstatat(dirfd(folder.get()), name, &status, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, shown_path);
      if (S_ISREG(status.st_mode)) {
        TRY(add(path, status, shown_path));
      } else if (S_ISDIR(status.st_mode)) {
        if (depth >= limits::kPathDepth)
          return fail(Errc::too_large, fmt::format("{}: more than {} folders deep", shown_path, limits::kPathDepth));
        if (++folders_ > file_limit_)
          return fail(Errc::too_large, fmt::format("{}: more than {} folders", shown_path, file_limit_));
        const int below = openat(dirfd(folder.get()), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below < 0) return fail_errno(errno, shown_path);
        TRY(enter(below, path, shown_path, depth + 1));
      } else {
        const char* what = S_ISLNK(status.st_mode) ? "a symbolic link" : "a device, socket or pipe";
        return fail(Errc::refused, fmt::format("{}: {}, only regular files and folders are taken", shown_path, what));
      }
    }
  }

  std::vector<FoundFile> found() && {
    std::sort(found_.begin(), found_.end(), [](const FoundFile& a, const FoundFile& b) { return a.path < b.path; });
    return std::move(found_);
  }

 private:
  Result<void> add(const std::string& path, const struct stat& status, const std::string& shown) {
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (found_.size() >= file_limit_)
      return fail(Errc::too_large, fmt::format("{}: more than {} files", shown, file_limit_));
    if (size > limits::kFileBytes)
      return fail(Errc::too_large, fmt::format("{}: {} bytes, at most {}", shown, size, limits::kFileBytes));
    if (size > byte_limit_ - bytes_)
      return fail(Errc::too_large, fmt::format("{}: all files together have more than {} bytes", shown, byte_limit_));
    bytes_ += size;
    found_.push_back({path, size, nanoseconds(status.st_mtim)});
    return {};
  }

  std::size_t file_limit_;
  std::uint64_t byte_limit_;
  std::uint64_t bytes_ = 0;
  std::size_t folders_ = 0;
  std::vector<FoundFile> found_;
};

}  // namespace

Result<Folder> Folder::open(const std::filesystem::path& path) { return open(path, base::printable(path.string())); }

Result<Folder> Folder::open(const std::filesystem::path& path, std::string shown) {
  const std::string named = shown.empty() ? base::printable(path.filename().string()) : shown;
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor < 0) {
    const int error = errno;
    struct stat status {};
    if (error == ENOTDIR && ::lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode)) return fail_errno(ELOOP, named);
    return fail_errno(error, named);
  }
  return Folder(descriptor, std::move(shown));
}

Result<int> Folder::open_below(std::string_view relative, int flags) const {
  const std::string shown = path_shown(shown_, relative);
  if (relative.empty()) return fail_errno(ENOENT, shown);
  if (relative.front() == '/') return fail_errno(EXDEV, shown);
  Descriptor above;   // the folder that was reached, unless it is this one
  while (true) {
    const std::size_t slash = relative.find('/');
    const bool is_last = slash == std::string_view::npos;
    const std::string name(relative.substr(0, slash));
    if (name == "..") return fail_errno(EXDEV, shown);
    const int at = above.number() < 0 ? descriptor_ : above.number();
    // What lies in between is opened to go on from, not to be read.
    const int opened = ::openat(at, name.empty() ? "." : name.c_str(), (is_last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC);
    if (opened < 0) {
      const int error = errno;
      struct stat status {};
      const bool is_link = error == ENOTDIR && ::fstatat(at, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
      return fail_errno(is_link ? ELOOP : error, shown);
    }
    if (is_last) return opened;
    above = Descriptor(opened);
    relative.remove_prefix(slash + 1);
  }
}

Result<Folder> Folder::folder(std::string_view relative) const {
  const int descriptor = TRY(open_below(relative, O_RDONLY | O_DIRECTORY));
  return Folder(descriptor, path_shown(shown_, relative));
}

Result<FileSource> Folder::file(std::string_view relative) const {
  // O_NONBLOCK: a named pipe must be refused, not waited for.
  const int descriptor = TRY(open_below(relative, O_RDONLY | O_NONBLOCK));
  return FileSource::adopt(descriptor, path_shown(shown_, relative));
}

Result<base::Bytes> Folder::read(std::string_view relative, std::uint64_t limit) const {
  const FileSource source = TRY(file(relative));
  return base::within(path_shown(shown_, relative), base::read_all(source, limit));
}

Result<FoundFile> Folder::stat(std::string_view relative) const {
  const std::string shown = path_shown(shown_, relative);
  const int descriptor = TRY(open_below(relative, O_PATH));
  struct stat status {};
  const int failed = fstat(descriptor, &status) == 0 ? 0 : errno;
  ::close(descriptor);
  if (failed != 0) return fail_errno(failed, shown);
  if (S_ISLNK(status.st_mode)) return fail_errno(ELOOP, shown);   // O_PATH opens the link itself
  if (!S_ISREG(status.st_mode)) return fail(Errc::refused, fmt::format("{}: not a regular file", shown));
  return FoundFile{std::string(relative), static_cast<std::uint64_t>(status.st_size), nanoseconds(status.st_mtim)};
}

Result<std::vector<std::string>> Folder::names(std::size_t limit, const std::function<bool(std::string_view)>& wanted) const {
  const int again = TRY(open_below(".", O_RDONLY | O_DIRECTORY));
  const OpenFolder folder = TRY(listing(again, shown_));
  std::vector<std::string> kept;
  for (std::size_t looked_at = 0; looked_at < limits::kFolderEntries && kept.size() < limit; ++looked_at) {
    const char* name = TRY(next_name(folder, shown_));
    if (name == nullptr) break;
    if (wanted(name)) kept.emplace_back(name);
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

Result<std::vector<FoundFile>> Folder::files(std::size_t file_limit, std::uint64_t byte_limit) const {
  const int again = TRY(open_below(".", O_RDONLY | O_DIRECTORY));
  Walk walk(file_limit, byte_limit);
  TRY(walk.enter(again, "", shown_, 0));
  return std::move(walk).found();
}

Folder::Folder(Folder&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), shown_(std::move(other.shown_)) {}

Folder& Folder::operator=(Folder&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(shown_, other.shown_);
  return *this;
}

Folder::~Folder() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<std::vector<FoundFile>> files_below(const std::filesystem::path& folder) {
  const Folder opened = TRY(Folder::open(folder));
  return opened.files(limits::kPackageFiles, limits::kPackageBytes);
}

}  // namespace usb
