#include "crypto/package/finding_ids.hpp"

#include <algorithm>
#include <array>

#include "crypto/base/text.hpp"

namespace package {

namespace {

constexpr std::array<std::string_view, 46> kFindingIds = {
    "catalog.delivered",
    "catalog.not-readable",
    "catalog.replaced",
    "catalog.sha1-only",
    "deny-list.digest",
    "deny-list.name",
    "file.not-readable",
    "inf.boot-start",
    "inf.boot-start-not-signed",
    "inf.catalogfile-malformed",
    "inf.catalogfile-missing",
    "inf.copyinf-missing",
    "inf.driverver-future",
    "inf.driverver-missing",
    "inf.driverver-too-old",
    "inf.file-compressed",
    "inf.file-missing",
    "inf.models-not-decorated",
    "inf.name-clash",
    "inf.not-a-driver",
    "inf.not-copied",
    "inf.not-readable",
    "inf.pnplockdown-missing",
    "inf.redistribution",
    "inf.section-missing",
    "inf.signature-attributes",
    "inf.signature-attributes-unused",
    "inf.sourcedisksfiles-missing",
    "inspection.facts-left-out",
    "inspection.findings-left-out",
    "os.unknown",
    "package.beyond-attestation",
    "package.name-clash",
    "package.no-inf",
    "package.too-large",
    "package.too-many-hardware-ids",
    "package.too-many-infs",
    "pe.already-signed",
    "pe.ambiguous-layout",
    "pe.debug-build",
    "pe.details-not-readable",
    "pe.no-cfg",
    "pe.no-nx",
    "pe.not-readable",
    "pe.signed-by-other",
    "pe.writable-code",
};

}  // namespace

std::span<const std::string_view> finding_ids() { return kFindingIds; }

bool is_finding_id(std::string_view id) { return std::find(kFindingIds.begin(), kFindingIds.end(), id) != kFindingIds.end(); }

std::string_view nearest_finding_id(std::string_view id) {
  return *std::min_element(kFindingIds.begin(), kFindingIds.end(),
                           [&](std::string_view a, std::string_view b) { return base::edits(id, a) < base::edits(id, b); });
}

}  // namespace package
