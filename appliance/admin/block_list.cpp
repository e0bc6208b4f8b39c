#include "appliance/admin/block_list.hpp"

#include <expat.h>
#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "crypto/base/limits.hpp"
#include "crypto/package/deny_list.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

namespace {

struct FileRule {
  std::string hash;
  std::string name;
  std::string lowest;
  std::string highest;
};

struct Policy {
  std::vector<FileRule> denied;
  std::map<std::string, FileRule> files;                       // FileAttrib, by its ID
  std::map<std::string, std::vector<std::string>> of_signer;   // FileAttribRef, by the signer's ID
  std::set<std::string> denied_signers;
  std::string signer;   // that is being read
  std::size_t rules = 0;
  bool is_policy = false;
  bool has_doctype = false;
  bool too_many = false;
  XML_Parser parser = nullptr;
};

std::string_view local_name(std::string_view name) { return name.substr(name.rfind(':') == std::string_view::npos ? 0 : name.rfind(':') + 1); }

std::string attribute(const XML_Char** attributes, std::string_view wanted) {
  for (std::size_t i = 0; attributes[i] != nullptr; i += 2)
    if (local_name(attributes[i]) == wanted) return attributes[i + 1];
  return {};
}

FileRule file_rule(const XML_Char** attributes) {
  return {attribute(attributes, "Hash"), attribute(attributes, "FileName"), attribute(attributes, "MinimumFileVersion"), attribute(attributes, "MaximumFileVersion")};
}

void on_start(void* data, const XML_Char* element, const XML_Char** attributes) {
  auto& policy = *static_cast<Policy*>(data);
  const std::string_view name = local_name(element);
  if (++policy.rules > 10 * base::limits::kDenyListRules) {
    policy.too_many = true;
    (void)XML_StopParser(policy.parser, XML_FALSE);
    return;
  }
  if (name == "SiPolicy") policy.is_policy = true;
  else if (name == "Deny") policy.denied.push_back(file_rule(attributes));
  else if (name == "FileAttrib") policy.files.insert_or_assign(attribute(attributes, "ID"), file_rule(attributes));
  else if (name == "Signer") policy.signer = attribute(attributes, "ID");
  else if (name == "FileAttribRef") policy.of_signer[policy.signer].push_back(attribute(attributes, "RuleID"));
  else if (name == "DeniedSigner") policy.denied_signers.insert(attribute(attributes, "SignerId"));
}

void on_doctype(void* data, const XML_Char*, const XML_Char*, const XML_Char*, int) {
  auto& policy = *static_cast<Policy*>(data);
  policy.has_doctype = true;
  (void)XML_StopParser(policy.parser, XML_FALSE);
}

// Microsoft's two forms: a range, or one end. Of a rule that denies, the lowest alone is the last version that is denied
// ("bginfo.exe" up to 4.21.0.0 in "Applications that can bypass App Control"), and 65535.65535.65535.65535 is every version.
Result<package::DeniedName> denied_name(const FileRule& rule) {
  constexpr formats::FileVersion kHighest = ~formats::FileVersion{0};
  package::DeniedName name{0, kHighest, rule.name};
  if (!rule.highest.empty()) {
    name.highest = TRY(formats::version_from_text(rule.highest));
    if (!rule.lowest.empty()) name.lowest = TRY(formats::version_from_text(rule.lowest));
  } else if (!rule.lowest.empty()) {
    name.highest = TRY(formats::version_from_text(rule.lowest));
  }
  return name;
}

// As a line; "" for what cannot be held against a file.
std::string line_of(const FileRule& rule) {
  if (!rule.hash.empty()) {
    const Result<base::Bytes> octets = base::from_hex(rule.hash);
    if (!octets || (octets->size() != 20 && octets->size() != 32)) return {};
    return package::deny_line(*crypto::Digest::from_bytes(octets->size() == 20 ? crypto::DigestAlgorithm::sha1 : crypto::DigestAlgorithm::sha256, *octets));
  }
  if (rule.name.empty() || rule.name.find('*') != std::string::npos) return {};
  const Result<package::DeniedName> name = denied_name(rule);
  return name ? package::deny_line(*name) : std::string();
}

}  // namespace

Result<BlockList> read_block_list(base::ByteView xml) {
  if (xml.size() > base::limits::kBlockListXmlBytes)
    return fail(Errc::too_large, fmt::format("{} bytes, at most {}", xml.size(), base::limits::kBlockListXmlBytes));
  Policy policy;
  const std::unique_ptr<std::remove_pointer_t<XML_Parser>, decltype(&XML_ParserFree)> parser(XML_ParserCreate(nullptr), XML_ParserFree);
  if (parser == nullptr) return fail(Errc::unavailable, "no memory for an XML parser");
  policy.parser = parser.get();
  XML_SetUserData(parser.get(), &policy);
  XML_SetStartElementHandler(parser.get(), on_start);
  XML_SetStartDoctypeDeclHandler(parser.get(), on_doctype);
  const std::string text(base::as_text(xml));
  const XML_Status status = XML_Parse(parser.get(), text.c_str(), static_cast<int>(text.size()), XML_TRUE);
  if (policy.has_doctype) return fail(Errc::refused, "has a document type, which policies do not");
  if (policy.too_many) return fail(Errc::too_large, fmt::format("more than {} elements", 10 * base::limits::kDenyListRules));
  if (status != XML_STATUS_OK)
    return fail(Errc::malformed, fmt::format("line {}: {}", XML_GetCurrentLineNumber(parser.get()), XML_ErrorString(XML_GetErrorCode(parser.get()))));
  if (!policy.is_policy) return fail(Errc::malformed, "no SiPolicy element: not a policy of App Control (the block list is such a one)");

  BlockList list;
  std::set<std::string> lines;
  const auto add = [&](const FileRule& rule) {
    std::string line = line_of(rule);
    if (line.empty()) {
      ++list.left_out;
      return;
    }
    std::size_t& kind = rule.hash.empty() ? list.names : list.digests;
    if (lines.insert(std::move(line)).second) ++kind;
  };
  for (const FileRule& rule : policy.denied) add(rule);
  for (const std::string& signer : policy.denied_signers) {
    const auto files = policy.of_signer.find(signer);
    if (files == policy.of_signer.end()) {
      ++list.whole_signers;
      continue;
    }
    for (const std::string& id : files->second)
      if (const auto file = policy.files.find(id); file != policy.files.end()) add(file->second);
  }
  if (lines.size() > base::limits::kDenyListRules)
    return fail(Errc::too_large, fmt::format("{} rules, at most {}", lines.size(), base::limits::kDenyListRules));
  for (const std::string& line : lines) list.rules += line;
  return list;
}

}  // namespace appliance
