// Security catalogs (.cat): the certificate trust list inside, built as Inf2Cat and MakeCat build it (version 1: SHA-1;
// version 2: SHA-256 with SHA-1 twins) and read strictly. The list is the content that cms signs, content type
// oids::kCertificateTrustList; signatures are not looked at here. Text is UTF-8; digests are raw bytes.
// Errors: Errc::malformed (not DER, not a catalog), Errc::unsupported (a variant nobody should trust), Errc::too_large
// (over limits::kCatalog*). Source: docs/catalogs.md, measured on 1,872 catalogs; Microsoft publishes no specification.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "crypto/base/byte_source.hpp"
#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "crypto/digest.hpp"

namespace formats {

using base::Bytes;
using base::ByteView;
using base::Result;

enum class MemberKind : std::uint8_t { pe, cab, flat };
std::string_view member_kind_name(MemberKind kind);   // "PE", "CAB", "flat"
// In CAT_MEMBERINFO (version 1): the subject interface package of Windows that reads such files.
std::string_view member_kind_guid(MemberKind kind);

// What a catalog says about a file's bytes. The kind is found from the content, never from the name: PE files by their
// Authenticode digest (which embedding a signature does not change), cabinets by theirs, everything else flat.
struct MemberDigests {
  MemberKind kind = MemberKind::flat;
  crypto::Digest sha1;
  crypto::Digest sha256;
  std::optional<crypto::Digest> cab_size;   // cabinets only: SHA-256 of the four bytes of cbCabinet
  Bytes page_hashes{};                      // PE only, when asked for: the table of SHA-256 page hashes (version 2)
  std::optional<crypto::Digest> flat{};     // SHA-256 of the whole file; not of PE
};

// Streams the file in constant memory. Errc::unsupported for a cabinet with a reserved area (a signed one) or one that is
// not the whole file; what PeImage refuses is refused here too: such files would be read in two ways.
// Everything comes from one read of the file. Page hashes are found for PE files only.
enum class MemberPageHashes : std::uint8_t { none, sha256 };
Result<MemberDigests> member_digests(const base::ByteSource& file, MemberPageHashes wanted = MemberPageHashes::none);

// One CAT_NAMEVALUE: on a member or on the catalog. With kBinaryValue the octets are no text: value is their hex.
struct NameValue {
  std::string name;
  std::string value;
  std::uint32_t flags = 0;
  friend bool operator==(const NameValue&, const NameValue&) = default;
};
inline constexpr std::uint32_t kNameValueFlags = 0x10010001;   // what Inf2Cat writes on OS, OSAttr, File, HWIDn
inline constexpr std::uint32_t kBinaryValue = 0x00020000;

struct CatalogMember {
  std::string file;      // the File attribute: destination base name, lower case; "" for none
  std::string os_attr;   // the OSAttr attribute: "2:10.0"; "" for none
  MemberDigests digests;
  std::vector<NameValue> attributes{};   // further ones: DRMLevel, PETrusted, what a CDF says
};

struct CatalogContent {
  std::array<std::uint8_t, 16> list_identifier{};   // a fresh GUID, or what the request's manifest says
  base::Time this_update{};                          // years 1950 to 2049
  std::string os;                                    // the OS attribute: "_v100,_v100_X64"
  std::vector<std::string> hardware_ids;             // HWID1 first; written last to first
  std::vector<CatalogMember> members;                // any order; equal digests keep theirs
  unsigned version = 2;                              // 1 for Windows before 8; it holds no page hashes
  std::vector<NameValue> attributes{};               // of the catalog, before OS: Inf2Cat's PE=TRUSTED, a CDF's CATATTRn
  bool twins_have_attributes = true;                 // MakeCat puts none on the SHA-1 twins of a version 2 list
};

// The CTL as DER. Errc::unsupported for a cabinet in a version 1 list: how it is written there was never seen. Errc::malformed for text that is not UTF-8 or a time UTCTime cannot hold, Errc::too_large
// over limits::kCatalog*. The same content always gives the same bytes.
Result<Bytes> encode_ctl(const CatalogContent& content);

// The file Inf2Cat writes: that list in a SignedData with no digest algorithms, certificates or signers.
Bytes unsigned_catalog(ByteView ctl);

// A member as read. Version 2 lists hold two per file: the SHA-1 twin has no indirect digest, only its tag.
struct CatalogEntry {
  Bytes tag;                                 // subjectIdentifier: a raw digest (v2), or UTF-16LE text, mostly hex (v1)
  std::optional<MemberKind> kind;            // from CAT_MEMBERINFO2, or the GUID of CAT_MEMBERINFO
  std::optional<crypto::Digest> digest;      // of SPC_INDIRECT_DATA
  bool has_page_hashes = false;              // of any version
  Bytes page_hashes{};                       // the table of SHA-256 page hashes, when that is what they are
  std::vector<NameValue> attributes{};       // in file order: OSAttr, File, ...
  const std::string* attribute(std::string_view name) const;   // case ignored; nullptr when there is none
};

class Catalog {
 public:
  // A whole .cat file: ContentInfo, SignedData, list, nothing after it. Certificates and signers are stepped over.
  static Result<Catalog> parse(ByteView file);
  // The list alone, as it stands in the content.
  static Result<Catalog> parse_ctl(ByteView ctl);

  unsigned version() const { return version_; }   // 1 or 2
  const Bytes& ctl() const { return ctl_; }       // the list's bytes, unchanged: what is signed or signed again
  bool is_signed() const { return is_signed_; }   // parse() only: there is at least one signer
  const std::array<std::uint8_t, 16>& list_identifier() const { return list_identifier_; }
  base::Time this_update() const { return this_update_; }
  const std::vector<CatalogEntry>& entries() const { return entries_; }
  const std::vector<NameValue>& attributes() const { return attributes_; }   // of the catalog: OS, HWIDn, ...
  const std::string* attribute(std::string_view name) const;                 // case ignored; nullptr when there is none
  std::vector<std::string> hardware_ids() const;                             // HWID1 first

  // The entry that covers a file with these digests; nullptr when none does. Of a version 2 catalog only its SHA-256 members
  // count: a twin's SHA-1 alone vouches for nothing.
  const CatalogEntry* covering(const MemberDigests& digests) const;
  // The entry with that digest, of either algorithm.
  const CatalogEntry* covering(const crypto::Digest& digest) const;

 private:
  Catalog() = default;
  unsigned version_ = 2;
  Bytes ctl_;
  bool is_signed_ = false;
  std::array<std::uint8_t, 16> list_identifier_{};
  base::Time this_update_{};
  std::vector<CatalogEntry> entries_;
  std::vector<NameValue> attributes_;
  std::unordered_map<std::string, std::size_t> by_digest_;   // raw digest -> entries_
};

}  // namespace formats
