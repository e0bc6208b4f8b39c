// Everything learned from a package without a key: facts for people, findings, and which catalogs with which strings the
// INFs ask for. Pure: no clock, disk, TPM or log. The host tool runs it before the walk to the appliance, and the
// appliance's jailed inspector runs it again. Nothing in here is signed as it stands: digests and member kinds are
// found by whoever signs, from the files themselves.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crypto/base/byte_source.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"

namespace package {

enum class Severity : std::uint8_t { note, warning, error };

struct Finding {
  std::string id;   // stable, such as "pe.ambiguous-layout"
  Severity severity = Severity::note;
  std::string file;     // path in the package; empty when it is about the package
  std::uint32_t line = 0;   // in an INF; 0 when there is none
  std::string cause;
  std::string remedy;
};

// Shown to officers as "as read from the INF" (or from the PE): Provider, Class, DriverVer, hardware ids, ...
struct Fact {
  std::string file;
  std::string name;
  std::string value;
};

struct PlannedMember {
  std::string path;      // of the file in the package
  std::string file;      // the File attribute: destination base name, lower case
  std::string os_attr;   // the OSAttr attribute, such as "2:10.0"
  std::string drm_level{};      // [SignatureAttributes] DRMLevel, such as "1300"; "" for none
  bool is_pe_trusted = false;   // [SignatureAttributes] PETrust
  bool has_page_hashes = false; // Inf2Cat adds them to members with either of these, and where it is told to
};

struct PlannedCatalog {
  std::string path;   // where it goes in the package: the INF's folder and the lower-case CatalogFile name
  std::string os;     // the OS attribute, such as "_v100_X64"
  std::vector<std::string> hardware_ids;   // lower case, HWID1 first
  std::vector<PlannedMember> members;
  bool is_pe_trusted = false;   // the PE=TRUSTED attribute: some INF of the package, not only this catalog's, asks for PETrust
};

struct PeFile {
  std::string path;
  std::string machine;   // "x64", "x86", "arm64", "arm", or the number
  bool is_signed = false;
  std::string signer{};                     // subject of the certificate of a signed file; may be empty
  std::vector<std::string> signer_keys{};   // SHA-256 of the SubjectPublicKeyInfo, hex, for each signature that is good; "" for one that is not
  std::string original_name{};              // OriginalFilename of the version resource; may be empty
  std::uint64_t file_version = 0;           // of the version resource; 0 without one
};

struct Inspection {
  std::vector<Fact> facts;
  std::vector<Finding> findings;
  std::vector<PlannedCatalog> catalogs;
  std::vector<PeFile> pe_files;
  bool has_errors() const;
};

struct PackageFile {
  std::string path;   // as in the manifest
  const base::ByteSource* bytes;   // must outlive the inspection
};

// The day that DriverVer is held against: UTC, unless the caller went by the calendar of some place.
struct Today {
  Today(base::Time day, bool local = false) : date(day), is_local(local) {}
  base::Time date;
  bool is_local;
};

// os_targets: names as os_targets.hpp knows them, at least one. A file that cannot be read or understood becomes a finding, never
// a failure.
Inspection inspect(const std::vector<PackageFile>& files, const std::vector<std::string>& os_targets, Today today);

// The inspector's answer on its pipe. The decoder trusts nothing: every count and length is under a limit.
base::Bytes encode_inspection(const Inspection& inspection);
base::Result<Inspection> decode_inspection(base::ByteView bytes);

}  // namespace package
