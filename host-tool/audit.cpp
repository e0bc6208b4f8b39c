// coldseal audit: what anybody can prove of an exported audit log, and a view of it that reads well.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "crypto/base/command_line.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/transparency/audit_log_line.hpp"
#include "crypto/package/inspection.hpp"
#include "crypto/transparency/checkpoint.hpp"
#include "crypto/transparency/kept_inspection.hpp"
#include "crypto/transparency/log_anchor_proof.hpp"
#include "crypto/transparency/merkle_tree.hpp"
#include "host-tool/command.hpp"
#include "host-tool/report.hpp"
#include "usb/files/file_source.hpp"
#include "usb/files/safe_write.hpp"

namespace host_tool {
namespace {

using base::Errc;
using base::fail;
using base::printable;
using base::Result;
using transparency::AuditLine;
namespace fs = std::filesystem;

struct AuditOptions {
  std::string log, key, transcript, identity, since, request;
  bool json = false;
  bool facts = false;
};

// The export's folder, or the log in it; the checkpoint and the TPM's word lie beside it.
fs::path log_in(const std::string& given) {
  std::error_code ignored;
  return fs::is_directory(given, ignored) ? fs::path(given) / "audit.log" : fs::path(given);
}

Result<std::string> text_of(const fs::path& file, std::size_t most) {
  const base::Bytes bytes = TRY(usb::read_file(file, most));
  return std::string(base::as_text(bytes));
}

struct ReadLog {
  transparency::AuditChain chain;
  transparency::MerkleTree tree;
  transparency::AnchoredLines anchored;
  std::optional<base::Time> first;
};

// The inspections that the log names, each under its SHA-256 beside it.
class KeptInspections {
 public:
  explicit KeptInspections(const fs::path& log_file) : folder_(log_file.parent_path() / transparency::kInspectionsFolder) {}
  bool are_there() const {
    std::error_code ignored;
    return fs::is_directory(folder_, ignored);
  }
  // Of a line that names one: as it came from the inspector, and no other. Nothing for other lines.
  Result<std::optional<base::Bytes>> of(const AuditLine& line) const {
    const auto named = line.data.find(std::string(transparency::kInspectionField));
    if (named == line.data.end()) return std::optional<base::Bytes>();
    const auto digest = base::from_hex(named->second);
    if (!digest || digest->size() != 32) return fail(Errc::mismatch, fmt::format("line {}: names no inspection by its SHA-256", line.index + 1));
    const fs::path place = folder_ / transparency::kept_inspection_path(named->second);
    Result<base::Bytes> kept = usb::read_file(place, base::limits::kInspectionBytes);
    if (!kept && kept.error().code() == Errc::not_found)
      return fail(Errc::mismatch, fmt::format("line {}: the inspection that it names is not there: {}", line.index + 1, printable(place.string())));
    if (!kept) return tl::unexpected<base::Error>(kept.error());
    if (crypto::sha256(*kept).hex() != named->second)
      return fail(Errc::mismatch, fmt::format("line {}: the inspection kept for it is another: {}", line.index + 1, printable(place.string())));
    return std::optional<base::Bytes>(std::move(*kept));
  }

 private:
  fs::path folder_;
};

// Every line is checked as it is read, and none is kept.
Result<ReadLog> read_log(const fs::path& file, const std::function<void(const AuditLine&)>& see) {
  const usb::FileSource source = TRY(usb::FileSource::open(file));
  ReadLog log;
  const auto take_in = [&](std::string_view text) -> Result<void> {
    const AuditLine line = TRY(log.chain.accept(text));
    log.tree.add(base::as_bytes(text));
    log.anchored.add(line, log.chain.head());
    if (!log.first) log.first = line.at;
    see(line);
    return {};
  };
  const Result<std::uint64_t> whole = transparency::for_each_audit_line(source, take_in);
  if (!whole) return fail(whole.error().code() == Errc::io ? Errc::io : Errc::mismatch, fmt::format("{}: {}", printable(file.string()), whole.error().text()));
  if (*whole != source.size())
    return fail(Errc::mismatch, fmt::format("{}: line {} has no end: the log was cut off", printable(file.string()), log.chain.lines() + 1));
  if (log.chain.lines() == 0) return fail(Errc::mismatch, printable(file.string()) + ": no line");
  return log;
}

Result<void> expect_checkpoint(const ReadLog& log, const transparency::Checkpoint& checkpoint, const std::string& what) {
  if (checkpoint.size > log.tree.size())
    return fail(Errc::mismatch, fmt::format("{} is of {} lines and the log has {}: lines are missing from line {} on", what, checkpoint.size,
                                            log.tree.size(), log.tree.size() + 1));
  if (log.tree.root(checkpoint.size) != checkpoint.root)
    return fail(Errc::mismatch, fmt::format("{} is of another log: one of the first {} lines was changed", what, checkpoint.size));
  return {};
}

// The key that signs checkpoints is the one that was born in the ceremony's TPM.
Result<void> expect_receipt_key(const transparency::Transcript& transcript, const crypto::PublicKey& key) {
  for (const transparency::TranscriptKey& each : transcript.keys) {
    if (each.name != "receipt") continue;
    const attest::ObjectPublic area = TRY(attest::ObjectPublic::parse_sized(each.public_part));
    const crypto::PublicKey born = TRY(crypto::PublicKey::parse(area.spki()));
    if (born == key) return {};
  }
  return fail(Errc::mismatch, "its receipt key is not the one of --key: another appliance's transcript");
}

// What the TPM certified when the checkpoint was made, under the identity and the firmware gate of the transcript.
Result<std::string> expect_anchor(const ReadLog& log, const fs::path& folder, const std::string& checkpoint, const std::string& transcript_file,
                                  const crypto::PublicKey& key, base::ByteView identity_wanted) {
  const std::string transcript_text = TRY(text_of(transcript_file, transparency::kTranscriptBytes));
  const transparency::SignedTranscript transcript = TRY(base::within(transcript_file, transparency::SignedTranscript::from_json(transcript_text)));
  for (const transparency::TranscriptCheck& check : transparency::check_transcript(transcript, identity_wanted))
    if (!check.good) return fail(Errc::mismatch, fmt::format("{} does not hold: {}", transcript_file, check.text));
  TRY(base::within(transcript_file, expect_receipt_key(transcript.transcript, key)));
  const crypto::PublicKey identity = TRY(base::within(transcript_file, transparency::identity_of(transcript.transcript)));
  const attest::FirmwareMap map = TRY(base::within(transcript_file, transparency::map_of(transcript.transcript)));
  const std::string proof_text = TRY(text_of(folder / "anchor.json", base::limits::kLogAnchorBytes));
  const transparency::LogAnchorProof proof = TRY(base::within("anchor.json", transparency::LogAnchorProof::from_json(proof_text)));
  const transparency::LogAnchorProof::Certified certified = TRY(base::within("anchor.json", proof.verified(identity, map, checkpoint)));
  const transparency::AnchoredLines::Expected expected = TRY(log.anchored.expected(certified.baseline));
  if (expected.state.count != certified.state.count || expected.state.extended != certified.state.extended)
    return fail(Errc::mismatch, fmt::format("the TPM counted {} anchored lines and the log has {}, or others: it was changed", certified.state.count,
                                            expected.state.count));
  return fmt::format("{} anchored lines, as the TPM certified; administrators accepted the log last at number {}", certified.state.count,
                     certified.baseline.count);
}

// Evidence of the wrong form is evidence that does not hold, not a wrong use of the command.
template <class T>
Result<T> as_evidence(Result<T> result) {
  const bool is_form = !result && (result.error().code() == Errc::malformed || result.error().code() == Errc::unsupported || result.error().code() == Errc::too_large);
  if (is_form) return fail(Errc::mismatch, result.error().text());
  return result;
}

Result<Exit> verify(const AuditOptions& options) {
  const fs::path file = log_in(options.log);
  const std::string pem = TRY(text_of(options.key, base::limits::kPemBytes));
  const crypto::PublicKey key = TRY(base::within(options.key, crypto::PublicKey::parse_pem(pem)));
  const KeptInspections kept(file);
  std::uint64_t inspections = 0;
  Result<void> hold;   // the first that does not: said when the chain itself is known to be good
  const ReadLog log = TRY(read_log(file, [&](const AuditLine& line) {
    if (!kept.are_there() || !hold) return;
    const auto inspection = kept.of(line);
    if (!inspection) hold = tl::unexpected<base::Error>(inspection.error());
    else if (*inspection) ++inspections;
  }));
  const std::string note = TRY(text_of(file.parent_path() / "checkpoint", base::limits::kCheckpointBytes));
  const transparency::Checkpoint checkpoint = TRY(as_evidence(base::within(printable((file.parent_path() / "checkpoint").string()), transparency::verify_checkpoint(note, key))));
  TRY(expect_checkpoint(log, checkpoint, "the checkpoint"));
  if (checkpoint.size != log.tree.size())
    return fail(Errc::mismatch, fmt::format("the checkpoint is of {} lines and the log has {}: nobody vouches for line {} and what follows",
                                            checkpoint.size, log.tree.size(), checkpoint.size + 1));
  TRY(hold);
  std::optional<transparency::Checkpoint> since;
  if (!options.since.empty()) {
    const std::string old = TRY(text_of(options.since, base::limits::kCheckpointBytes));
    since = TRY(as_evidence(base::within(options.since, transparency::verify_checkpoint(old, key))));
    if (since->origin != checkpoint.origin)
      return fail(Errc::mismatch, fmt::format("{} is of the log {}, not of {}", options.since, since->origin, checkpoint.origin));
    TRY(expect_checkpoint(log, *since, options.since));
  }
  base::Bytes identity_wanted;
  if (!options.identity.empty()) {
    const std::string identity_pem = TRY(text_of(options.identity, base::limits::kPemBytes));
    const crypto::PublicKey identity = TRY(base::within(options.identity, crypto::PublicKey::parse_pem(identity_pem)));
    identity_wanted = base::to_bytes(identity.der());
  }
  std::string anchor;
  if (!options.transcript.empty()) anchor = TRY(as_evidence(expect_anchor(log, file.parent_path(), note, options.transcript, key, identity_wanted)));
  if (options.json) {
    print_json({{"lines", log.tree.size()},
                {"origin", checkpoint.origin},
                {"root", checkpoint.root.hex()},
                {"first", base::rfc3339(*log.first)},
                {"last", base::rfc3339(log.chain.last_at())},
                {"since", since ? Json(since->size) : Json(nullptr)},
                {"inspections", kept.are_there() ? Json(inspections) : Json(nullptr)},
                {"anchoredInTpm", !anchor.empty()}});
    return Exit::done;
  }
  fmt::print("log         {}: {} lines, {} to {}\n", printable(checkpoint.origin), log.tree.size(), base::rfc3339(*log.first),
             base::rfc3339(log.chain.last_at()));
  fmt::print("chain       every line continues the one before\n");
  fmt::print("checkpoint  signed by that key; root {}\n", checkpoint.root.hex());
  fmt::print("TPM         {}\n", anchor.empty() ? "not looked at: give the ceremony's transcript with --transcript" : anchor);
  if (kept.are_there())
    fmt::print("inspections {} are there, each as the log names it\n", inspections);
  else
    fmt::print("inspections not looked at: the folder {} does not lie beside the log\n", transparency::kInspectionsFolder);
  if (since) fmt::print("since       it begins with the log of {} lines that {} is of\n", since->size, printable(options.since));
  return Exit::done;
}

void show_line(const AuditLine& line) {
  std::string said;
  for (const auto& [name, value] : line.data)
    if (name != transparency::kAnchorField) said += fmt::format("  {}={}", name, printable(value));
  const auto anchor = line.data.find(std::string(transparency::kAnchorField));
  const bool is_anchored = anchor != line.data.end() && anchor->second != "provisional";
  fmt::print("{:>6} {} {} {:<8} {:<19}{}\n", line.index + 1, base::rfc3339(line.at), is_anchored ? "*" : " ",
             line.request.empty() ? "-" : line.request.substr(0, 8), transparency::audit_event_name(line.event), said);
}

void show_inspection(const package::Inspection& inspection) {
  for (const package::Fact& fact : inspection.facts)
    fmt::print("         as read  {:<16} {}{}\n", printable(fact.name), printable(fact.value), fact.file.empty() ? "" : "   (" + printable(fact.file) + ")");
  for (const package::Finding& finding : inspection.findings)
    fmt::print("         finding  {}  {}{}\n", printable(finding.id), finding.file.empty() ? "" : printable(finding.file) + ": ", printable(finding.cause));
}

Result<Exit> show(const AuditOptions& options) {
  std::uint64_t shown = 0;
  const KeptInspections kept(log_in(options.log));
  Result<void> hold;
  const ReadLog log = TRY(read_log(log_in(options.log), [&](const AuditLine& line) {
    if (!options.request.empty() && !line.request.starts_with(options.request)) return;
    show_line(line);
    ++shown;
    if (!options.facts || !hold) return;
    const auto inspection = kept.of(line);
    if (!inspection) hold = tl::unexpected<base::Error>(inspection.error());
    else if (*inspection) {
      const auto decoded = base::within(fmt::format("line {}: its inspection", line.index + 1), package::decode_inspection(**inspection));
      if (decoded) show_inspection(*decoded);
      else hold = tl::unexpected<base::Error>(decoded.error());
    }
  }));
  TRY(as_evidence(hold));
  fmt::print("{} of {} lines; * is anchored in the TPM\n", shown, log.tree.size());
  return Exit::done;
}

}  // namespace

void add_audit(base::Command& app, Run& run) {
  base::Command command = app.sub("audit", "Checks and shows an audit log that coldseal-admin log export copied.");
  command.needs_sub();
  base::Command check = command.sub("verify", "Proves what can be proved of the log without the appliance.");
  const auto checking = std::make_shared<AuditOptions>();
  check.option("LOG", checking->log, "the exported folder, or audit.log in it").required();
  check.option("--key", checking->key, "PEM: the appliance's receipt key").required();
  check.option("--transcript", checking->transcript, "the ceremony's transcript: the log is held against the TPM's own word");
  check.option("--identity", checking->identity, "PEM: the identity key that you know to be the appliance's; with --transcript");
  check.option("--since", checking->since, "an older checkpoint: the log must begin with what that was of");
  check.flag("--json", checking->json, "print one JSON object");
  check.footer("Example:\n  coldseal audit verify coldseal-audit-vault-1-412 --key receipt-key.pem --transcript transcript.json");
  check.when_chosen([checking, &run] { run = [checking] { return verify(*checking); }; });
  base::Command view = command.sub("show", "Prints the log, one step a line, after checking that each continues the one before.");
  const auto viewing = std::make_shared<AuditOptions>();
  view.option("LOG", viewing->log, "the exported folder, or audit.log in it").required();
  view.option("--request", viewing->request, "only what is about this request: its id, or how that begins");
  view.flag("--facts", viewing->facts, "also what the inspector read from each package and found in it, from the folder inspections beside the log");
  view.when_chosen([viewing, &run] { run = [viewing] { return show(*viewing); }; });
}

}  // namespace host_tool
