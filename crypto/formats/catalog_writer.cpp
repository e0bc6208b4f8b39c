#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/der/writer.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/catalog.hpp"

namespace formats {

using base::Errc;
using base::fail;
namespace limits = base::limits;
namespace oids = der::oids;

namespace {

// SpcLink file [2] EXPLICIT { unicode [0] "" }: Inf2Cat names no file.
Bytes empty_link() {
  return der::element(der::context(2), der::element(der::context_primitive(0), {}));
}

// What page hashes and cabinets' enhanced hashes are wrapped in: SpcSerializedObject.
constexpr std::array<std::uint8_t, 16> kMonikerClass = {0xA6, 0xB5, 0x86, 0xD5, 0xB4, 0xA1, 0x24, 0x66,
                                                        0xAE, 0x05, 0xA2, 0x17, 0xDA, 0x8E, 0x60, 0xD6};

Bytes indirect_data(const MemberDigests& digests) {
  switch (digests.kind) {
    case MemberKind::pe: {
      // SpcPeImageData { flags includeResources and includeImportAddressTable, file [0] }: catalogs carry these flags,
      // embedded signatures none.
      constexpr std::array<std::uint8_t, 1> kFlags = {0xA0};
      const Bytes value = der::sequence({der::bit_string(kFlags, 5), der::element(der::context(0), empty_link())});
      return spc_indirect_data(oids::kSpcPeImageData, value, digests.sha256);
    }
    case MemberKind::cab: {
      base::require(digests.cab_size.has_value(), "a cabinet's digests hold that of its size field");
      const Bytes hash = der::sequence({der::oid(oids::kSpcEnhancedHash), der::set_of({der::octet_string(digests.cab_size->bytes())})});
      const Bytes moniker = der::set_of({hash});
      const Bytes value = der::element(der::context(1), der::concat({der::octet_string(kMonikerClass), der::octet_string(moniker)}));
      return spc_indirect_data(oids::kSpcCabLink, value, digests.sha256);
    }
    case MemberKind::flat:
      return spc_indirect_data(oids::kSpcLink, empty_link(), digests.sha256);
  }
  base::stop("no such member kind");
}

Result<Bytes> bmp_string(std::string_view text) {
  const Bytes utf16 = TRY(base::utf16be_from_utf8(text));
  return der::element(der::kBmpString, utf16);
}

// CAT_NAMEVALUE: SEQUENCE { BMPString name, INTEGER flags, OCTET STRING value in UTF-16LE with its NUL }.
Result<Bytes> name_value(std::string_view name, std::string_view value) {
  if (value.size() > limits::kAttributeTextBytes)
    return fail(Errc::too_large, fmt::format("{} of {} bytes, at most {}", name, value.size(), limits::kAttributeTextBytes));
  if (value.find('\0') != std::string_view::npos) return fail(Errc::malformed, fmt::format("{} holds a NUL character", name));
  const Bytes tag = TRY(bmp_string(name));
  Bytes text = TRY(base::within(name, base::utf16le_from_utf8(value)));
  text.insert(text.end(), {0, 0});
  return der::sequence({tag, der::integer(kNameValueFlags), der::octet_string(text)});
}

Bytes attribute(const der::Oid& type, ByteView value) {
  return der::sequence({der::oid(type), der::element(der::kSet, value)});
}

// The two members of one file, by tag. SHA-1 and SHA-256 tags are sorted together, whichever file they are of.
struct EncodedMember {
  Bytes tag;
  Bytes der;
};

Result<void> add_members(const CatalogMember& member, std::vector<EncodedMember>& to) {
  const Bytes file = TRY(name_value("File", member.file));
  const Bytes os_attr = TRY(name_value("OSAttr", member.os_attr));
  // CAT_MEMBERINFO2: an empty [0] for PE, [1] for cabinets, [2] for flat files.
  const Bytes info = der::element(der::context_primitive(static_cast<unsigned>(member.digests.kind)), {});
  std::vector<Bytes> attributes = {attribute(oids::kCatalogMemberInfo2, info), attribute(oids::kCatalogNameValue, os_attr),
                                   attribute(oids::kCatalogNameValue, file)};
  const auto add = [&](ByteView tag) {
    to.push_back({base::to_bytes(tag), der::sequence({der::octet_string(tag), der::set_of(attributes)})});
  };
  add(member.digests.sha1.bytes());
  attributes.push_back(attribute(oids::kSpcIndirectData, indirect_data(member.digests)));
  add(member.digests.sha256.bytes());
  return {};
}

Result<Bytes> extension(std::string_view name, std::string_view value) {
  const Bytes content = TRY(name_value(name, value));
  return der::sequence({der::oid(oids::kCatalogNameValue), der::octet_string(content)});
}

Result<void> expect_time(base::Time time) {
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(time));
  if (date.year() < std::chrono::year(1950) || date.year() > std::chrono::year(2049))
    return fail(Errc::malformed, fmt::format("a catalog of the year {}: its time holds 1950 to 2049", static_cast<int>(date.year())));
  return {};
}

}  // namespace

Result<Bytes> encode_ctl(const CatalogContent& content) {
  TRY(expect_time(content.this_update));
  if (content.members.size() > limits::kCatalogMembers / 2)
    return fail(Errc::too_large, fmt::format("{} files in one catalog, at most {}", content.members.size(), limits::kCatalogMembers / 2));
  if (content.hardware_ids.size() >= limits::kCatalogAttributes)
    return fail(Errc::too_large, fmt::format("{} hardware ids, at most {}", content.hardware_ids.size(), limits::kCatalogAttributes - 1));

  std::vector<EncodedMember> members;
  for (const CatalogMember& member : content.members) TRY(base::within(base::printable(member.file), add_members(member, members)));
  std::stable_sort(members.begin(), members.end(), [](const EncodedMember& a, const EncodedMember& b) { return a.tag < b.tag; });
  Bytes member_list;
  for (const EncodedMember& member : members) base::append(member_list, member.der);

  Bytes extensions;
  if (!content.os.empty()) {
    const Bytes os = TRY(extension("OS", content.os));
    base::append(extensions, os);
  }
  for (std::size_t i = content.hardware_ids.size(); i > 0; --i) {
    const Bytes id = TRY(extension(fmt::format("HWID{}", i), content.hardware_ids[i - 1]));
    base::append(extensions, id);
  }

  Bytes ctl = der::sequence({der::sequence({der::oid(oids::kCatalogList)}), der::octet_string(content.list_identifier),
                             der::utc_time(content.this_update), der::algorithm(oids::kCatalogListMember2),
                             der::element(der::kSequence, member_list),
                             // Absent, not empty, when there are none.
                             extensions.empty() ? Bytes() : der::element(der::context(0), der::element(der::kSequence, extensions))});
  if (ctl.size() > limits::kCatalogBytes)
    return fail(Errc::too_large, fmt::format("a catalog of {} bytes, at most {}", ctl.size(), limits::kCatalogBytes));
  return ctl;
}

Bytes unsigned_catalog(ByteView ctl) {
  const Bytes empty_set = der::element(der::kSet, {});
  const Bytes content = der::sequence({der::oid(oids::kCertificateTrustList), der::element(der::context(0), ctl)});
  const Bytes signed_data = der::sequence({der::integer(1), empty_set, content, empty_set});
  return der::sequence({der::oid(oids::kSignedData), der::element(der::context(0), signed_data)});
}

}  // namespace formats
