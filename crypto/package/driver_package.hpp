// A driver package as a whole: its INFs in the order Inf2Cat meets them, and the catalogs they ask for. No digests, no PE.
// What it finds wrong goes into the builder; file names are looked up without case, as Windows does.
// Source: docs/catalogs.md sections 4 and 5.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "crypto/base/text.hpp"
#include "crypto/package/driver_inf.hpp"
#include "crypto/package/inspection.hpp"
#include "crypto/package/inspection_builder.hpp"
#include "crypto/package/os_targets.hpp"
#include "crypto/package/signature_attributes.hpp"

namespace package {

// Whether a lower-case name may be a catalog's: a plain file name that Windows, FAT and Linux take alike, ending in .cat.
bool is_catalog_name(std::string_view name);

// A path of the package as Inf2Cat's messages write it: from the package's folder on, with backslashes: "\sub\x.inf".
std::string as_inf2cat_names(std::string_view path);

struct PackageInf {
  std::string path;
  std::string folder;   // "" or "folder/"
  std::unique_ptr<const formats::InfFile> file;   // what driver looks at
  DriverInf driver;
  std::vector<SignatureAttribute> signature_attributes;
};

class DriverPackage {  // a view: the files and their sources must outlive it
 public:
  // Reads every *.inf. One that cannot be read, or is no driver's, is a finding and is left out.
  static DriverPackage read(const std::vector<PackageFile>& files, InspectionBuilder& out);
  static DriverPackage read(std::vector<PackageFile>&&, InspectionBuilder&) = delete;

  const std::vector<PackageInf>& infs() const { return infs_; }
  // The file as the package spells it; nullptr when there is none.
  const PackageFile* file(std::string_view path) const;
  // The same for a path that an INF in that folder writes: "..\\x.sys" is taken back as long as it stays in the package.
  const PackageFile* file(std::string_view folder, std::string_view path) const;

  // Facts of every INF, and what is wrong with its [Version] for these targets.
  void describe(std::span<const OsTarget* const> targets, Today today, InspectionBuilder& out) const;
  // The catalogs for these targets, with members, OSes and hardware ids. Files that must be there and are not are findings.
  void plan_catalogs(std::span<const OsTarget* const> targets, InspectionBuilder& out);
  // What stops the driver from working, beside what Inf2Cat looks for: clashing names, CopyINF without its INF, files of Windows' own,
  // boot-start drivers without a signature, what attestation does not cover. After the images were looked at.
  void find_obstacles(std::span<const OsTarget* const> targets, InspectionBuilder& out) const;
  // Notes the files that no INF copies.
  void note_files_not_copied(InspectionBuilder& out) const;

 private:
  DriverPackage() = default;
  std::vector<std::string> hardware_ids(InspectionBuilder& out) const;
  const PackageFile* copied_source(const PackageInf& inf, const CopiedFile& copied, InspectionBuilder& out) const;

  std::vector<const PackageFile*> files_;
  std::unordered_map<std::string, const PackageFile*> by_path_;   // lower case
  std::vector<PackageInf> infs_;
};

}  // namespace package
