// A driver package as a folder on this machine: its files under limits, opened one at a time however many there are.
// Nothing is kept in memory; nothing is followed out of the folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "crypto/base/byte_source.hpp"
#include "crypto/package/inspection.hpp"
#include "usb/files/folder.hpp"

namespace host_tool {

class PackageFolder {
 public:
  // Under the limits of a response, which are wider than a request's; wire::Request holds the narrower ones.
  static base::Result<PackageFolder> open(const std::filesystem::path& path);
  // One file, as a package of its own.
  static base::Result<PackageFolder> of_file(const std::filesystem::path& file);

  const std::vector<usb::FoundFile>& files() const { return files_; }
  std::uint64_t bytes() const { return bytes_; }
  // One for each of files(), in the same order; good while this object lives.
  std::vector<package::PackageFile> sources() const;
  const base::ByteSource& source(std::size_t index) const { return *sources_[index]; }
  // What is wrong with the names, all of it: one sentence each, empty when all may cross the gap.
  std::vector<std::string> path_problems() const;
  // Errc::refused when files were changed, added or removed since open().
  base::Result<void> expect_unchanged() const;

 private:
  PackageFolder(std::filesystem::path path, std::unique_ptr<usb::Folder> folder, std::vector<usb::FoundFile> files);
  std::filesystem::path path_;
  std::unique_ptr<usb::Folder> folder_;   // the sources below point to it
  std::vector<usb::FoundFile> files_;
  std::vector<std::unique_ptr<base::ByteSource>> sources_;
  std::uint64_t bytes_ = 0;
};

}  // namespace host_tool
