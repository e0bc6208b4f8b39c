#include "appliance/receipt_parts.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "appliance/review.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/transparency/audit_log_line.hpp"
#include "crypto/transparency/canonical_json.hpp"
#include "crypto/transparency/checkpoint.hpp"
#include "crypto/transparency/dsse.hpp"
#include "crypto/transparency/merkle_tree.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;
using transparency::Receipt;
using transparency::ShownFinding;
namespace limits = base::limits;

namespace {

// Of the receipt's JSON, which base64 makes a third longer: the outputs, at most kOutputFiles with paths of kPathBytes, need less than 4 MiB.
constexpr std::size_t kFindingsBytes = 6U << 20;
// The line of the log and the proof of it are not there yet.
constexpr std::size_t kLogBytes = 2 * (limits::kAuditLineBytes + limits::kCheckpointBytes);
static_assert((kFindingsBytes + (4U << 20) + kLogBytes) / 3 * 4 < limits::kReceiptBytes);

std::string cut_to(std::string text, std::size_t limit) {
  constexpr std::string_view kMark = "...";
  if (text.size() <= limit) return text;
  std::size_t end = limit - kMark.size();
  while (end > 0 && (static_cast<std::uint8_t>(text[end]) & 0xC0U) == 0x80) --end;   // not inside a UTF-8 character
  return text.substr(0, end) + std::string(kMark);
}

ShownFinding shown_finding(const package::Finding& finding) {
  const std::string id = finding.id.empty() ? std::string("finding.without-id") : base::printable(finding.id);
  return {cut_to(id, limits::kNameBytes), std::string(severity_name(finding.severity)), cut_to(transparency::as_utf8(finding.file), limits::kFactTextBytes),
          cut_to(transparency::as_utf8(finding.cause), limits::kFactTextBytes)};
}

std::size_t bytes_in_receipt(const ShownFinding& finding) {
  const transparency::Json json{{"cause", finding.cause}, {"file", finding.file}, {"id", finding.id}, {"severity", finding.severity}};
  return transparency::canonical(json).size() + 1;
}

// Stands in for the receipt key while nothing may be signed yet: of the size and form of its signatures.
class BlankSigner final : public crypto::Signer {
 public:
  explicit BlankSigner(base::Bytes public_key) : public_key_(std::move(public_key)) {}
  crypto::KeyAlgorithm algorithm() const override { return crypto::KeyAlgorithm::ecdsa_p256; }
  base::ByteView public_key_der() const override { return public_key_; }
  Result<base::Bytes> sign(const crypto::Digest& digest) override { return base::Bytes(72, digest.bytes().front()); }

 private:
  base::Bytes public_key_;
};

}  // namespace

std::vector<ShownFinding> findings_for_receipt(const std::vector<package::Finding>& findings) {
  std::vector<ShownFinding> shown;
  std::size_t bytes = 0;
  for (const package::Finding& finding : findings) {
    shown.push_back(shown_finding(finding));
    bytes += bytes_in_receipt(shown.back());
    if (shown.size() > limits::kFindings || bytes > kFindingsBytes) break;
  }
  if (shown.size() == findings.size() && shown.size() <= limits::kFindings && bytes <= kFindingsBytes) return shown;

  std::vector<package::Finding> worst_first = findings;
  std::stable_sort(worst_first.begin(), worst_first.end(), [](const auto& a, const auto& b) { return a.severity > b.severity; });
  shown.clear();
  bytes = limits::kFactTextBytes;   // for the last one
  for (const package::Finding& finding : worst_first) {
    ShownFinding next = shown_finding(finding);
    bytes += bytes_in_receipt(next);
    if (shown.size() + 1 == limits::kFindings || bytes > kFindingsBytes) break;
    shown.push_back(std::move(next));
  }
  const package::Severity worst_left_out = worst_first[shown.size()].severity;
  shown.push_back({"inspection.findings-left-out", std::string(severity_name(worst_left_out)), "",
                   fmt::format("{} more findings than a receipt holds; the least severe are left out", findings.size() - shown.size())});
  return shown;
}

Result<void> expect_writable(Receipt draft, const crypto::PublicKey& stand_in) {
  BlankSigner signer(base::to_bytes(stand_in.der()));
  // A log of one line, so that everything else can be held against the rules that a reader has for it.
  transparency::AuditChain chain;
  draft.log.line = TRY(chain.append(
      draft.created, transparency::AuditEvent::signed_, draft.request_id,
      {{"signing-set", draft.signing_set->fingerprint().hex()}, {"outputs", transparency::outputs_digest(draft.outputs).hex()}}));
  draft.log.index = 0;
  draft.log.head = chain.head().hex();
  transparency::MerkleTree tree;
  tree.add(base::as_bytes(draft.log.line));
  transparency::TlogProof proof{0, {}, {}};
  proof.checkpoint = TRY(transparency::sign_checkpoint({transparency::log_origin(draft.appliance.name), 1, tree.root()}, signer));
  draft.log.tlog_proof = proof.text();
  const auto too_large = [] {
    return fail(Errc::too_large, fmt::format("receipt.too-large: what became of the request would not fit into a receipt of {} MiB: split the request",
                                             limits::kReceiptBytes >> 20U));
  };
  Result<std::string> json = draft.to_json();
  if (!json && json.error().code() == Errc::too_large) return too_large();
  std::string text = TRY(base::within("receipt.not-writable", std::move(json)));
  const transparency::Envelope envelope = TRY(transparency::Envelope::sign(transparency::kStatementPayloadType, std::move(text), signer));
  if (envelope.text().size() + kLogBytes / 3 * 4 > limits::kReceiptBytes) return too_large();
  return {};
}

}  // namespace appliance
