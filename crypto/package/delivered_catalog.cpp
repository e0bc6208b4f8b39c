#include "crypto/package/delivered_catalog.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "crypto/base/text.hpp"
#include "crypto/der/reader.hpp"

namespace package {

using base::Bytes;
using base::ByteView;
using base::Errc;
using base::fail;
using base::Result;
using formats::CatalogEntry;
using formats::MemberDigests;

namespace {

using Files = std::map<std::string, MemberDigests>;

std::string named(const CatalogEntry& entry, std::size_t number) {
  const std::string* const file = entry.attribute("File");
  return fmt::format("member {}{}", number, file == nullptr ? "" : fmt::format(" ({})", base::printable(*file)));
}

// Every name of a comma-separated list must be among the known ones.
Result<void> expect_all_known(std::string_view list, const std::set<std::string, std::less<>>& known, std::string_view what) {
  while (!list.empty()) {
    const std::string_view name = list.substr(0, list.find(','));
    if (!known.contains(name)) return fail(Errc::refused, fmt::format("{} \"{}\" was not asked for", what, base::printable(name)));
    list.remove_prefix(std::min(name.size() + 1, list.size()));
  }
  return {};
}

Result<void> expect_systems(const formats::Catalog& catalog, std::span<const OsTarget* const> asked_for) {
  std::set<std::string, std::less<>> systems;
  std::set<std::string, std::less<>> versions;
  for (const OsTarget* target : asked_for) {
    systems.emplace(target->os);
    for (std::string_view rest = target->os_attr; !rest.empty();) {
      const std::string_view version = rest.substr(0, rest.find(','));
      versions.emplace(version);
      rest.remove_prefix(std::min(version.size() + 1, rest.size()));
    }
  }
  const auto expect_attributes = [&](const std::vector<formats::NameValue>& attributes) -> Result<void> {
    for (const formats::NameValue& attribute : attributes) {
      if (base::equal_ignoring_case(attribute.name, "OS")) TRY(expect_all_known(attribute.value, systems, "OS"));
      if (base::equal_ignoring_case(attribute.name, "OSAttr")) TRY(expect_all_known(attribute.value, versions, "OSAttr"));
    }
    return {};
  };
  TRY(expect_attributes(catalog.attributes()));
  for (std::size_t i = 0; i < catalog.entries().size(); ++i)
    TRY(base::within(named(catalog.entries()[i], i + 1), expect_attributes(catalog.entries()[i].attributes)));
  return {};
}

// The file with that digest; of several with the same content the one of the member's name, if there is one.
Result<Files::const_iterator> file_of(const CatalogEntry& entry, unsigned version, const Files& files) {
  const auto wanted = version == 1 ? crypto::DigestAlgorithm::sha1 : crypto::DigestAlgorithm::sha256;
  if (!entry.digest || entry.digest->algorithm() != wanted)
    return fail(Errc::refused, fmt::format("no {} digest of a file", crypto::digest_name(wanted)));
  const std::string* const name = entry.attribute("File");
  auto found = files.end();
  for (auto file = files.begin(); file != files.end(); ++file) {
    if ((version == 1 ? file->second.sha1 : file->second.sha256) != *entry.digest) continue;
    const bool has_name = name != nullptr && base::equal_ignoring_case(file->first.substr(file->first.rfind('/') + 1), *name);
    if (found == files.end() || has_name) found = file;
    if (has_name) break;
  }
  if (found == files.end()) return fail(Errc::refused, fmt::format("{} {} is of no file of the request", crypto::digest_name(wanted), entry.digest->hex()));
  if (entry.kind != found->second.kind)
    return fail(Errc::refused, fmt::format("listed as {}, and {} is {}", entry.kind ? formats::member_kind_name(*entry.kind) : "something unknown", found->first,
                                           formats::member_kind_name(found->second.kind)));
  return found;
}

struct ListParts {
  std::vector<Bytes> around;     // everything but the members
  std::vector<Bytes> members;    // sorted
};

Result<ListParts> parts_of(ByteView ctl) {
  const der::Element whole = TRY(der::expect_single(ctl, der::kSequence));
  der::Reader in(whole.value);
  ListParts parts;
  constexpr std::size_t kMembers = 4;   // after usage, identifier, time and algorithm
  for (std::size_t i = 0; !in.at_end(); ++i) {
    const der::Element element = TRY(in.expect_element());
    if (i != kMembers) {
      parts.around.push_back(base::to_bytes(element.whole));
      continue;
    }
    for (der::Reader list(element.value); !list.at_end();) {
      const der::Element member = TRY(list.expect_element());
      parts.members.push_back(base::to_bytes(member.whole));
    }
  }
  std::sort(parts.members.begin(), parts.members.end());
  return parts;
}

// The order of members with the same tag follows no rule; everything else is as we would write it, or it is not signed.
Result<void> expect_nothing_else(const formats::Catalog& catalog, const formats::CatalogContent& content) {
  const Bytes ours = TRY(formats::encode_ctl(content));
  const auto& entries = catalog.entries();
  if (!std::is_sorted(entries.begin(), entries.end(), [](const CatalogEntry& a, const CatalogEntry& b) { return a.tag < b.tag; }))
    return fail(Errc::refused, "members are not sorted by their tags");
  const ListParts wanted = TRY(parts_of(ours));
  const ListParts found = TRY(parts_of(catalog.ctl()));
  if (wanted.around != found.around || wanted.members != found.members)
    return fail(Errc::refused, "the list holds more than its members and attributes account for: SHA-1 twins missing or of other files, unknown attributes, or "
                               "another form than today's Inf2Cat and MakeCat write");
  return {};
}

}  // namespace

Result<DeliveredCatalog> delivered_catalog(ByteView file, const Files& files, std::span<const OsTarget* const> asked_for, const DigestsOf& digests_of) {
  const formats::Catalog catalog = TRY(formats::Catalog::parse(file));
  if (catalog.is_signed()) return fail(Errc::refused, "the catalog is signed already");
  if (formats::unsigned_catalog(catalog.ctl()) != base::to_bytes(file))
    return fail(Errc::refused, "the catalog is not in the form without any signature: certificates or algorithms are left in it");
  TRY(expect_systems(catalog, asked_for));
  DeliveredCatalog delivered;
  formats::CatalogContent& content = delivered.content;
  content.version = catalog.version();
  content.list_identifier = catalog.list_identifier();
  content.this_update = catalog.this_update();
  content.attributes = catalog.attributes();
  content.twins_have_attributes = false;
  for (std::size_t i = 0; i < catalog.entries().size(); ++i) {
    const CatalogEntry& entry = catalog.entries()[i];
    if (content.version == 2 && !entry.digest && entry.tag.size() == crypto::digest_size(crypto::DigestAlgorithm::sha1)) {   // a SHA-1 twin
      content.twins_have_attributes = content.twins_have_attributes || !entry.attributes.empty();
      continue;
    }
    const std::string where = named(entry, i + 1);
    const auto found = TRY(base::within(where, file_of(entry, content.version, files)));
    MemberDigests digests = found->second;
    if (entry.has_page_hashes) {
      digests = TRY(base::within(where, digests_of(found->first, formats::MemberPageHashes::sha256)));
      if (digests.page_hashes != entry.page_hashes) return fail(Errc::refused, fmt::format("{}: page hashes are not those of {}", where, found->first));
    }
    content.members.push_back({"", "", std::move(digests), entry.attributes});
    delivered.paths.push_back(found->first);
  }
  if (content.members.empty()) return fail(Errc::refused, "the catalog has no members");
  TRY(expect_nothing_else(catalog, content));
  delivered.ctl = catalog.ctl();
  return delivered;
}

}  // namespace package
