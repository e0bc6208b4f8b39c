#include "crypto/package/image_details.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "crypto/base/limits.hpp"
#include "crypto/formats/pe_details.hpp"
#include "crypto/package/verification.hpp"

namespace package {

namespace {

void tell_signers(const PackageFile& file, base::Time today, PeFile& found) {
  const Verdict verdict = verify_pe(*file.bytes, {}, today);
  found.signer = verdict.signer.substr(0, std::min(verdict.signer.size(), base::limits::kFactTextBytes / 2));
  if (!base::is_utf8(found.signer)) found.signer = base::printable(found.signer);
  // A signature that is good in itself and lies in another file says nothing of this one.
  const bool is_of_file = std::none_of(verdict.findings.begin(), verdict.findings.end(), [](const Finding& finding) {
    return finding.severity == Severity::error && (finding.id.starts_with("pe.") || finding.id.starts_with("signature."));
  });
  for (const Verdict::GoodSignature& good : verdict.good_signatures)
    if (is_of_file && found.signer_keys.size() + 1 < base::limits::kSignatures) found.signer_keys.push_back(good.key.hex());
  if (found.signer_keys.size() < verdict.signatures || found.signer_keys.empty()) found.signer_keys.emplace_back();
}

std::string joined_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + base::printable(name);
  return text;
}

// Every build has a debug directory: it names the symbols. A debug build shows in the runtime it wants, or says so itself.
void find_debug_build(const std::string& path, const formats::PeDetails& details, InspectionBuilder& out) {
  constexpr std::string_view kRemedy = "send the release build: debug builds check less, tell more, and want files that customers do not have";
  if (details.imports)
    for (const std::string& dll : *details.imports)
      if (is_debug_runtime(dll))
        return out.finding("pe.debug-build", Severity::warning, path, 0, fmt::format("imports from the debug runtime {}", base::printable(dll)), std::string(kRemedy));
  if (details.version && *details.version && (*details.version)->is_debug)
    out.finding("pe.debug-build", Severity::warning, path, 0, "the version resource says VS_FF_DEBUG", std::string(kRemedy));
}

}  // namespace

bool is_debug_runtime(std::string_view dll) {
  std::string name = base::lower_ascii(dll);
  if (!name.ends_with("d.dll")) return false;
  name.resize(name.size() - 5);
  if (name == "msvcrt" || name == "ucrtbase") return true;
  // NAME, then digits of a version, then perhaps what follows it: msvcp140, vcruntime140_1, mfc140u, msvcp140_atomic_wait.
  constexpr std::array<std::string_view, 9> kFamilies = {"vcruntime", "vccorlib", "concrt", "msvcr", "msvcp", "vcomp", "vcamp", "mfcm", "mfc"};
  return std::any_of(kFamilies.begin(), kFamilies.end(), [&](std::string_view family) {
    return name.size() > family.size() && name.starts_with(family) && name[family.size()] >= '0' && name[family.size()] <= '9';
  });
}

void inspect_details(const PackageFile& file, const formats::PeImage& image, base::Time today, PeFile& found, InspectionBuilder& out) {
  if (image.is_signed()) tell_signers(file, today, found);
  const base::Result<formats::PeDetails> details = formats::PeDetails::read(*file.bytes, image);
  const auto not_readable = [&](const base::Error& error) {
    out.finding("pe.details-not-readable", Severity::note, file.path, 0, error.text(),
                "link the file again; rules about imports, mitigations and versions cannot be held against it");
  };
  if (!details) return not_readable(details.error());
  if (!details->imports) not_readable(details->imports.error());
  if (!details->version) not_readable(details->version.error());
  if (details->version && *details->version) {
    found.original_name = (*details->version)->original_name.substr(0, base::limits::kImportNameBytes);
    if (!base::is_utf8(found.original_name)) found.original_name = base::printable(found.original_name);
    found.file_version = (*details->version)->file_version;
  }
  find_debug_build(file.path, *details, out);
  if (!details->writable_code.empty())
    out.finding("pe.writable-code", Severity::warning, file.path, 0,
                fmt::format("sections that may be written and executed: {}", joined_names(details->writable_code)),
                "link with sections that are one or the other: memory integrity of Windows does not load such drivers");
  if (!details->has_nx)
    out.finding("pe.no-nx", Severity::note, file.path, 0, "not linked with /NXCOMPAT: its data may be executed", "link with /NXCOMPAT");
  if (!details->has_cfg)
    out.finding("pe.no-cfg", Severity::note, file.path, 0, "not linked with /guard:cf: calls through pointers are not checked", "compile and link with /guard:cf");
}

}  // namespace package
