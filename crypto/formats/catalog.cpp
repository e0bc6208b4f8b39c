#include "crypto/formats/catalog.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "crypto/base/limits.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/formats/authenticode.hpp"

namespace formats {

using base::Errc;
using base::fail;
namespace limits = base::limits;
namespace oids = der::oids;

namespace {

Result<std::string> bmp_string(der::Reader& in) {
  const ByteView utf16 = TRY(in.expect(der::kBmpString));
  if (utf16.size() > 2 * limits::kAttributeTextBytes) return fail(Errc::too_large, fmt::format("text of {} bytes", utf16.size()));
  return base::utf8_from_utf16be(utf16);
}

Result<NameValue> name_value(ByteView der_bytes) {
  const der::Element whole = TRY(der::expect_single(der_bytes, der::kSequence));
  der::Reader in(whole.value);
  NameValue read;
  read.name = TRY(bmp_string(in));
  const std::uint64_t flags = TRY(in.expect_unsigned());
  if (flags > 0xFFFFFFFFU) return fail(Errc::malformed, fmt::format("flags {:#x} of {}", flags, base::printable(read.name)));
  read.flags = static_cast<std::uint32_t>(flags);
  const ByteView value = TRY(in.expect(der::kOctetString));
  TRY(in.expect_end());
  if (value.size() > 2 * limits::kAttributeTextBytes + 2)   // UTF-16 and its NUL
    return fail(Errc::too_large, fmt::format("{} of {} bytes", base::printable(read.name), value.size()));
  // MakeCat stores a base64 value (flag 0x00020000) as the octets it decodes to: shown in hex, for it need not be text.
  if ((read.flags & kBinaryValue) != 0) {
    read.value = base::hex(value);
    return read;
  }
  read.value = TRY(base::within(base::printable(read.name), base::utf8_from_utf16le(value)));
  if (read.value.ends_with('\0')) read.value.pop_back();
  return read;
}

Result<MemberKind> kind_of_info2(const der::Element& value) {
  for (const MemberKind kind : {MemberKind::pe, MemberKind::cab, MemberKind::flat})
    if (value.tag == der::context_primitive(static_cast<unsigned>(kind)) && value.value.empty()) return kind;
  return fail(Errc::malformed, fmt::format("member information with tag {:#04x} and {} bytes", value.tag, value.value.size()));
}

// SEQUENCE { BMPString GUID, INTEGER version }; another GUID is another kind of file, which is no error.
Result<std::optional<MemberKind>> kind_of_info(const der::Element& value) {
  const der::Element whole = TRY(der::expect_single(value.whole, der::kSequence));
  der::Reader in(whole.value);
  const std::string guid = TRY(bmp_string(in));
  TRY(in.expect_unsigned());
  TRY(in.expect_end());
  for (const MemberKind kind : {MemberKind::pe, MemberKind::cab, MemberKind::flat})
    if (base::equal_ignoring_case(guid, member_kind_guid(kind))) return std::optional(kind);
  return std::optional<MemberKind>();
}

Result<void> read_attribute(der::Reader& set, CatalogEntry& entry) {
  der::Reader in = TRY(set.expect_inside(der::kSequence));
  const ByteView type = TRY(in.expect_any_oid());
  der::Reader values = TRY(in.expect_inside(der::kSet));
  TRY(in.expect_end());
  const der::Element value = TRY(values.expect_element());
  TRY(base::within(der::dotted(type), values.expect_end()));   // one value each, in every catalog seen
  if (type == oids::kCatalogNameValue) {
    NameValue read = TRY(name_value(value.whole));
    entry.attributes.push_back(std::move(read));
  } else if (type == oids::kCatalogMemberInfo2 || type == oids::kCatalogMemberInfo) {
    if (entry.kind) return fail(Errc::malformed, "member information twice");
    if (type == oids::kCatalogMemberInfo)
      entry.kind = TRY(kind_of_info(value));
    else
      entry.kind = TRY(kind_of_info2(value));
  } else if (type == oids::kSpcIndirectData) {
    if (entry.digest) return fail(Errc::malformed, "indirect data twice");
    const IndirectData data = TRY(IndirectData::parse(value.whole));
    entry.digest = data.digest;
    if (data.type == oids::kSpcPeImageData) {
      std::optional<PageHashes> pages = TRY(page_hashes_of(data.value));
      entry.has_page_hashes = pages.has_value();
      if (pages && pages->version == PageHashVersion::v2) entry.page_hashes = std::move(pages->table);
    }
  }
  return {};
}

// TrustedSubject: SEQUENCE { OCTET STRING subjectIdentifier, SET OF Attribute OPTIONAL }.
Result<CatalogEntry> read_member(der::Reader& list) {
  der::Reader in = TRY(list.expect_inside(der::kSequence));
  CatalogEntry entry;
  const ByteView tag = TRY(in.expect(der::kOctetString));
  if (tag.empty() || tag.size() > limits::kAttributeTextBytes) return fail(Errc::malformed, fmt::format("tag of {} bytes", tag.size()));
  entry.tag = base::to_bytes(tag);
  if (const auto set = TRY(in.match(der::kSet))) {
    der::Reader attributes(set->value);
    for (std::size_t count = 0; !attributes.at_end(); ++count) {
      if (count == limits::kAttributes) return fail(Errc::too_large, fmt::format("more than {} attributes", limits::kAttributes));
      TRY(read_attribute(attributes, entry));
    }
  }
  TRY(in.expect_end());
  return entry;
}

// The digest a tag stands for: raw in version 2, hex text with or without its NUL in version 1. Empty for other texts.
Bytes digest_of_tag(const CatalogEntry& entry, unsigned version) {
  if (version == 2) return entry.tag.size() == 20 || entry.tag.size() == 32 ? entry.tag : Bytes();
  Result<std::string> text = base::utf8_from_utf16le(entry.tag);
  if (!text) return {};
  if (text->ends_with('\0')) text->pop_back();
  const Result<Bytes> digest = base::from_hex(*text);
  return digest && digest->size() == 20 ? *digest : Bytes();
}

std::string key_of(ByteView digest) { return std::string(base::as_text(digest)); }

const std::string* value_of(const std::vector<NameValue>& attributes, std::string_view name) {
  const auto found = std::find_if(attributes.begin(), attributes.end(),
                                  [&](const NameValue& attribute) { return base::equal_ignoring_case(attribute.name, name); });
  return found == attributes.end() ? nullptr : &found->value;
}

}  // namespace

const std::string* CatalogEntry::attribute(std::string_view name) const { return value_of(attributes, name); }
const std::string* Catalog::attribute(std::string_view name) const { return value_of(attributes_, name); }

Result<Catalog> Catalog::parse(ByteView file) {
  if (file.size() > limits::kCatalogBytes)
    return fail(Errc::too_large, fmt::format("catalog of {} bytes, at most {} are read", file.size(), limits::kCatalogBytes));
  // ContentInfo { signedData, [0] SignedData { version, digestAlgorithms, contentInfo, certificates [0], crls [1], signerInfos } }
  const der::Element outer = TRY(base::within("catalog", der::expect_single(file, der::kSequence)));
  der::Reader content_info(outer.value);
  TRY(base::within("catalog", content_info.expect_oid(oids::kSignedData)));
  der::Reader wrapped = TRY(content_info.expect_inside(der::context(0)));
  TRY(content_info.expect_end());
  der::Reader in = TRY(wrapped.expect_inside(der::kSequence));
  TRY(wrapped.expect_end());
  const std::uint64_t version = TRY(in.expect_unsigned());
  if (version != 1) return fail(Errc::unsupported, fmt::format("catalog: SignedData version {}, 1 wanted", version));
  TRY(in.expect(der::kSet));
  der::Reader content = TRY(in.expect_inside(der::kSequence));
  TRY(base::within("catalog: content", content.expect_oid(oids::kCertificateTrustList)));
  der::Reader explicit_content = TRY(content.expect_inside(der::context(0)));
  TRY(content.expect_end());
  const der::Element list = TRY(base::within("catalog: content", explicit_content.expect_element(der::kSequence)));
  TRY(explicit_content.expect_end());
  TRY(in.match(der::context(0)));
  TRY(in.match(der::context(1)));
  const ByteView signers = TRY(in.expect(der::kSet));
  TRY(in.expect_end());
  Catalog catalog = TRY(parse_ctl(list.whole));
  catalog.is_signed_ = !signers.empty();
  return catalog;
}

Result<Catalog> Catalog::parse_ctl(ByteView ctl) {
  if (ctl.size() > limits::kCatalogBytes)
    return fail(Errc::too_large, fmt::format("list of {} bytes, at most {} are read", ctl.size(), limits::kCatalogBytes));
  Catalog catalog;
  const der::Element whole = TRY(base::within("list", der::expect_single(ctl, der::kSequence)));
  der::Reader in(whole.value);
  der::Reader usage = TRY(in.expect_inside(der::kSequence));
  TRY(base::within("list: usage", usage.expect_oid(oids::kCatalogList)));
  TRY(usage.expect_end());
  const ByteView identifier = TRY(base::within("list identifier", in.expect(der::kOctetString)));
  if (identifier.size() != catalog.list_identifier_.size())
    return fail(Errc::malformed, fmt::format("list identifier of {} bytes, 16 wanted", identifier.size()));
  std::copy(identifier.begin(), identifier.end(), catalog.list_identifier_.begin());
  const ByteView time = TRY(base::within("list: time", in.expect(der::kUtcTime)));
  catalog.this_update_ = TRY(base::time_from_utc_time(base::as_text(time)));
  der::Reader algorithm = TRY(in.expect_inside(der::kSequence));
  const ByteView member_type = TRY(algorithm.expect_any_oid());
  if (!algorithm.at_end()) TRY(algorithm.expect_null());
  TRY(algorithm.expect_end());
  if (member_type == oids::kCatalogListMember)
    catalog.version_ = 1;
  else if (!(member_type == oids::kCatalogListMember2))
    return fail(Errc::unsupported, fmt::format("list: members of type {}", der::dotted(member_type)));

  der::Reader members = TRY(base::within("list: members", in.expect_inside(der::kSequence)));
  while (!members.at_end()) {
    if (catalog.entries_.size() == limits::kCatalogMembers)
      return fail(Errc::too_large, fmt::format("more than {} members", limits::kCatalogMembers));
    CatalogEntry entry = TRY(base::within(fmt::format("member {}", catalog.entries_.size() + 1), read_member(members)));
    catalog.entries_.push_back(std::move(entry));
  }
  if (const auto extensions = TRY(in.match(der::context(0)))) {
    const der::Element sequence = TRY(der::expect_single(extensions->value, der::kSequence));
    der::Reader list(sequence.value);
    while (!list.at_end()) {
      if (catalog.attributes_.size() == limits::kCatalogAttributes)
        return fail(Errc::too_large, fmt::format("more than {} catalog attributes", limits::kCatalogAttributes));
      der::Reader extension = TRY(list.expect_inside(der::kSequence));
      TRY(extension.expect_oid(oids::kCatalogNameValue));
      const ByteView value = TRY(extension.expect(der::kOctetString));
      TRY(extension.expect_end());
      NameValue read = TRY(base::within(fmt::format("catalog attribute {}", catalog.attributes_.size() + 1), name_value(value)));
      catalog.attributes_.push_back(std::move(read));
    }
  }
  TRY(base::within("list", in.expect_end()));

  for (std::size_t i = 0; i < catalog.entries_.size(); ++i) {
    const CatalogEntry& entry = catalog.entries_[i];
    const Bytes tag = digest_of_tag(entry, catalog.version_);
    // Windows finds a member by its tag and then compares the digest: one that differs would be found and never match.
    if (!tag.empty() && entry.digest && base::as_text(entry.digest->bytes()) != base::as_text(tag))
      return fail(Errc::mismatch, fmt::format("member {}: its tag is {} and its digest {}", i + 1, base::hex(tag), entry.digest->hex()));
    if (entry.digest) catalog.by_digest_.try_emplace(key_of(entry.digest->bytes()), i);
    if (!tag.empty()) catalog.by_digest_.try_emplace(key_of(tag), i);
  }
  catalog.ctl_ = base::to_bytes(ctl);
  return catalog;
}

std::vector<std::string> Catalog::hardware_ids() const {
  std::map<unsigned, std::string> numbered;
  for (const NameValue& attribute : attributes_) {
    const std::string_view name = attribute.name;
    if (!name.starts_with("HWID")) continue;
    unsigned number = 0;
    const std::string_view digits = name.substr(4);
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
    if (error == std::errc() && end == digits.end()) numbered.try_emplace(number, attribute.value);
  }
  std::vector<std::string> ids;
  for (auto& [number, id] : numbered) ids.push_back(std::move(id));
  return ids;
}

const CatalogEntry* Catalog::covering(const crypto::Digest& digest) const {
  const auto found = by_digest_.find(key_of(digest.bytes()));
  return found == by_digest_.end() ? nullptr : &entries_[found->second];
}

const CatalogEntry* Catalog::covering(const MemberDigests& digests) const {
  return covering(version_ == 1 ? digests.sha1 : digests.sha256);
}

}  // namespace formats
