// coldseal slip: a receipt on paper. Everything that an auditor's folder wants of one approval, with a QR code of the receipt's
// digest that ties the paper to the file. Only a receipt whose signature holds becomes a slip.
#include <fmt/format.h>
#include <qrencode.h>

#include <memory>

#include "crypto/base/command_line.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/words.hpp"
#include "host-tool/command.hpp"
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
using transparency::Receipt;

struct SlipOptions {
  std::string receipt, html;
  std::vector<std::string> trust;
};

// A line of the slip. proof: "TPM" for what the TPM would not have signed without, "box" for the appliance's word, "" for neither.
struct SlipLine {
  std::string name, text, proof;
};

constexpr const char* kByTpm = "TPM";
constexpr const char* kByBox = "box";

std::string words_of(std::string_view hex) {
  const Result<base::Bytes> bytes = base::from_hex(hex);
  return bytes ? base::fingerprint_words(*bytes) : std::string();
}

std::vector<SlipLine> slip_of(const Receipt& receipt, const crypto::Digest& digest) {
  const Receipt::Appliance& box = receipt.appliance;
  std::vector<SlipLine> lines = {
      {"appliance", fmt::format("{} ({} mode, TPM {}, Coldseal {})", printable(box.name), box.mode, printable(box.tpm), printable(box.version)), kByBox},
      {"outcome", std::string(transparency::outcome_name(receipt.outcome)), kByBox},
      {"at", base::rfc3339(receipt.created), kByBox},
      {"request", receipt.request_id, kByBox},
      {"", words_of(receipt.request_id), ""}};
  const auto add = [&](std::string name, std::string text, const char* proof) { lines.push_back({std::move(name), std::move(text), proof}); };
  if (!receipt.reason.empty()) add("reason", printable(receipt.reason), kByBox);
  if (receipt.submitter) add("submitted by", printable(receipt.submitter->name), kByBox);
  if (!receipt.profile.empty()) add("profile", printable(receipt.profile), kByBox);
  const bool is_signed = receipt.outcome == transparency::Outcome::done;
  if (receipt.key) {
    add("key", fmt::format("class {}, {} officers must approve", printable(receipt.key_class), receipt.key->officers), is_signed ? kByTpm : kByBox);
    add("", base::hex(receipt.key->name), "");
  }
  if (receipt.certificate) add("certificate", printable(receipt.certificate->subject), kByBox);
  for (const transparency::Approval& approval : receipt.approvals)
    add("approved by", fmt::format("{} ({}) at {}", printable(approval.officer), printable(approval.method), base::rfc3339(approval.at)), kByBox);
  if (receipt.rejection)
    add("rejected by", fmt::format("{} at {}", printable(receipt.rejection->officer), base::rfc3339(receipt.rejection->at)), kByBox);
  if (receipt.signing_set) {
    add("signing set", receipt.signing_set->words(), is_signed ? kByTpm : kByBox);
    add("", receipt.signing_set->fingerprint().hex(), "");
    for (const transparency::SigningItem& item : receipt.signing_set->items)
      add("signed", fmt::format("{} ({}) {}", printable(item.file), printable(item.slot), transparency::digest_text(item.digest)), is_signed ? kByTpm : kByBox);
  }
  for (const transparency::ShownFinding& finding : receipt.findings)
    add("finding", fmt::format("{} {}: {}", finding.severity, printable(finding.id), printable(finding.cause)), kByBox);
  for (const transparency::OutputFile& output : receipt.outputs)
    add("file", fmt::format("{} ({}) sha256 {}", printable(output.path), transparency::output_operation_name(output.operation), output.sha256.hex()), kByBox);
  add("log line", fmt::format("{} of the audit log", receipt.log.index + 1), kByBox);
  add("receipt", digest.hex(), "");
  add("", base::fingerprint_words(digest.bytes()), "");
  return lines;
}

class QrCode {   // of "sha256:<hex>", with a quarter of it to spare for dirt
 public:
  static Result<QrCode> of(const crypto::Digest& digest) {
    QRcode* const code = QRcode_encodeString8bit(("sha256:" + digest.hex()).c_str(), 0, QR_ECLEVEL_Q);
    if (code == nullptr) return fail(Errc::unavailable, "no QR code: out of memory");
    return QrCode(code);
  }
  int width() const { return code_->width; }
  bool is_dark(int x, int y) const {   // light outside
    if (x < 0 || y < 0 || x >= width() || y >= width()) return false;
    return (code_->data[y * width() + x] & 1U) != 0;
  }

 private:
  explicit QrCode(QRcode* code) : code_(code, &QRcode_free) {}
  std::unique_ptr<QRcode, decltype(&QRcode_free)> code_;
};

constexpr int kQuiet = 4;   // light modules around (ISO/IEC 18004 section 9.1)

// Two rows a line. Light modules are drawn, so that the code stands out on a dark terminal as on paper.
std::string qr_text(const QrCode& code) {
  static constexpr const char* kHalves[] = {"\u2588", "\u2580", "\u2584", " "};   // both light, upper, lower, none
  std::string text;
  for (int y = -kQuiet; y < code.width() + kQuiet; y += 2) {
    for (int x = -kQuiet; x < code.width() + kQuiet; ++x) text += kHalves[(code.is_dark(x, y) ? 2 : 0) + (code.is_dark(x, y + 1) ? 1 : 0)];
    text += "\n";
  }
  return text;
}

std::string qr_svg(const QrCode& code) {
  const int side = code.width() + 2 * kQuiet;
  std::string path;
  for (int y = 0; y < code.width(); ++y)
    for (int x = 0; x < code.width(); ++x)
      if (code.is_dark(x, y)) path += fmt::format("M{} {}h1v1h-1z", x + kQuiet, y + kQuiet);
  return fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {0}\" width=\"180\" height=\"180\" shape-rendering=\"crispEdges\">"
                     "<rect width=\"{0}\" height=\"{0}\" fill=\"#fff\"/><path d=\"{1}\" fill=\"#000\"/></svg>", side, path);
}

std::string escaped(std::string_view text) {
  std::string html;
  for (const char c : text) switch (c) {
      case '&': html += "&amp;"; break;
      case '<': html += "&lt;"; break;
      case '>': html += "&gt;"; break;
      case '"': html += "&quot;"; break;
      default: html += c;
    }
  return html;
}

constexpr const char* kExplained = "TPM: the TPM makes no signature unless it is so. box: the appliance's word, signed by its receipt key.";

std::string html_of(const std::vector<SlipLine>& lines, const QrCode& code) {
  std::string rows;
  for (const SlipLine& line : lines)
    rows += fmt::format("<tr><th>{}</th><td>{}</td><td>{}</td></tr>\n", escaped(line.name), escaped(line.text), line.proof);
  return fmt::format("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Approval slip</title>\n"
                     "<style>body{{font:11pt sans-serif;margin:2em}}th{{text-align:left;vertical-align:top;white-space:nowrap;padding-right:1em}}"
                     "td{{overflow-wrap:anywhere;font-family:monospace}}.sign{{margin-top:4em}}</style></head>\n"
                     "<body><h1>Approval slip</h1>\n<table>\n{}</table>\n<p>{}</p>\n{}\n"
                     "<p class=\"sign\">Signatures: ______________________ &nbsp; ______________________ &nbsp; ______________________</p>\n</body></html>\n",
                     rows, escaped(kExplained), qr_svg(code));
}

void print_slip(const std::vector<SlipLine>& lines, const QrCode& code) {
  fmt::print("APPROVAL SLIP\n\n");
  for (const SlipLine& line : lines) fmt::print("{:<13} {:<3}  {}\n", line.name, line.proof, line.text);
  fmt::print("\n{}\n\n{}\nSignatures: ______________________   ______________________   ______________________\n", kExplained, qr_text(code));
}

Result<Exit> slip(const SlipOptions& options) {
  const Trust trust = TRY(Trust::load(options.trust));
  const base::Bytes text = TRY(usb::read_file(options.receipt, base::limits::kReceiptBytes));
  const ReceiptVerdict verdict = check_receipt(base::as_text(text), trust.receipt_keys);
  print_findings(verdict.findings);
  if (!verdict.receipt) return Exit::refused;
  const bool is_doubtful = std::any_of(verdict.findings.begin(), verdict.findings.end(), [](const package::Finding& finding) {
    return finding.severity == package::Severity::error && finding.id != "receipt.refused" && finding.id != "receipt.rejected";
  });
  if (is_doubtful) return Exit::refused;
  const crypto::Digest digest = crypto::sha256(text);
  const std::vector<SlipLine> lines = slip_of(*verdict.receipt, digest);
  const QrCode code = TRY(QrCode::of(digest));
  if (options.html.empty()) {
    print_slip(lines, code);
  } else {
    TRY(usb::write_file(options.html, base::as_bytes(html_of(lines, code))));
  }
  return Exit::done;
}

}  // namespace

void add_slip(base::Command& app, Run& run) {
  const auto options = std::make_shared<SlipOptions>();
  base::Command command = app.sub("slip", "Prints a receipt as an approval slip: who approved what, when, with a QR code of the receipt's digest.");
  command.option("RECEIPT", options->receipt, "receipt.dsse.json").required();
  command.option("--trust", options->trust, "the appliance's receipt key, or a folder with it").required();
  command.option("--html", options->html, "write a page to print to this file, instead of text on the terminal");
  command.footer("Example:\n  coldseal slip signed/ID/receipt.dsse.json --trust receipt-key.pem --html slip.html");
  command.when_chosen([options, &run] { run = [options] { return slip(*options); }; });
}

}  // namespace host_tool
