// How findings and facts are shown: sentences for people, objects for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crypto/package/inspection.hpp"

namespace host_tool {

using Json = nlohmann::ordered_json;

std::string_view severity_name(package::Severity severity);   // "note", "warning", "error"
bool has_errors(const std::vector<package::Finding>& findings);

// The worst first; every one with id, place, cause and remedy.
void print_findings(std::vector<package::Finding> findings);
Json findings_json(const std::vector<package::Finding>& findings);

void print_inspection(const package::Inspection& inspection);
Json inspection_json(const package::Inspection& inspection);

// One line on stdout. Text that is not UTF-8 is shown with replacement characters.
void print_json(const Json& value);

}  // namespace host_tool
