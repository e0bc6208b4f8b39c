#include "crypto/package/catalog_content.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace package {

using base::Errc;
using base::fail;
using base::Result;

namespace {

constexpr std::size_t kDrmLevelDigits = 8;

// The versions must be some of the catalog's own, in its order.
Result<void> expect_os_attr(std::string_view os_attr, std::string_view catalogs) {
  const std::vector<std::string_view> known = base::comma_list(catalogs);
  auto from = known.begin();
  for (const std::string_view version : base::comma_list(os_attr)) {
    from = std::find(from, known.end(), version);
    if (from == known.end())
      return fail(Errc::refused, fmt::format("OSAttr \"{}\" is not of the catalog's \"{}\"", base::printable(os_attr), catalogs));
    ++from;
  }
  return {};
}

Result<void> expect_file_name(std::string_view file) {
  if (file.empty() || file.find_first_of("/\\") != std::string_view::npos || base::lower_ascii(file) != file)
    return fail(Errc::refused, fmt::format("File \"{}\" is no lower-case file name", base::printable(file)));
  return {};
}

Result<formats::CatalogMember> member_content(const PlannedMember& planned, std::string_view versions, const DigestsOf& digests_of) {
  TRY(expect_file_name(planned.file));
  TRY(expect_os_attr(planned.os_attr, versions));
  const bool wants_pages = planned.has_page_hashes || planned.is_pe_trusted || !planned.drm_level.empty();
  formats::MemberDigests digests = TRY(digests_of(planned.path, wants_pages ? formats::MemberPageHashes::sha256 : formats::MemberPageHashes::none));
  formats::CatalogMember member{planned.file, planned.os_attr, std::move(digests)};
  if (!planned.drm_level.empty()) {
    const bool is_number = std::all_of(planned.drm_level.begin(), planned.drm_level.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!is_number || planned.drm_level.size() > kDrmLevelDigits)
      return fail(Errc::refused, fmt::format("DRMLevel \"{}\" is no number", base::printable(planned.drm_level)));
    member.attributes.push_back({"DRMLevel", planned.drm_level, formats::kNameValueFlags});
  }
  if (planned.is_pe_trusted) member.attributes.push_back({"PETrusted", "1", formats::kNameValueFlags});
  return member;
}

}  // namespace

Result<formats::CatalogContent> catalog_content(const PlannedCatalog& planned, std::span<const OsTarget* const> asked_for,
                                                const DigestsOf& digests_of) {
  const std::vector<const OsTarget*> targets = TRY(targets_of_os_attribute(planned.os, asked_for));
  if (targets.empty()) return fail(Errc::refused, "the catalog is for no operating system");
  if (planned.members.empty()) return fail(Errc::refused, "the catalog would have no members");
  formats::CatalogContent content;
  content.version = catalog_version(targets);
  content.os = planned.os;
  content.hardware_ids = planned.hardware_ids;
  constexpr std::uint32_t kPeFlags = 0x00010001;   // unlike all others
  if (planned.is_pe_trusted) content.attributes.push_back({"PE", "TRUSTED", kPeFlags});
  const std::string versions = os_attr_attribute(targets);
  for (const PlannedMember& member : planned.members) {
    formats::CatalogMember found = TRY(base::within(base::printable(member.path), member_content(member, versions, digests_of)));
    content.members.push_back(std::move(found));
  }
  return content;
}

}  // namespace package
