// What a driver's INF means: catalogs, devices, install sections, the files they copy. Reads one INF; what a whole package
// has in common is found by driver_package.hpp. Which files a catalog takes follows what Inf2Cat was seen to do
// (docs/catalogs.md section 5), not what a particular Windows would install.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.hpp"
#include "crypto/formats/inf_file.hpp"
#include "crypto/package/os_targets.hpp"

namespace package {

class ArchitectureSet {
 public:
  void insert(Architecture a) { bits_ |= bit(a); }
  bool contains(Architecture a) const { return (bits_ & bit(a)) != 0; }
  bool empty() const { return bits_ == 0; }
  unsigned bits() const { return bits_; }
  ArchitectureSet& operator|=(ArchitectureSet other) {
    bits_ |= other.bits_;
    return *this;
  }
  friend ArchitectureSet operator&(ArchitectureSet a, ArchitectureSet b) { return ArchitectureSet(a.bits_ & b.bits_); }
  friend bool operator==(ArchitectureSet, ArchitectureSet) = default;
  ArchitectureSet() = default;

 private:
  explicit ArchitectureSet(unsigned bits) : bits_(bits) {}
  static unsigned bit(Architecture a) { return 1U << static_cast<unsigned>(a); }
  unsigned bits_ = 0;
};

// A file that an install section copies, for one architecture's source.
struct CopiedFile {
  std::string destination;   // base name as the INF writes it
  std::string source;        // path relative to the INF, '/'-separated, as the INF writes it
  ArchitectureSet architectures;   // of the install section: the OSes that decide OSAttr
  std::uint32_t line = 0;
  std::string section;       // where CopyFiles or the copy list names it
  std::string folder;        // where it goes, as [DestinationDirs] says for the list: "12", "11,sub"; "" when nothing is said
  bool has_source_entry = true;    // in [SourceDisksFiles]; without, it is looked for beside the INF
};

struct Device {
  std::string description;
  std::string install_section;
  std::vector<std::string> ids;    // hardware id, then compatible ids, as written, strings replaced
  std::uint32_t line = 0;
};

struct Service {
  std::string name;
  std::string start_type;   // as written: "3", "0x0"
  std::string binary;       // "%12%\x.sys"
  std::uint32_t line = 0;
  bool is_boot_start() const;   // StartType 0
};

struct MissingList {
  std::string name;         // of a copy list that CopyFiles names
  std::uint32_t line = 0;   // of the CopyFiles
};

struct CopiedInf {          // CopyINF: installed along, and catalogued by its own [Version]
  std::string name;         // a file name beside this INF
  std::uint32_t line = 0;
};

class DriverInf {  // a view: the INF must outlive it
 public:
  // Errc::too_large when an expansion or a list is over its limit.
  static base::Result<DriverInf> read(const formats::InfFile& inf);

  // Architectures that [Manufacturer] or a DefaultInstall section declares; all when nothing is decorated. Never IA64, which
  // the Inf2Cat of Windows 8 and later kits does not know.
  ArchitectureSet architectures() const { return architectures_; }
  // [Version] CatalogFile.nt<arch>, else CatalogFile.nt, else CatalogFile; "" when none is named. For IA64 too: its systems are still
  // named in catalogs, though no file is found for them.
  const std::string& catalog_file(Architecture architecture) const;
  const std::vector<Device>& devices() const { return devices_; }
  const std::vector<CopiedFile>& copied_files() const { return copied_; }
  const std::vector<Service>& services() const { return services_; }
  // Copy lists that are not in this INF. Those of an included system INF (Include=) are Windows' own files.
  const std::vector<MissingList>& missing_lists() const { return missing_lists_; }
  const std::vector<CopiedInf>& copied_infs() const { return copied_infs_; }
  // [Version] value with strings replaced; "" when absent.
  base::Result<std::string> version_value(std::string_view key) const;
  const formats::InfFile& inf() const { return *inf_; }

 private:
  friend class DriverInfReader;
  explicit DriverInf(const formats::InfFile& inf) : inf_(&inf) {}
  const formats::InfFile* inf_;
  ArchitectureSet architectures_;
  std::array<std::string, kArchitectures> catalog_files_;
  std::vector<Device> devices_;
  std::vector<CopiedFile> copied_;
  std::vector<Service> services_;
  std::vector<MissingList> missing_lists_;
  std::vector<CopiedInf> copied_infs_;
};

}  // namespace package
