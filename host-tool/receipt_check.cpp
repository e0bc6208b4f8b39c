#include "host-tool/receipt_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/transparency/checkpoint.hpp"
#include "crypto/transparency/dsse.hpp"
#include "host-tool/signed_file.hpp"

namespace host_tool {
namespace {

using base::Result;
using package::Finding;
using package::Severity;
using transparency::Envelope;
using transparency::Receipt;

void add(std::vector<Finding>& findings, std::string id, Severity severity, std::string file, std::string cause,
         std::string remedy) {
  findings.push_back({std::move(id), severity, std::move(file), 0, std::move(cause), std::move(remedy)});
}

void judge_content(const Receipt& receipt, const crypto::PublicKey& signed_by, std::vector<Finding>& findings) {
  if (receipt.appliance.receipt_keyid != signed_by.keyid())
    add(findings, "receipt.other-key", Severity::error, "",
        fmt::format("it names receipt key {}, but was signed by {}", receipt.appliance.receipt_keyid, signed_by.keyid()),
        "ask the appliance's administrator which key is theirs");
  if (receipt.appliance.mode != "production")
    add(findings, "receipt.development", Severity::warning, "",
        fmt::format("the appliance {} runs in development mode with a {} TPM", receipt.appliance.name,
                    receipt.appliance.tpm),
        "never ship what a development appliance signed");
  if (receipt.outcome == transparency::Outcome::refused)
    add(findings, "receipt.refused", Severity::error, "", "the appliance refused the request: " + receipt.reason,
        "mend what it names and make a new request");
  if (receipt.outcome == transparency::Outcome::rejected)
    add(findings, "receipt.rejected", Severity::error, "",
        fmt::format("officer {} rejected the request: {}", receipt.rejection->officer, receipt.reason),
        "speak with the officer; a new request is a new decision");
}

// A nested signature that is the receipt's in every way, among those that are good.
bool has_nested(const Receipt& receipt, const crypto::Digest& approved, const FileVerdict& file) {
  return std::any_of(file.good_signatures.begin(), file.good_signatures.end(), [&](const package::Verdict::GoodSignature& each) {
    return each.is_nested && each.approved == approved && (!receipt.certificate || each.certificate == receipt.certificate->sha256) &&
           (!receipt.key || each.key == receipt.key->spki_sha256);
  });
}

// The signature in the file is by the receipt's key, over the very digest that its officers approved.
void judge_output(const Receipt& receipt, const transparency::OutputFile& output, const FileVerdict& file,
                  std::vector<Finding>& findings) {
  // Each signature that the officers approved for the file is there: two of them in one that was signed for old Windows.
  const bool first_is_ours = output.operation != transparency::OutputOperation::appended;
  bool has_first = false;
  bool has_all = true;
  std::size_t approved = 0;
  for (const transparency::SigningItem& item : receipt.signing_set->items) {
    if (item.file != output.path) continue;
    ++approved;
    const bool is_first = item.slot == transparency::kPrimarySlot;
    has_first = has_first || is_first;
    has_all = has_all && (is_first ? file.approved_digest == item.digest : has_nested(receipt, item.digest, file));
  }
  if (approved == 0 || !has_all || has_first != first_is_ours)
    add(findings, "receipt.not-approved", Severity::error, output.path,
        "what its signature signs is not what the officers approved according to the receipt", "do not use this file");
  if (!first_is_ours) return;
  if (receipt.certificate && file.certificate != receipt.certificate->sha256)
    add(findings, "receipt.other-certificate", Severity::error, output.path,
        "its signature is not by the certificate that the receipt names", "do not use this file");
  if (receipt.key && file.signing_key != receipt.key->spki_sha256)
    add(findings, "receipt.other-key-signed", Severity::error, output.path,
        "its signature is not by the key that the receipt names", "do not use this file");
}

// Timestamps come after the receipt: without them the file is the receipt's, byte for byte.
bool is_same_but_timestamped(const std::string& path, const base::ByteSource& source, const transparency::OutputFile& output) {
  const auto file = SignedFile::of(source, path);
  if (!file || file->signatures().empty()) return false;
  const auto bare = file->digest_without_timestamps();
  return bare && *bare == output.sha256;
}

}  // namespace

ReceiptVerdict check_receipt(std::string_view envelope_text, const std::vector<crypto::PublicKey>& keys) {
  ReceiptVerdict verdict;
  const Result<Envelope> envelope = Envelope::parse(envelope_text, base::limits::kReceiptBytes);
  if (!envelope) {
    add(verdict.findings, "receipt.malformed", Severity::error, "", envelope.error().text(),
        "collect the response again");
    return verdict;
  }
  const auto key = std::find_if(keys.begin(), keys.end(),
                                [&](const crypto::PublicKey& each) { return each.keyid() == envelope->claimed_keyid(); });
  if (key == keys.end()) {
    add(verdict.findings, "receipt.key-not-trusted", Severity::error, "",
        fmt::format("it says it was signed by key {}, which --trust does not name", envelope->claimed_keyid()),
        "give the appliance's receipt key (PEM \"PUBLIC KEY\") with --trust, after comparing its words with the appliance's");
    return verdict;
  }
  const Result<std::string_view> payload = envelope->verify(*key, transparency::kStatementPayloadType);
  if (!payload) {
    const bool is_type = payload.error().code() == base::Errc::unsupported;
    add(verdict.findings, is_type ? "receipt.other-type" : "receipt.signature-wrong", Severity::error, "",
        payload.error().text(), is_type ? "use a version of coldseal that knows this type" : "do not use these files");
    return verdict;
  }
  Result<Receipt> receipt = Receipt::from_json(*payload);
  if (!receipt) {
    add(verdict.findings, "receipt.malformed", Severity::error, "", receipt.error().text(),
        "use the version of coldseal that belongs to the appliance");
    return verdict;
  }
  judge_content(*receipt, *key, verdict.findings);
  const Result<transparency::TlogProof> proof = transparency::TlogProof::parse(receipt->log.tlog_proof);   // receipts hold one that parses
  const auto checkpoint = transparency::verify_checkpoint(proof->checkpoint, *key);
  const bool is_other = checkpoint && checkpoint->origin != transparency::log_origin(receipt->appliance.name);
  if (!checkpoint || is_other)
    add(verdict.findings, "receipt.log-proof", Severity::error, "", is_other ? "its checkpoint is of another appliance's log" : checkpoint.error().text(),
        "ask the appliance's administrator for the audit log");
  verdict.receipt = std::move(*receipt);
  return verdict;
}

Result<void> compare_outputs(const Receipt& receipt, const PackageFolder& folder, const PackageVerdict& verdict,
                             std::vector<Finding>& findings) {
  std::map<std::string_view, const transparency::OutputFile*> wanted;
  for (const transparency::OutputFile& output : receipt.outputs) wanted.emplace(output.path, &output);
  for (std::size_t i = 0; i < folder.files().size(); ++i) {
    const std::string& path = folder.files()[i].path;
    const auto found = wanted.find(path);
    if (found == wanted.end()) {
      add(findings, "receipt.file-extra", Severity::error, path, "the receipt does not name this file",
          "remove it, or find out who put it there");
      continue;
    }
    const crypto::Digest digest = TRY(crypto::digest_of(crypto::DigestAlgorithm::sha256, folder.source(i)));
    const transparency::OutputFile& output = *found->second;
    wanted.erase(found);
    if (digest != output.sha256 && !is_same_but_timestamped(path, folder.source(i), output)) {
      add(findings, "receipt.file-changed", Severity::error, path,
          fmt::format("its SHA-256 is {}, the receipt says {}", digest.hex(), output.sha256.hex()),
          "collect the response again");
      continue;
    }
    if (transparency::is_signed_here(output.operation) && receipt.signing_set) judge_output(receipt, output, verdict.files[i], findings);
  }
  for (const auto& [path, output] : wanted)
    add(findings, "receipt.file-missing", Severity::error, std::string(path),
        "the receipt names this file, and it is not here", "collect the response again");
  return {};
}

}  // namespace host_tool
