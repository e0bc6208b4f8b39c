#include "host-tool/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "crypto/base/text.hpp"

namespace host_tool {

using base::printable;
using package::Finding;
using package::Severity;

std::string_view severity_name(Severity severity) {
  switch (severity) {
    case Severity::note:
      return "note";
    case Severity::warning:
      return "warning";
    case Severity::error:
      return "error";
  }
  base::stop("no such severity");
}

bool has_errors(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(), [](const Finding& f) { return f.severity == Severity::error; });
}

void print_findings(std::vector<Finding> findings) {
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  for (const Finding& finding : findings) {
    std::string place = printable(finding.file);
    if (finding.line != 0) place += fmt::format(":{}", finding.line);
    if (!place.empty()) place += ": ";
    fmt::print("{} {}\n    {}{}\n", severity_name(finding.severity), printable(finding.id), place,
               printable(finding.cause));
    if (!finding.remedy.empty()) fmt::print("    -> {}\n", printable(finding.remedy));
  }
}

Json findings_json(const std::vector<Finding>& findings) {
  Json list = Json::array();
  for (const Finding& finding : findings)
    list.push_back({{"id", finding.id},
                    {"severity", severity_name(finding.severity)},
                    {"file", finding.file},
                    {"line", finding.line},
                    {"cause", finding.cause},
                    {"remedy", finding.remedy}});
  return list;
}

void print_inspection(const package::Inspection& inspection) {
  std::string file;
  for (const package::Fact& fact : inspection.facts) {
    if (fact.file != file) fmt::print("{}\n", fact.file.empty() ? "package" : printable(fact.file));
    file = fact.file;
    fmt::print("    {:<16} {}\n", printable(fact.name), printable(fact.value));
  }
  for (const package::PeFile& pe : inspection.pe_files)
    fmt::print("{:<40} PE for {}, {}\n", printable(pe.path), printable(pe.machine), pe.is_signed ? "signed" : "not signed");
  for (const package::PlannedCatalog& catalog : inspection.catalogs)
    fmt::print("{:<40} catalog to make: {} files, {}\n", printable(catalog.path), catalog.members.size(),
               printable(catalog.os));
  if (!inspection.findings.empty()) fmt::print("\n");
  print_findings(inspection.findings);
}

Json inspection_json(const package::Inspection& inspection) {
  Json facts = Json::array();
  for (const package::Fact& fact : inspection.facts)
    facts.push_back({{"file", fact.file}, {"name", fact.name}, {"value", fact.value}});
  Json pe_files = Json::array();
  for (const package::PeFile& pe : inspection.pe_files)
    pe_files.push_back({{"path", pe.path}, {"machine", pe.machine}, {"signed", pe.is_signed}});
  Json catalogs = Json::array();
  for (const package::PlannedCatalog& catalog : inspection.catalogs) {
    Json members = Json::array();
    for (const package::PlannedMember& member : catalog.members)
      members.push_back({{"path", member.path},
                         {"file", member.file},
                         {"osAttr", member.os_attr},
                         {"drmLevel", member.drm_level},
                         {"peTrusted", member.is_pe_trusted},
                         {"pageHashes", member.has_page_hashes}});
    catalogs.push_back({{"path", catalog.path},
                        {"os", catalog.os},
                        {"hardwareIds", catalog.hardware_ids},
                        {"members", std::move(members)}});
  }
  return {{"facts", std::move(facts)},
          {"peFiles", std::move(pe_files)},
          {"catalogs", std::move(catalogs)},
          {"findings", findings_json(inspection.findings)}};
}

void print_json(const Json& value) {
  fmt::print("{}\n", value.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace host_tool
