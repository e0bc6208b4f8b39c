// coldseal verify: whether signed files are what they should be, by their signatures, catalogs and receipt.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "crypto/base/command_line.hpp"
#include "crypto/base/limits.hpp"
#include "host-tool/command.hpp"
#include "host-tool/package_folder.hpp"
#include "host-tool/package_verdict.hpp"
#include "host-tool/receipt_check.hpp"
#include "host-tool/report.hpp"
#include "host-tool/trust.hpp"
#include "usb/files/safe_write.hpp"

namespace host_tool {
namespace {

using base::Errc;
using base::fail;
using base::printable;
using base::Result;

struct VerifyOptions {
  std::vector<std::string> paths;
  std::string catalog;
  std::string receipt;
  std::vector<std::string> trust;
  std::string at;
  std::string policy = "authenticode";
  bool json = false;
};

struct Report {  // of one PATH
  std::string path;
  PackageVerdict package;
};

std::string_view verdict_word(const FileVerdict& file) {
  if (has_errors(file.findings)) return "INVALID";
  if (!file.signer.empty()) return "valid";
  return file.vouched_by.empty() ? "-" : "by catalog";
}

void print_report(const Report& report) {
  std::size_t width = 4;
  for (const FileVerdict& file : report.package.files) width = std::max(width, printable(file.path).size());
  width = std::min<std::size_t>(width, 60);
  fmt::print("{}\n  {:<{}}  {:<8} {:<10}  {}\n", printable(report.path), "file", width, "kind", "verdict", "signed by");
  for (const FileVerdict& file : report.package.files) {
    std::string signer = printable(file.signer);
    if (signer.empty())
      for (const std::string& catalog : file.vouched_by) signer += (signer.empty() ? "" : ", ") + printable(catalog);
    fmt::print("  {:<{}}  {:<8} {:<10}  {}\n", printable(file.path), width, file_kind_name(file.kind), verdict_word(file),
               signer);
  }
  fmt::print("\n");
  for (const FileVerdict& file : report.package.files) {
    std::vector<package::Finding> shown = file.findings;
    std::erase_if(shown, [](const package::Finding& finding) { return finding.id == "catalog.not-covered"; });
    print_findings(std::move(shown));
  }
}

Json report_json(const Report& report) {
  Json files = Json::array();
  for (const FileVerdict& file : report.package.files)
    files.push_back({{"path", file.path},
                     {"kind", file_kind_name(file.kind)},
                     {"valid", !has_errors(file.findings)},
                     {"signer", file.signer},
                     {"certificateSha256", file.certificate ? Json(file.certificate->hex()) : Json(nullptr)},
                     {"vouchedBy", file.vouched_by},
                     {"findings", findings_json(file.findings)}});
  Json members = Json::array();
  for (const MemberVerdict& member : report.package.members)
    members.push_back({{"catalog", member.catalog},
                       {"file", member.file},
                       {"state", member_state_name(member.state)},
                       {"path", member.path}});
  return {{"path", report.path}, {"files", std::move(files)}, {"catalogMembers", std::move(members)}};
}

void print_receipt(const ReceiptVerdict& verdict) {
  if (verdict.receipt) {
    const transparency::Receipt& receipt = *verdict.receipt;
    fmt::print("receipt      {} by {} ({}), {}\n", transparency::outcome_name(receipt.outcome),
               printable(receipt.appliance.name), receipt.appliance.mode, base::rfc3339(receipt.created));
    fmt::print("request      {}\n", receipt.request_id);
    if (receipt.key)
      fmt::print("key          {} officers must approve; TPM name {}\n", receipt.key->officers, base::hex(receipt.key->name));
    if (receipt.signing_set)
      fmt::print("signing set  {}\n             {}\n", receipt.signing_set->words(),
                 receipt.signing_set->fingerprint().hex());
    for (const transparency::Approval& approval : receipt.approvals)
      fmt::print("approved by  {} ({}) at {}\n", printable(approval.officer), printable(approval.method),
                 base::rfc3339(approval.at));
    fmt::print("Each signature is by this key over a digest of the signing set. That the key's TPM demands so many officers is "
               "not attested yet; names and times are the appliance's word.\n\n");
  }
  print_findings(verdict.findings);
}

Json receipt_json(const ReceiptVerdict& verdict) {
  Json about = nullptr;
  if (verdict.receipt) {
    const transparency::Receipt& receipt = *verdict.receipt;
    about = {{"outcome", transparency::outcome_name(receipt.outcome)},
             {"reason", receipt.reason},
             {"request", receipt.request_id},
             {"created", base::rfc3339(receipt.created)},
             {"profile", receipt.profile},
             {"appliance", receipt.appliance.name},
             {"mode", receipt.appliance.mode}};
    if (receipt.signing_set) {
      about["fingerprint"] = receipt.signing_set->fingerprint().hex();
      about["words"] = receipt.signing_set->words();
    }
  }
  return {{"valid", !has_errors(verdict.findings)}, {"statement", about}, {"findings", findings_json(verdict.findings)}};
}

Result<package::Policy> policy_named(const std::string& name) {
  if (name == "authenticode") return package::Policy::authenticode;
  if (name == "kernel") return package::Policy::kernel;
  if (name == "uefi") return package::Policy::uefi;
  return fail(Errc::usage, "--policy " + printable(name) + ": authenticode, kernel or uefi wanted");
}

Result<Exit> verify(const VerifyOptions& options, base::Time now) {
  const Trust trust = TRY(Trust::load(options.trust));
  base::Time time = now;
  if (!options.at.empty()) time = TRY(base::within("--at", base::time_from_argument(options.at)));
  const package::Policy policy = TRY(policy_named(options.policy));
  if (!options.receipt.empty() && options.paths.size() != 1)
    return fail(Errc::usage, "--receipt is about one folder; give one PATH with it");
  std::optional<NamedCatalog> catalog;
  if (!options.catalog.empty()) {
    base::Bytes bytes = TRY(usb::read_file(options.catalog, base::limits::kCatalogBytes));
    catalog = NamedCatalog{options.catalog, std::move(bytes)};
  }

  ReceiptVerdict receipt;
  if (!options.receipt.empty()) {
    const base::Bytes text = TRY(usb::read_file(options.receipt, base::limits::kReceiptBytes));
    receipt = check_receipt(base::as_text(text), trust.receipt_keys);
  }
  std::vector<Report> reports;
  bool is_valid = true;
  for (const std::string& path : options.paths) {
    std::error_code ignored;
    const PackageFolder folder =
        TRY(std::filesystem::is_directory(path, ignored) ? PackageFolder::open(path) : PackageFolder::of_file(path));
    PackageVerdict verdict = TRY(verify_package(folder, catalog ? &*catalog : nullptr, trust.roots, time, policy));
    reports.push_back({path, std::move(verdict)});
    if (receipt.receipt) TRY(compare_outputs(*receipt.receipt, folder, reports.back().package, receipt.findings));
    is_valid = is_valid && reports.back().package.valid();
  }
  is_valid = is_valid && !has_errors(receipt.findings);

  if (options.json) {
    Json list = Json::array();
    for (const Report& report : reports) list.push_back(report_json(report));
    print_json({{"valid", is_valid},
                {"at", base::rfc3339(time)},
                {"paths", std::move(list)},
                {"receipt", options.receipt.empty() ? Json(nullptr) : receipt_json(receipt)}});
  } else {
    for (const Report& report : reports) print_report(report);
    if (!options.receipt.empty()) print_receipt(receipt);
    fmt::print("{}\n", is_valid ? "valid" : "INVALID");
  }
  return is_valid ? Exit::done : Exit::refused;
}

}  // namespace

void add_verify(base::Command& app, Run& run, base::Time now) {
  base::Command command = app.sub(
      "verify",
      "Verifies signed files: each PE's signature, each catalog's signature and the files it covers, and with --receipt\n"
      "that the folder holds exactly what the appliance says it signed. docs/verification.md lists every reason.");
  const auto options = std::make_shared<VerifyOptions>();
  command.option("PATH", options->paths, "Folders of signed files, or single files").required();
  command.option("--catalog", options->catalog, "A catalog from elsewhere that should cover the files");
  command.option("--receipt", options->receipt, "The receipt.dsse.json that came with the folder PATH");
  command.option("--trust", options->trust,
                      "Roots (CERTIFICATE) and receipt keys (PUBLIC KEY): a PEM file, or a folder of them. Without a root "
                      "chains are not judged");
  command.option("--at", options->at,
                      "Judge validity at this time (UTC): 261123162000Z, 2026-11-23T16:20:00Z or Unix seconds; else now");
  command.option("--policy", options->policy, "Whose rules: authenticode (Windows, the default), kernel (what Windows loads as a driver) or uefi (firmware)");
  command.flag("--json", options->json, "One JSON object instead of a table");
  command.footer("Example:\n  coldseal verify signed/ID/files --receipt signed/ID/receipt.dsse.json --trust roots/ --trust receipt-key.pem");
  command.when_chosen([options, &run, now] { run = [options, now] { return verify(*options, now); }; });
}

}  // namespace host_tool
