#include "appliance/review.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "crypto/base/text.hpp"
#include "crypto/base/words.hpp"

namespace appliance {

using base::printable;

namespace {

// What the submitter or the inspector said is cut where it would bury the rest; files and signatures never are.
constexpr std::size_t kLineBytes = 500;
constexpr std::size_t kSectionLines = 1000;

void add_line(Section& section, std::string line) {
  if (line.size() > kLineBytes) {
    std::size_t end = kLineBytes;
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80) --end;   // not inside a character
    line = fmt::format("{} ... ({} bytes more)", line.substr(0, end), line.size() - end);
  }
  section.lines.push_back(std::move(line));
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + printable(part);
  return text;
}

Section request_section(const RequestRecord& record, const wire::Request& request) {
  std::vector<std::string> operations;
  for (const wire::Operation operation : request.operations) operations.emplace_back(wire::operation_name(operation));
  Section section{"Request", {}};
  const auto id = base::from_hex(record.id);
  section.lines = {fmt::format("id            {}", record.id),
                   fmt::format("in words      {}", id ? base::fingerprint_words(*id) : ""),
                   fmt::format("submitted by  {}", printable(record.submitter)),
                   fmt::format("profile       {}", printable(request.profile)),
                   fmt::format("for           {}", joined(request.os_targets)),
                   fmt::format("operations    {}", joined(operations)),
                   fmt::format("made          {}", base::rfc3339(request.created)),
                   fmt::format("received      {}", base::rfc3339(record.received_at))};
  if (!request.note.empty()) section.lines.push_back(fmt::format("note          {}", printable(request.note)));
  return section;
}

Section facts_section(const package::Inspection& inspection) {
  Section section{"As read from the INF", {}};
  for (const package::Fact& fact : inspection.facts) {
    if (section.lines.size() >= kSectionLines) break;
    add_line(section, fmt::format("{:<16}  {}{}", printable(fact.name), printable(fact.value),
                                  fact.file.empty() ? "" : "   (" + printable(fact.file) + ")"));
  }
  if (inspection.facts.size() > kSectionLines)
    section.lines.push_back(fmt::format("... and {} more, which are not shown", inspection.facts.size() - kSectionLines));
  return section;
}

Section findings_section(const package::Inspection& inspection) {
  Section section{"Findings", {}};
  // The worst first: no number of notes may push a warning off the screen.
  std::vector<package::Finding> findings = inspection.findings;
  std::stable_sort(findings.begin(), findings.end(), [](const auto& a, const auto& b) { return a.severity > b.severity; });
  std::size_t shown = 0;
  for (const package::Finding& finding : findings) {
    if (++shown > kSectionLines) break;
    const std::string place = finding.line == 0 ? finding.file : fmt::format("{}:{}", finding.file, finding.line);
    add_line(section, fmt::format("{:<8} {}  {}{}", severity_name(finding.severity), printable(finding.id),
                                        place.empty() ? "" : printable(place) + ": ", printable(finding.cause)));
    if (!finding.remedy.empty()) add_line(section, "         what to do: " + printable(finding.remedy));
  }
  if (inspection.findings.size() > kSectionLines)
    section.lines.push_back(fmt::format("... and {} more, which are not shown", inspection.findings.size() - kSectionLines));
  if (section.lines.empty()) section.lines.emplace_back("none");
  return section;
}

Section files_section(const wire::Request& request) {
  Section section{fmt::format("Files ({})", request.files.size()), {}};
  for (const wire::FileEntry& file : request.files)
    section.lines.push_back(fmt::format("{}  {:>12} bytes  sha256 {}", printable(file.path), file.size, file.sha256.hex()));
  return section;
}

// Every member: one that does not belong there must not hide behind others. Files without a line here are named too.
Section catalog_section(const SigningPlan::CatalogSummary& catalog, const wire::Request& request) {
  Section section{fmt::format("Catalog {} ({}, version {}, {} files)", printable(catalog.path), catalog.is_delivered ? "signed as delivered" : "made from the INF",
                              catalog.version, catalog.members.size()),
                  {}};
  add_line(section, fmt::format("systems       {}", catalog.os.empty() ? "any: the catalog names none" : printable(catalog.os)));
  add_line(section, fmt::format("hardware ids  {}: {}", catalog.hardware_ids.size(), joined(catalog.hardware_ids)));
  std::set<std::string_view> listed;
  for (const SigningPlan::CatalogSummary::Member& member : catalog.members) {
    listed.insert(member.path);
    const bool is_renamed = !member.file.empty() && !base::equal_ignoring_case(member.path.substr(member.path.rfind('/') + 1), member.file);
    add_line(section, fmt::format("{}{}  {}{}{}", printable(member.path), is_renamed ? " as " + printable(member.file) : "", formats::member_kind_name(member.kind),
                                  member.has_page_hashes ? ", page hashes" : "", member.os_attr.empty() ? "" : ", for " + printable(member.os_attr)));
  }
  std::string others;
  for (const wire::FileEntry& file : request.files)
    if (!listed.contains(file.path) && !base::lower_ascii(file.path).ends_with(".cat")) others += (others.empty() ? "" : ", ") + printable(file.path);
  if (!others.empty()) add_line(section, "not listed    " + others);
  return section;
}

Section signing_section(const transparency::SigningSet& set) {
  Section section{fmt::format("What would be signed ({} signatures)", set.items.size()), {}};
  for (const transparency::SigningItem& item : set.items)
    section.lines.push_back(fmt::format("{}  {}  {}", printable(item.file), item.slot, transparency::digest_text(item.digest)));
  return section;
}

// What stands in every signature, and what Windows shows of it.
Section form_section(const SignatureForm& form) {
  Section section{"In every signature", {}};
  const auto or_none = [](const std::string& text) { return text.empty() ? std::string("none") : printable(text); };
  add_line(section, fmt::format("description   {}", or_none(form.attributes.description)));
  add_line(section, fmt::format("url           {}", or_none(form.attributes.url)));
  if (form.sha1 == crypto::Sha1::for_old_windows)
    add_line(section, "old Windows   files get two signatures: SHA-1 for systems before Windows 8, and SHA-256 nested in it");
  return section;
}

}  // namespace

std::string_view severity_name(package::Severity severity) {
  switch (severity) {
    case package::Severity::note:
      return "note";
    case package::Severity::warning:
      return "warning";
    case package::Severity::error:
      return "error";
  }
  return "unknown";
}

std::string banner_of(const std::string& appliance_name, attest::Mode mode, const std::string& tpm_kind) {
  if (mode == attest::Mode::production)
    return fmt::format("{}   production mode: {} TPM; what PCR 7 and 11 say of the firmware is approved, the image is not measured yet.",
                       appliance_name, tpm_kind);
  return fmt::format("{}   DEVELOPMENT MODE: {} TPM, firmware not measured. Not for release keys.", appliance_name, tpm_kind);
}

Document review_of(const RequestRecord& record, const SpooledRequest& spooled, const package::Inspection& inspection,
                   const KeyClass& key_class, const crypto::SigningIdentity& identity, const SignatureForm& form,
                   const transparency::SigningSet& set, const std::vector<SigningPlan::CatalogSummary>& catalogs) {
  Document document;
  document.sections = {request_section(record, spooled.request), facts_section(inspection), findings_section(inspection),
                       files_section(spooled.request)};
  for (const SigningPlan::CatalogSummary& catalog : catalogs) document.sections.push_back(catalog_section(catalog, spooled.request));
  document.sections.push_back(signing_section(set));
  document.sections.push_back(form_section(form));
  document.sections.push_back(
      {"With this key",
       {fmt::format("key class     {}: {} of {} officers", key_class.name, key_class.quorum.m, key_class.quorum.officers.size()),
        fmt::format("certificate   {}", identity.leaf().subject()),
        fmt::format("valid until   {}", base::rfc3339(identity.leaf().not_after())),
        fmt::format("key name      {}", base::hex(key_class.key_name))}});
  document.sections.push_back(
      {"Signing set: everything above in words, as the receipt will say it", {set.words(), set.fingerprint().hex()}});
  return document;
}

}  // namespace appliance
