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
  return der::element(der::context(2), der::element(der::context_primitive(0), base::ByteView()));
}

// What page hashes and cabinets' enhanced hashes are wrapped in: SpcSerializedObject.
constexpr std::array<std::uint8_t, 16> kMonikerClass = {0xA6, 0xB5, 0x86, 0xD5, 0xB4, 0xA1, 0x24, 0x66,
                                                        0xAE, 0x05, 0xA2, 0x17, 0xDA, 0x8E, 0x60, 0xD6};

Bytes cabinet_link(const crypto::Digest& size) {
  const Bytes hash = der::sequence({der::oid(oids::kSpcEnhancedHash), der::set_of({der::octet_string(size.bytes())})});
  return der::element(der::context(1), der::concat({der::octet_string(kMonikerClass), der::octet_string(der::set_of({hash}))}));
}

Bytes indirect_data(const MemberDigests& digests, unsigned version) {
  const crypto::Digest& digest = version == 1 ? digests.sha1 : digests.sha256;
  switch (digests.kind) {
    case MemberKind::pe: {
      // SpcPeImageData { flags includeResources and includeImportAddressTable, file [0] }: catalogs carry these flags,
      // embedded signatures none.
      constexpr std::array<std::uint8_t, 1> kFlags = {0xA0};
      const bool has_pages = version == 2 && !digests.page_hashes.empty();
      const Bytes link = has_pages ? page_hash_link({PageHashVersion::v2, digests.page_hashes}) : empty_link();
      Bytes value = der::sequence({der::bit_string(kFlags, 5), der::element(der::context(0), link)});
      return spc_indirect_data(oids::kSpcPeImageData, std::move(value), digest);
    }
    case MemberKind::cab:
      base::require(digests.cab_size.has_value(), "a cabinet's digests hold that of its size field");
      return spc_indirect_data(oids::kSpcCabLink, cabinet_link(*digests.cab_size), digest);
    case MemberKind::flat:
      return spc_indirect_data(oids::kSpcLink, empty_link(), digest);
  }
  base::stop("no such member kind");
}

Result<Bytes> bmp_string(std::string_view text) {
  const Bytes utf16 = TRY(base::utf16be_from_utf8(text));
  return der::element(der::kBmpString, utf16);
}

// CAT_NAMEVALUE: SEQUENCE { BMPString name, INTEGER flags, OCTET STRING value in UTF-16LE with its NUL }; a binary value is
// its octets and nothing else.
Result<Bytes> name_value(const NameValue& attribute) {
  const std::string name = base::printable(attribute.name);
  if (attribute.name.size() > limits::kAttributeTextBytes)
    return fail(Errc::too_large, fmt::format("a name of {} bytes, at most {}", attribute.name.size(), limits::kAttributeTextBytes));
  if (attribute.value.size() > limits::kAttributeTextBytes)
    return fail(Errc::too_large, fmt::format("{} of {} bytes, at most {}", name, attribute.value.size(), limits::kAttributeTextBytes));
  const Bytes tag = TRY(base::within(name, bmp_string(attribute.name)));
  Bytes octets;
  if ((attribute.flags & kBinaryValue) != 0) {
    octets = TRY(base::within(name, base::from_hex(attribute.value)));
  } else {
    if (attribute.value.find('\0') != std::string_view::npos) return fail(Errc::malformed, fmt::format("{} holds a NUL character", name));
    octets = TRY(base::within(name, base::utf16le_from_utf8(attribute.value)));
    octets.insert(octets.end(), {0, 0});
  }
  return der::sequence({tag, der::integer(attribute.flags), der::octet_string(octets)});
}

Bytes attribute(const der::Oid& type, ByteView value) {
  return der::sequence({der::oid(type), der::element(der::kSet, value)});
}

// A member of the list, by tag. SHA-1 and SHA-256 tags are sorted together, whichever file they are of.
struct EncodedMember {
  Bytes tag;
  Bytes der;
};

Result<std::vector<Bytes>> name_values(const CatalogMember& member) {
  std::vector<Bytes> attributes;
  const auto add = [&](const NameValue& value) -> Result<void> {
    const Bytes der = TRY(name_value(value));
    attributes.push_back(attribute(oids::kCatalogNameValue, der));
    return {};
  };
  if (!member.os_attr.empty()) TRY(add({"OSAttr", member.os_attr, kNameValueFlags}));
  if (!member.file.empty()) TRY(add({"File", member.file, kNameValueFlags}));
  for (const NameValue& value : member.attributes) TRY(add(value));
  return attributes;
}

// Version 1: one member, tagged with the SHA-1 digest as upper-case hex in UTF-16LE with its NUL.
Result<void> add_member_v1(const CatalogMember& member, std::vector<EncodedMember>& to) {
  if (member.digests.kind == MemberKind::cab)
    return fail(Errc::unsupported, "a cabinet in a version 1 (SHA-1) catalog: how Inf2Cat lists it was never seen");
  Bytes tag = TRY(base::utf16le_from_utf8(base::upper_ascii(member.digests.sha1.hex())));
  tag.insert(tag.end(), {0, 0});
  std::vector<Bytes> attributes = TRY(name_values(member));
  const Bytes guid = TRY(bmp_string(member_kind_guid(member.digests.kind)));
  constexpr unsigned kMemberInfoVersion = 0x0200;
  attributes.push_back(attribute(oids::kCatalogMemberInfo, der::sequence({guid, der::integer(kMemberInfoVersion)})));
  attributes.push_back(attribute(oids::kSpcIndirectData, indirect_data(member.digests, 1)));
  to.push_back({tag, der::sequence({der::octet_string(tag), der::set_of(attributes)})});
  return {};
}

// Version 2: two members, tagged with the raw digests; only the SHA-256 one carries it as indirect data.
Result<void> add_members_v2(const CatalogMember& member, bool twin_has_attributes, std::vector<EncodedMember>& to) {
  // CAT_MEMBERINFO2: an empty [0] for PE, [1] for cabinets, [2] for flat files.
  const Bytes info = der::element(der::context_primitive(static_cast<unsigned>(member.digests.kind)), base::ByteView());
  std::vector<Bytes> attributes = {attribute(oids::kCatalogMemberInfo2, info)};
  const auto add = [&](ByteView tag) {
    to.push_back({base::to_bytes(tag), der::sequence({der::octet_string(tag), der::set_of(attributes)})});
  };
  const std::vector<Bytes> values = TRY(name_values(member));
  if (!twin_has_attributes) add(member.digests.sha1.bytes());
  attributes.insert(attributes.end(), values.begin(), values.end());
  if (twin_has_attributes) add(member.digests.sha1.bytes());
  attributes.push_back(attribute(oids::kSpcIndirectData, indirect_data(member.digests, 2)));
  add(member.digests.sha256.bytes());
  return {};
}

Result<void> append_extension(Bytes& to, const NameValue& value) {
  const Bytes content = TRY(name_value(value));
  base::append(to, der::sequence({der::oid(oids::kCatalogNameValue), der::octet_string(content)}));
  return {};
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
  base::require(content.version == 1 || content.version == 2, "catalogs have version 1 or 2");
  const std::size_t most = content.version == 1 ? limits::kCatalogMembers : limits::kCatalogMembers / 2;
  if (content.members.size() > most)
    return fail(Errc::too_large, fmt::format("{} files in one catalog, at most {}", content.members.size(), most));
  if (content.hardware_ids.size() + content.attributes.size() >= limits::kCatalogAttributes)
    return fail(Errc::too_large, fmt::format("{} hardware ids, at most {}", content.hardware_ids.size(),
                                             limits::kCatalogAttributes - content.attributes.size() - 1));

  std::vector<EncodedMember> members;
  for (const CatalogMember& member : content.members)
    TRY(base::within(base::printable(member.file),
                     content.version == 1 ? add_member_v1(member, members) : add_members_v2(member, content.twins_have_attributes, members)));
  std::stable_sort(members.begin(), members.end(), [](const EncodedMember& a, const EncodedMember& b) { return a.tag < b.tag; });
  Bytes member_list;
  for (const EncodedMember& member : members) base::append(member_list, member.der);

  Bytes extensions;
  for (const NameValue& value : content.attributes) TRY(append_extension(extensions, value));
  if (!content.os.empty()) TRY(append_extension(extensions, {"OS", content.os, kNameValueFlags}));
  for (std::size_t i = content.hardware_ids.size(); i > 0; --i)
    TRY(append_extension(extensions, {fmt::format("HWID{}", i), content.hardware_ids[i - 1], kNameValueFlags}));

  Bytes ctl = der::sequence({der::sequence({der::oid(oids::kCatalogList)}), der::octet_string(content.list_identifier),
                             der::utc_time(content.this_update), der::algorithm(content.version == 1 ? oids::kCatalogListMember : oids::kCatalogListMember2),
                             der::element(der::kSequence, member_list),
                             // Absent, not empty, when there are none.
                             extensions.empty() ? Bytes() : der::element(der::context(0), der::element(der::kSequence, extensions))});
  if (ctl.size() > limits::kCatalogBytes)
    return fail(Errc::too_large, fmt::format("a catalog of {} bytes, at most {}", ctl.size(), limits::kCatalogBytes));
  return ctl;
}

Bytes unsigned_catalog(ByteView ctl) {
  const Bytes empty_set = der::element(der::kSet, base::ByteView());
  const Bytes content = der::sequence({der::oid(oids::kCertificateTrustList), der::element(der::context(0), ctl)});
  const Bytes signed_data = der::sequence({der::integer(1), empty_set, content, empty_set});
  return der::sequence({der::oid(oids::kSignedData), der::element(der::context(0), signed_data)});
}

}  // namespace formats
