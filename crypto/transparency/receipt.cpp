// The writing half of receipts; receipt_reading.cpp is its mirror.
#include "crypto/transparency/receipt.hpp"

#include "crypto/base/limits.hpp"
#include "crypto/transparency/canonical_json.hpp"

namespace transparency {
namespace {

using base::Result;

Json text(std::string_view value) { return Json(as_utf8(value)); }

Json subjects(const Receipt& receipt) {
  Json list = Json::array();
  for (const OutputFile& output : receipt.outputs)
    list.push_back({{"digest", {{"sha256", output.sha256.hex()}}}, {"name", text(output.path)}});
  // in-toto wants a subject; where nothing was signed it is the request itself.
  if (list.empty()) list.push_back({{"digest", {{"sha256", text(receipt.request_id)}}}, {"name", "request"}});
  return list;
}

Json request_group(const Receipt& receipt) {
  Json submitter = nullptr;
  if (receipt.submitter)
    submitter = {{"keyid", text(receipt.submitter->keyid)}, {"name", text(receipt.submitter->name)}};
  return {{"id", text(receipt.request_id)},
          {"keyClass", text(receipt.key_class)},
          {"profile", text(receipt.profile)},
          {"proof", text(kStated)},
          {"submitter", std::move(submitter)}};
}

Json key_group(const Receipt& receipt) {
  if (!receipt.key) return nullptr;
  return {{"name", base::hex(receipt.key->name)},
          {"officers", receipt.key->officers},
          {"proof", text(proof_of(receipt.outcome))},
          {"spkiSha256", receipt.key->spki_sha256.hex()}};
}

Json signing_set_group(const Receipt& receipt) {
  if (!receipt.signing_set) return nullptr;
  Json items = Json::array();
  for (const SigningItem& item : receipt.signing_set->items)
    items.push_back({{"digest", digest_text(item.digest)}, {"file", text(item.file)}, {"slot", text(item.slot)}});
  return {{"fingerprint", receipt.signing_set->fingerprint().hex()},
          {"items", std::move(items)},
          {"profileSha256", receipt.signing_set->profile_sha256.hex()},
          {"proof", text(proof_of(receipt.outcome))},
          {"words", receipt.signing_set->words()}};
}

Json certificate_group(const Receipt& receipt) {
  if (!receipt.certificate) return nullptr;
  return {{"proof", text(kStated)},
          {"sha256", receipt.certificate->sha256.hex()},
          {"subject", text(receipt.certificate->subject)}};
}

Json approvals_group(const Receipt& receipt) {
  Json given = Json::array();
  for (const Approval& approval : receipt.approvals)
    given.push_back({{"at", base::rfc3339(approval.at)},
                     {"method", text(approval.method)},
                     {"officer", text(approval.officer)}});
  return {{"given", std::move(given)}, {"proof", text(kStated)}};
}

Json result_group(const Receipt& receipt) {
  Json rejected_by = nullptr;
  if (receipt.rejection)
    rejected_by = {{"at", base::rfc3339(receipt.rejection->at)}, {"officer", text(receipt.rejection->officer)}};
  return {{"outcome", text(outcome_name(receipt.outcome))},
          {"proof", text(kStated)},
          {"reason", base::shortened(receipt.reason, base::limits::kNoteBytes)},
          {"rejectedBy", std::move(rejected_by)}};
}

Json outputs_group(const Receipt& receipt) {
  Json files = Json::array();
  for (const OutputFile& output : receipt.outputs)
    files.push_back({{"operation", text(output_operation_name(output.operation))}, {"path", text(output.path)}});
  Json catalogs = Json::array();
  for (const std::string& catalog : receipt.catalogs) catalogs.push_back(text(catalog));
  return {{"catalogs", std::move(catalogs)}, {"files", std::move(files)}, {"proof", text(kStated)}};
}

Json findings_group(const Receipt& receipt) {
  Json shown = Json::array();
  for (const ShownFinding& finding : receipt.findings)
    shown.push_back({{"cause", text(finding.cause)},
                     {"file", text(finding.file)},
                     {"id", text(finding.id)},
                     {"severity", text(finding.severity)}});
  return {{"proof", text(kStated)}, {"shown", std::move(shown)}};
}

Json appliance_group(const Receipt& receipt) {
  const Receipt::Appliance& appliance = receipt.appliance;
  return {{"firmwareGate", text(appliance.firmware_gate)},
          {"mode", text(appliance.mode)},
          {"name", text(appliance.name)},
          {"proof", text(kStated)},
          {"receiptKeyid", text(appliance.receipt_keyid)},
          {"tpm", text(appliance.tpm)},
          {"version", text(appliance.version)}};
}

}  // namespace

std::string_view proof_of(Outcome outcome) { return outcome == Outcome::done ? "tpm" : kStated; }

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::done:
      return "signed";
    case Outcome::refused:
      return "refused";
    case Outcome::rejected:
      return "rejected";
  }
  base::stop("no such outcome");
}

bool is_signed_here(OutputOperation operation) {
  return operation != OutputOperation::already_signed && operation != OutputOperation::unchanged;
}

crypto::Digest outputs_digest(const std::vector<OutputFile>& outputs) {
  crypto::Hasher hasher(crypto::DigestAlgorithm::sha256);
  for (const OutputFile& output : outputs) hasher.update(base::as_bytes(output.sha256.hex() + "  " + output.path + "\n"));
  return std::move(hasher).finish();
}

std::string_view output_operation_name(OutputOperation operation) {
  switch (operation) {
    case OutputOperation::embedded:
      return "embedded";
    case OutputOperation::catalog_signed:
      return "catalog made and signed";
    case OutputOperation::delivered_catalog_signed:
      return "catalog signed as delivered";
    case OutputOperation::appended:
      return "appended";
    case OutputOperation::cabinet_signed:
      return "cabinet signed";
    case OutputOperation::already_signed:
      return "unchanged: already signed";
    case OutputOperation::unchanged:
      return "unchanged";
  }
  base::stop("no such operation");
}

Result<std::string> Receipt::to_json() const {
  base::require(!signing_set || (key && key->name == signing_set->key_name), "a signing set for another key");
  const std::string json = canonical({{"_type", std::string(kStatementType)},
                                      {"predicate",
                                       {{"appliance", appliance_group(*this)},
                                        {"approvals", approvals_group(*this)},
                                        {"certificate", certificate_group(*this)},
                                        {"created", base::rfc3339(created)},
                                        {"findings", findings_group(*this)},
                                        {"key", key_group(*this)},
                                        {"log",
                                         {{"head", text(log.head)},
                                          {"index", log.index},
                                          {"line", text(log.line)},
                                          {"proof", text(kStated)},
                                          {"tlogProof", text(log.tlog_proof)}}},
                                        {"outputs", outputs_group(*this)},
                                        {"request", request_group(*this)},
                                        {"result", result_group(*this)},
                                        {"signingSet", signing_set_group(*this)}}},
                                      {"predicateType", std::string(kReceiptPredicateType)},
                                      {"subject", subjects(*this)}});
  TRY(from_json(json));
  return json;
}

}  // namespace transparency
