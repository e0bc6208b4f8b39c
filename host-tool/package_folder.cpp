#include "host-tool/package_folder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "usb/wire/package_path.hpp"

namespace host_tool {
namespace {

using base::Errc;
using base::fail;
using base::Result;

// Opened for each read, so that a package of 5000 files needs one descriptor at a time.
class OpenedWhenRead final : public base::ByteSource {
 public:
  OpenedWhenRead(const usb::Folder& folder, usb::FoundFile file) : folder_(&folder), file_(std::move(file)) {}
  std::uint64_t size() const override { return file_.size; }
  Result<void> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    const usb::FileSource source = TRY(folder_->file(file_.path));
    if (source.size() != file_.size)
      return fail(Errc::io, fmt::format("{}: changed while being read", base::printable(file_.path)));
    return base::within(base::printable(file_.path), source.read_at(offset, out));
  }

 private:
  const usb::Folder* folder_;
  usb::FoundFile file_;
};

}  // namespace

PackageFolder::PackageFolder(std::filesystem::path path, std::unique_ptr<usb::Folder> folder,
                             std::vector<usb::FoundFile> files)
    : path_(std::move(path)), folder_(std::move(folder)), files_(std::move(files)) {
  for (const usb::FoundFile& file : files_) {
    sources_.push_back(std::make_unique<OpenedWhenRead>(*folder_, file));
    bytes_ += file.size;
  }
}

Result<PackageFolder> PackageFolder::open(const std::filesystem::path& path) {
  usb::Folder opened = TRY(usb::Folder::open(path));
  auto folder = std::make_unique<usb::Folder>(std::move(opened));
  std::vector<usb::FoundFile> files = TRY(folder->files(base::limits::kOutputFiles, base::limits::kOutputBytes));
  return PackageFolder(path, std::move(folder), std::move(files));
}

Result<PackageFolder> PackageFolder::of_file(const std::filesystem::path& file) {
  const std::filesystem::path parent = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  usb::Folder opened = TRY(usb::Folder::open(parent));
  auto folder = std::make_unique<usb::Folder>(std::move(opened));
  usb::FoundFile found = TRY(folder->stat(file.filename().string()));
  return PackageFolder(parent, std::move(folder), {std::move(found)});
}

std::vector<package::PackageFile> PackageFolder::sources() const {
  std::vector<package::PackageFile> all;
  for (std::size_t i = 0; i < files_.size(); ++i) all.push_back({files_[i].path, sources_[i].get()});
  return all;
}

std::vector<std::string> PackageFolder::path_problems() const {
  std::vector<std::string> problems;
  std::vector<std::string> good;
  for (const usb::FoundFile& file : files_) {
    const Result<void> expected = wire::expect_package_path(file.path);
    if (expected)
      good.push_back(file.path);
    else
      problems.push_back(expected.error().text());
  }
  const Result<void> distinct = wire::expect_distinct_paths(good);
  if (!distinct) problems.push_back(distinct.error().text());
  return problems;
}

Result<void> PackageFolder::expect_unchanged() const {
  const std::vector<usb::FoundFile> now =
      TRY(folder_->files(base::limits::kOutputFiles, base::limits::kOutputBytes));
  const auto is_same = [](const usb::FoundFile& a, const usb::FoundFile& b) {
    return a.path == b.path && a.size == b.size && a.modified == b.modified;
  };
  if (!std::equal(now.begin(), now.end(), files_.begin(), files_.end(), is_same))
    return fail(Errc::refused, fmt::format("{}: changed while the request was being made; try again when nothing "
                                           "writes there", base::printable(path_.string())));
  return {};
}

}  // namespace host_tool
