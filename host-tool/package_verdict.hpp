// What can be said about signed files as they lie in a folder: every PE file's signature, every catalog's, and which
// catalog vouches for which file. Judges only; showing it is verify.cpp's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/certificate.hpp"
#include "crypto/package/inspection.hpp"
#include "crypto/package/verification.hpp"
#include "host-tool/package_folder.hpp"

namespace host_tool {

enum class FileKind : std::uint8_t { pe, cabinet, catalog, other };
std::string_view file_kind_name(FileKind kind);   // "PE", "catalog", "file"

struct FileVerdict {
  std::string path;
  FileKind kind = FileKind::other;
  std::vector<package::Finding> findings;   // `file` is set
  std::string signer;                       // of an embedded or a catalog's signature; empty if there is none
  std::optional<crypto::Digest> certificate;   // SHA-256 of the signing certificate
  std::optional<crypto::Digest> signing_key;   // SHA-256 of its SubjectPublicKeyInfo
  std::optional<crypto::Digest> approved_digest;   // what that key signed, when the signature is good
  std::vector<package::Verdict::GoodSignature> good_signatures;
  std::vector<std::string> vouched_by;      // paths of the catalogs that have this file as a member
  bool is_broken_image = false;             // it has an image's name or mark, and no PE header
  bool is_kernel_image = false;             // a PE that the kernel loads
  bool is_boot_start = false;               // loaded by the boot loader, which looks for no catalogs (Policy::kernel only)
  std::size_t signatures = 0;               // of its own
  std::optional<crypto::DigestAlgorithm> signed_with;   // the primary signature's digest
};

struct MemberVerdict {
  enum class State : std::uint8_t { present, changed, missing };
  std::string catalog;
  std::string file;    // the File attribute; the tag in hex if there is none
  State state{};
  std::string path;    // of the file it covers, or of the changed one; empty when missing
};
std::string_view member_state_name(MemberVerdict::State state);

struct PackageVerdict {
  std::vector<FileVerdict> files;       // in the order of the folder
  std::vector<MemberVerdict> members;   // of every catalog
  bool valid() const;                   // no finding is an error
};

// A PE without a signature of its own is an error unless a catalog that is itself valid vouches for it. extra_catalog: a
// catalog from elsewhere (path and bytes), treated as if it lay in the folder; may be null.
struct NamedCatalog {
  std::string path;
  base::Bytes bytes;
};
base::Result<PackageVerdict> verify_package(const PackageFolder& folder, const NamedCatalog* extra_catalog,
                                            const std::vector<crypto::Certificate>& roots, base::Time time,
                                      package::Policy policy = package::Policy::authenticode);
// For files that were named one by one: one without any signature is an error, unless a catalog lists it.
void judge_by_itself(PackageVerdict& verdict);

}  // namespace host_tool
