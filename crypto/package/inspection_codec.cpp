// The inspector's answer as bytes: a version, then each list as a 32-bit count and its items, texts as 32-bit length and
// UTF-8. Nothing optional, nothing skipped, so that two different answers never have the same bytes.
#include <fmt/format.h>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/package/inspection.hpp"

namespace package {

using base::ByteReader;
using base::ByteWriter;
using base::Errc;
using base::fail;
using base::Result;
namespace limits = base::limits;

namespace {

constexpr std::uint32_t kVersion = 0x33534E49;   // "INS3"

void put(ByteWriter& out, std::string_view text) { out.put_counted(base::as_bytes(text)); }
void put_count(ByteWriter& out, std::size_t count) { out.u32le(static_cast<std::uint32_t>(count)); }

Result<std::string> text(ByteReader& in, std::size_t limit) {
  const base::ByteView bytes = TRY(in.take_counted(limit));
  if (!base::is_utf8(base::as_text(bytes))) return fail(Errc::malformed, fmt::format("text at {} is not UTF-8", in.offset() - bytes.size()));
  return std::string(base::as_text(bytes));
}

// A count under its limit, and not more than the bytes that are left could hold at `least` bytes an item.
Result<std::size_t> count(ByteReader& in, std::size_t limit, std::size_t least, std::string_view what) {
  const std::uint32_t value = TRY(in.u32le());
  if (value > limit) return fail(Errc::too_large, fmt::format("{} {}, at most {}", value, what, limit));
  if (value > in.remaining() / least) return fail(Errc::malformed, fmt::format("{} {} in {} bytes", value, what, in.remaining()));
  return std::size_t{value};
}

Result<bool> yes_or_no(ByteReader& in) {
  const std::uint8_t value = TRY(in.u8());
  if (value > 1) return fail(Errc::malformed, fmt::format("{} for yes or no", value));
  return value == 1;
}

Result<Finding> finding(ByteReader& in) {
  Finding finding;
  finding.id = TRY(text(in, limits::kFactTextBytes));
  const std::uint8_t severity = TRY(in.u8());
  if (severity > static_cast<std::uint8_t>(Severity::error)) return fail(Errc::malformed, fmt::format("severity {}", severity));
  finding.severity = static_cast<Severity>(severity);
  finding.file = TRY(text(in, limits::kFactTextBytes));
  finding.line = TRY(in.u32le());
  finding.cause = TRY(text(in, limits::kFactTextBytes));
  finding.remedy = TRY(text(in, limits::kFactTextBytes));
  return finding;
}

Result<PlannedCatalog> catalog(ByteReader& in) {
  PlannedCatalog catalog;
  catalog.path = TRY(text(in, limits::kFactTextBytes));
  catalog.os = TRY(text(in, limits::kAttributeTextBytes));
  const std::size_t ids = TRY(count(in, limits::kCatalogAttributes, 4, "hardware ids"));
  catalog.hardware_ids.reserve(ids);
  for (std::size_t i = 0; i < ids; ++i) {
    std::string id = TRY(text(in, limits::kAttributeTextBytes));
    catalog.hardware_ids.push_back(std::move(id));
  }
  const std::size_t members = TRY(count(in, limits::kCatalogMembers, 18, "members"));
  catalog.members.reserve(members);
  for (std::size_t i = 0; i < members; ++i) {
    PlannedMember member;
    member.path = TRY(text(in, limits::kFactTextBytes));
    member.file = TRY(text(in, limits::kAttributeTextBytes));
    member.os_attr = TRY(text(in, limits::kAttributeTextBytes));
    member.drm_level = TRY(text(in, limits::kAttributeTextBytes));
    member.is_pe_trusted = TRY(yes_or_no(in));
    member.has_page_hashes = TRY(yes_or_no(in));
    catalog.members.push_back(std::move(member));
  }
  catalog.is_pe_trusted = TRY(yes_or_no(in));
  return catalog;
}

Result<PeFile> pe_file(ByteReader& in) {
  PeFile file;
  file.path = TRY(text(in, limits::kFactTextBytes));
  file.machine = TRY(text(in, limits::kFactTextBytes));
  file.is_signed = TRY(yes_or_no(in));
  file.signer = TRY(text(in, limits::kFactTextBytes));
  const std::size_t keys = TRY(count(in, limits::kSignatures, 4, "signatures"));
  for (std::size_t i = 0; i < keys; ++i) {
    std::string key = TRY(text(in, limits::kNameBytes));
    file.signer_keys.push_back(std::move(key));
  }
  file.original_name = TRY(text(in, limits::kFactTextBytes));
  file.file_version = TRY(in.u64le());
  return file;
}

}  // namespace

base::Bytes encode_inspection(const Inspection& inspection) {
  ByteWriter out;
  out.u32le(kVersion);
  put_count(out, inspection.facts.size());
  for (const Fact& fact : inspection.facts) {
    put(out, fact.file);
    put(out, fact.name);
    put(out, fact.value);
  }
  put_count(out, inspection.findings.size());
  for (const Finding& finding : inspection.findings) {
    put(out, finding.id);
    out.u8(static_cast<std::uint8_t>(finding.severity));
    put(out, finding.file);
    out.u32le(finding.line);
    put(out, finding.cause);
    put(out, finding.remedy);
  }
  put_count(out, inspection.catalogs.size());
  for (const PlannedCatalog& catalog : inspection.catalogs) {
    put(out, catalog.path);
    put(out, catalog.os);
    put_count(out, catalog.hardware_ids.size());
    for (const std::string& id : catalog.hardware_ids) put(out, id);
    put_count(out, catalog.members.size());
    for (const PlannedMember& member : catalog.members) {
      put(out, member.path);
      put(out, member.file);
      put(out, member.os_attr);
      put(out, member.drm_level);
      out.u8(member.is_pe_trusted ? 1 : 0);
      out.u8(member.has_page_hashes ? 1 : 0);
    }
    out.u8(catalog.is_pe_trusted ? 1 : 0);
  }
  put_count(out, inspection.pe_files.size());
  for (const PeFile& file : inspection.pe_files) {
    put(out, file.path);
    put(out, file.machine);
    out.u8(file.is_signed ? 1 : 0);
    put(out, file.signer);
    put_count(out, file.signer_keys.size());
    for (const std::string& key : file.signer_keys) put(out, key);
    put(out, file.original_name);
    out.u64le(file.file_version);
  }
  return std::move(out).bytes();
}

Result<Inspection> decode_inspection(base::ByteView bytes) {
  if (bytes.size() > limits::kInspectionBytes)
    return fail(Errc::too_large, fmt::format("an inspection of {} bytes, at most {}", bytes.size(), limits::kInspectionBytes));
  ByteReader in(bytes);
  const std::uint32_t version = TRY(in.u32le());
  if (version != kVersion)
    return fail(Errc::malformed, fmt::format("not an inspection: {:#010x} at its start", version));
  Inspection inspection;
  const std::size_t facts = TRY(count(in, limits::kFacts, 12, "facts"));
  for (std::size_t i = 0; i < facts; ++i) {
    Fact fact;
    fact.file = TRY(text(in, limits::kFactTextBytes));
    fact.name = TRY(text(in, limits::kFactTextBytes));
    fact.value = TRY(text(in, limits::kFactTextBytes));
    inspection.facts.push_back(std::move(fact));
  }
  const std::size_t findings = TRY(count(in, limits::kFindings, 21, "findings"));
  for (std::size_t i = 0; i < findings; ++i) {
    Finding found = TRY(finding(in));
    inspection.findings.push_back(std::move(found));
  }
  const std::size_t catalogs = TRY(count(in, limits::kCatalogs, 17, "catalogs"));
  for (std::size_t i = 0; i < catalogs; ++i) {
    PlannedCatalog planned = TRY(catalog(in));
    inspection.catalogs.push_back(std::move(planned));
  }
  const std::size_t images = TRY(count(in, limits::kPackageFiles, 29, "PE files"));
  for (std::size_t i = 0; i < images; ++i) {
    PeFile file = TRY(pe_file(in));
    inspection.pe_files.push_back(std::move(file));
  }
  TRY(in.expect_end());
  return inspection;
}

}  // namespace package
