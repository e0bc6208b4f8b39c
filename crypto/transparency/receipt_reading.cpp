// The reading half of receipts; receipt.cpp is its mirror. Groups are read in the order in which they need each other.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "crypto/base/limits.hpp"
#include "crypto/transparency/audit_log_line.hpp"
#include "crypto/transparency/canonical_json.hpp"
#include "crypto/transparency/checkpoint.hpp"
#include "crypto/transparency/json_fields.hpp"
#include "crypto/transparency/receipt.hpp"

namespace transparency {
namespace {

using base::Errc;
using base::fail;
using base::Result;
namespace limits = base::limits;

constexpr std::string_view kRequestSubject = "request";

template <class Enum, std::size_t N>
Result<Enum> from_name(const std::array<Enum, N>& all, std::string_view (*name_of)(Enum), std::string_view name) {
  for (const Enum value : all)
    if (name_of(value) == name) return value;
  return fail(Errc::malformed, fmt::format("receipt: \"{}\" is none of the words that may stand there",
                                           base::printable(name)));
}

constexpr std::array kOutcomes = {Outcome::done, Outcome::refused, Outcome::rejected};
constexpr std::array kOperations = {OutputOperation::embedded, OutputOperation::catalog_signed,
                                    OutputOperation::delivered_catalog_signed,
                                    OutputOperation::appended, OutputOperation::cabinet_signed,
                                    OutputOperation::already_signed, OutputOperation::unchanged};

Result<std::string> name_field(Fields& fields, std::string_view name, bool may_be_empty = false) {
  std::string found = TRY(fields.text(name, may_be_empty ? 0 : 1, limits::kNameBytes));
  if (!found.empty() && !is_name(found))
    return fail(Errc::malformed, fmt::format("{}: {}: not a name (A-Z a-z 0-9 . _ -)", fields.where(), name));
  return found;
}

// A word or two that people read: officers, submitters, ids of findings. No control or bidirectional characters.
Result<std::string> word_field(Fields& fields, std::string_view name) {
  std::string found = TRY(fields.text(name, 1, limits::kNameBytes));
  if (base::printable(found) != found)
    return fail(Errc::malformed, fmt::format("{}: {}: has characters that do not show", fields.where(), name));
  return found;
}

Result<std::string> keyid_field(Fields& fields, std::string_view name) {
  const base::Bytes bytes = TRY(fields.hex(name, 32));
  return base::hex(bytes);
}

Result<void> expect_one_of(Fields& fields, std::string_view name, const std::string& found,
                           std::initializer_list<std::string_view> allowed) {
  if (std::find(allowed.begin(), allowed.end(), found) != allowed.end()) return {};
  return fail(Errc::malformed,
              fmt::format("{}: {}: \"{}\" is none of the words that may stand there", fields.where(), name,
                          base::printable(found)));
}

// The statement's subjects, as (name, digest).
using Subjects = std::vector<std::pair<std::string, crypto::Digest>>;
Result<Subjects> read_subjects(Fields& statement) {
  const auto* const list = TRY(statement.list("subject", 1, limits::kOutputFiles));
  Subjects subjects;
  for (const Json& item : *list) {
    Fields fields = TRY(Fields::of(item, fmt::format("receipt: subject[{}]", subjects.size())));
    std::string name = TRY(fields.text("name", 1, limits::kPathBytes));
    Fields digest = TRY(fields.object("digest"));
    const crypto::Digest sha256 = TRY(digest.sha256("sha256"));
    TRY(digest.expect_no_others());
    TRY(fields.expect_no_others());
    subjects.emplace_back(std::move(name), sha256);
  }
  return subjects;
}

Result<void> read_request(Fields& predicate, Receipt& receipt) {
  Fields fields = TRY(predicate.object("request"));
  receipt.request_id = TRY(keyid_field(fields, "id"));
  receipt.key_class = TRY(name_field(fields, "keyClass", true));
  receipt.profile = TRY(name_field(fields, "profile", true));
  TRY(fields.expect_text("proof", kStated));
  std::optional<Fields> submitter = TRY(fields.object_or_null("submitter"));
  if (submitter) {
    std::string keyid = TRY(keyid_field(*submitter, "keyid"));
    std::string name = TRY(word_field(*submitter, "name"));
    receipt.submitter = Receipt::Submitter{std::move(name), std::move(keyid)};
    TRY(submitter->expect_no_others());
  }
  return fields.expect_no_others();
}

Result<void> read_result(Fields& predicate, Receipt& receipt) {
  Fields fields = TRY(predicate.object("result"));
  const std::string outcome = TRY(fields.text("outcome", 1, limits::kNameBytes));
  receipt.outcome = TRY(from_name(kOutcomes, outcome_name, outcome));
  TRY(fields.expect_text("proof", kStated));
  receipt.reason = TRY(fields.text("reason", 0, limits::kNoteBytes));
  std::optional<Fields> rejected_by = TRY(fields.object_or_null("rejectedBy"));
  if (rejected_by) {
    const base::Time at = TRY(rejected_by->time("at"));
    std::string officer = TRY(word_field(*rejected_by, "officer"));
    receipt.rejection = Receipt::Rejection{std::move(officer), at};
    TRY(rejected_by->expect_no_others());
  }
  return fields.expect_no_others();
}

Result<void> read_key(Fields& predicate, Receipt& receipt) {
  std::optional<Fields> fields = TRY(predicate.object_or_null("key"));
  if (!fields) return {};
  // A Name is its algorithm's two bytes and a digest (TPM 2.0 part 1, section 16); our keys' are SHA-256.
  base::Bytes name = TRY(fields->hex("name", 34));
  const std::uint64_t officers = TRY(fields->number("officers", limits::kOfficers));
  TRY(fields->expect_text("proof", proof_of(receipt.outcome)));
  const crypto::Digest spki_sha256 = TRY(fields->sha256("spkiSha256"));
  receipt.key = Receipt::Key{std::move(name), spki_sha256, static_cast<std::uint32_t>(officers)};
  return fields->expect_no_others();
}

Result<void> read_certificate(Fields& predicate, Receipt& receipt) {
  std::optional<Fields> fields = TRY(predicate.object_or_null("certificate"));
  if (!fields) return {};
  TRY(fields->expect_text("proof", kStated));
  const crypto::Digest sha256 = TRY(fields->sha256("sha256"));
  std::string subject = TRY(fields->text("subject", 0, limits::kFactTextBytes));
  receipt.certificate = Receipt::Certificate{sha256, std::move(subject)};
  return fields->expect_no_others();
}

Result<void> read_signing_set(Fields& predicate, Receipt& receipt) {
  std::optional<Fields> fields = TRY(predicate.object_or_null("signingSet"));
  if (!fields) return {};
  if (!receipt.key) return fail(Errc::malformed, "receipt: signingSet: there is no key");
  const crypto::Digest profile = TRY(fields->sha256("profileSha256"));
  SigningSet set{.items = {}, .key_name = receipt.key->name, .profile_sha256 = profile};
  const auto* const items = TRY(fields->list("items", 1, limits::kSigningSet));
  for (const Json& item : *items) {
    Fields entry = TRY(Fields::of(item, fmt::format("receipt: signingSet: items[{}]", set.items.size())));
    const std::string digest_field = TRY(entry.text("digest", 1, limits::kPathBytes));
    const crypto::Digest digest = TRY(base::within(entry.where(), digest_from_text(digest_field)));
    std::string file = TRY(entry.text("file", 1, limits::kPathBytes));
    std::string slot = TRY(name_field(entry, "slot"));
    TRY(entry.expect_no_others());
    set.items.push_back(SigningItem{std::move(file), std::move(slot), digest});
  }
  TRY(fields->expect_text("fingerprint", set.fingerprint().hex()));
  TRY(fields->expect_text("words", set.words()));
  TRY(fields->expect_text("proof", proof_of(receipt.outcome)));
  receipt.signing_set = std::move(set);
  return fields->expect_no_others();
}

Result<void> read_approvals(Fields& predicate, Receipt& receipt) {
  Fields fields = TRY(predicate.object("approvals"));
  TRY(fields.expect_text("proof", kStated));
  const auto* const given = TRY(fields.list("given", 0, limits::kOfficers));
  for (const Json& item : *given) {
    Fields entry = TRY(Fields::of(item, fmt::format("receipt: approvals: given[{}]", receipt.approvals.size())));
    const base::Time at = TRY(entry.time("at"));
    std::string method = TRY(name_field(entry, "method"));
    std::string officer = TRY(word_field(entry, "officer"));
    TRY(entry.expect_no_others());
    receipt.approvals.push_back(Approval{std::move(officer), std::move(method), at});
  }
  return fields.expect_no_others();
}

Result<void> read_outputs(Fields& predicate, const Subjects& subjects, Receipt& receipt) {
  Fields fields = TRY(predicate.object("outputs"));
  TRY(fields.expect_text("proof", kStated));
  const auto* const files = TRY(fields.list("files", 0, limits::kOutputFiles));
  for (const Json& item : *files) {
    const std::size_t index = receipt.outputs.size();
    Fields entry = TRY(Fields::of(item, fmt::format("receipt: outputs: files[{}]", index)));
    const std::string operation = TRY(entry.text("operation", 1, limits::kNameBytes));
    const OutputOperation done = TRY(from_name(kOperations, output_operation_name, operation));
    if (index >= subjects.size()) return fail(Errc::malformed, entry.where() + ": has no subject");
    TRY(entry.expect_text("path", subjects[index].first));
    TRY(entry.expect_no_others());
    receipt.outputs.push_back(OutputFile{subjects[index].first, subjects[index].second, done});
  }
  const auto* const catalogs = TRY(fields.list("catalogs", 0, limits::kCatalogs));
  for (const Json& item : *catalogs) {
    if (!item.is_string()) return fail(Errc::malformed, "receipt: outputs: catalogs: not text");
    receipt.catalogs.push_back(item.get<std::string>());
  }
  return fields.expect_no_others();
}

Result<void> read_findings(Fields& predicate, Receipt& receipt) {
  Fields fields = TRY(predicate.object("findings"));
  TRY(fields.expect_text("proof", kStated));
  const auto* const shown = TRY(fields.list("shown", 0, limits::kFindings));
  for (const Json& item : *shown) {
    Fields entry = TRY(Fields::of(item, fmt::format("receipt: findings: shown[{}]", receipt.findings.size())));
    ShownFinding finding;
    finding.cause = TRY(entry.text("cause", 0, limits::kFactTextBytes));
    finding.file = TRY(entry.text("file", 0, limits::kFactTextBytes));
    finding.id = TRY(word_field(entry, "id"));
    finding.severity = TRY(entry.text("severity", 1, limits::kNameBytes));
    TRY(expect_one_of(entry, "severity", finding.severity, {"note", "warning", "error"}));
    TRY(entry.expect_no_others());
    receipt.findings.push_back(std::move(finding));
  }
  return fields.expect_no_others();
}

Result<void> read_appliance(Fields& predicate, Receipt& receipt) {
  Fields fields = TRY(predicate.object("appliance"));
  Receipt::Appliance& appliance = receipt.appliance;
  appliance.firmware_gate = TRY(fields.text("firmwareGate", 1, limits::kNameBytes));
  appliance.mode = TRY(fields.text("mode", 1, limits::kNameBytes));
  TRY(expect_one_of(fields, "mode", appliance.mode, {"development", "production"}));
  appliance.name = TRY(name_field(fields, "name"));
  TRY(fields.expect_text("proof", kStated));
  appliance.receipt_keyid = TRY(keyid_field(fields, "receiptKeyid"));
  appliance.tpm = TRY(fields.text("tpm", 1, limits::kNameBytes));
  appliance.version = TRY(fields.text("version", 1, limits::kNameBytes));
  return fields.expect_no_others();
}

Result<void> read_log(Fields& predicate, Receipt& receipt) {
  Fields fields = TRY(predicate.object("log"));
  receipt.log.head = TRY(keyid_field(fields, "head"));
  receipt.log.index = TRY(fields.number("index", 1ULL << 40));
  receipt.log.line = TRY(fields.text("line", 1, limits::kAuditLineBytes));
  receipt.log.tlog_proof = TRY(fields.text("tlogProof", 1, base::limits::kCheckpointBytes));
  TRY(fields.expect_text("proof", kStated));
  return fields.expect_no_others();
}

// ---- what must hold between the groups

Result<void> expect_outputs_in_order(const Receipt& receipt, const Subjects& subjects) {
  if (receipt.outcome != Outcome::done) {
    const bool is_request = subjects.size() == 1 && subjects.front().first == kRequestSubject &&
                            subjects.front().second.hex() == receipt.request_id;
    if (!is_request || !receipt.outputs.empty() || !receipt.catalogs.empty())
      return fail(Errc::malformed, "receipt: a request that was not signed has outputs");
    return {};
  }
  if (receipt.outputs.size() != subjects.size())
    return fail(Errc::malformed, "receipt: outputs: files and subjects are not the same files");
  for (std::size_t i = 1; i < receipt.outputs.size(); ++i)
    if (receipt.outputs[i].path <= receipt.outputs[i - 1].path)
      return fail(Errc::malformed, "receipt: outputs: files not sorted by path, or one twice");
  std::vector<std::string> made;
  for (const OutputFile& output : receipt.outputs)
    if (output.operation == OutputOperation::catalog_signed) made.push_back(output.path);
  if (made != receipt.catalogs)
    return fail(Errc::malformed, "receipt: outputs: catalogs are not the files that were made as catalogs");
  return {};
}

Result<void> expect_custody(const Receipt& receipt) {
  if ((receipt.outcome == Outcome::rejected) != receipt.rejection.has_value())
    return fail(Errc::malformed, "receipt: result: an officer's rejection and the outcome disagree");
  if ((receipt.outcome == Outcome::done) != receipt.reason.empty())
    return fail(Errc::malformed, "receipt: result: a reason stands exactly where nothing was signed");
  if (receipt.outcome != Outcome::done) return {};
  if (!receipt.submitter || !receipt.key || !receipt.certificate || !receipt.signing_set || receipt.profile.empty() ||
      receipt.key_class.empty())
    return fail(Errc::malformed, "receipt: signed, but submitter, profile, key class, key, certificate or signing set is missing");
  if (receipt.key->officers == 0 || receipt.approvals.size() < receipt.key->officers)
    return fail(Errc::malformed, fmt::format("receipt: {} approvals for a key of {} officers", receipt.approvals.size(),
                                             receipt.key->officers));
  for (std::size_t i = 0; i < receipt.approvals.size(); ++i)
    for (std::size_t k = 0; k < i; ++k)
      if (receipt.approvals[i].officer == receipt.approvals[k].officer)
        return fail(Errc::malformed, fmt::format("receipt: officer {} approved twice", receipt.approvals[i].officer));
  return {};
}

// The line is the one that is named, stands in the checkpoint's log, and says what the receipt says.
Result<void> expect_log(const Receipt& receipt) {
  const Receipt::Log& log = receipt.log;
  const AuditLine line = TRY(base::within("receipt: log: line", audit_line_from_json(log.line)));
  if (line.index != log.index || crypto::sha256(base::as_bytes(log.line)).hex() != log.head)
    return fail(Errc::malformed, "receipt: log: index and head are not those of the line");
  const TlogProof proof = TRY(base::within("receipt", TlogProof::parse(log.tlog_proof)));
  if (proof.index != log.index) return fail(Errc::malformed, "receipt: log: the proof is about another line");
  TRY(base::within("receipt", proof.expect_leaf(base::as_bytes(log.line))));
  const bool is_event = receipt.outcome == Outcome::done       ? line.event == AuditEvent::signed_
                        : receipt.outcome == Outcome::rejected ? line.event == AuditEvent::rejected
                                                               : line.event == AuditEvent::refused || line.event == AuditEvent::intake_refused ||
                                                                     line.event == AuditEvent::withdrawn || line.event == AuditEvent::request_expired;
  if (!is_event || line.request != receipt.request_id)
    return fail(Errc::malformed, "receipt: log: the line does not say what became of this request");
  if (receipt.outcome != Outcome::done) return {};
  const auto said = line.data.find("signing-set");
  if (said == line.data.end() || said->second != receipt.signing_set->fingerprint().hex())
    return fail(Errc::malformed, "receipt: log: the line does not say that this request's signing set was signed");
  const auto outputs = line.data.find("outputs");
  if (outputs == line.data.end() || outputs->second != outputs_digest(receipt.outputs).hex())
    return fail(Errc::malformed, "receipt: log: the line is about other outputs");
  return {};
}

}  // namespace

Result<Receipt> Receipt::from_json(std::string_view json) {
  const Json value = TRY(base::within("receipt", parse_canonical(json, limits::kReceiptBytes)));
  Fields statement = TRY(Fields::of(value, "receipt"));
  TRY(statement.expect_text("_type", kStatementType));
  TRY(statement.expect_text("predicateType", kReceiptPredicateType));
  const Subjects subjects = TRY(read_subjects(statement));
  Fields predicate = TRY(statement.object("predicate"));
  TRY(statement.expect_no_others());
  Receipt receipt;
  receipt.created = TRY(predicate.time("created"));
  TRY(read_request(predicate, receipt));
  TRY(read_result(predicate, receipt));
  TRY(read_key(predicate, receipt));
  TRY(read_certificate(predicate, receipt));
  TRY(read_signing_set(predicate, receipt));
  TRY(read_approvals(predicate, receipt));
  TRY(read_outputs(predicate, subjects, receipt));
  TRY(read_findings(predicate, receipt));
  TRY(read_appliance(predicate, receipt));
  TRY(read_log(predicate, receipt));
  TRY(predicate.expect_no_others());
  TRY(expect_outputs_in_order(receipt, subjects));
  TRY(expect_custody(receipt));
  TRY(expect_log(receipt));
  return receipt;
}

}  // namespace transparency
