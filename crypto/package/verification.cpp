#include "crypto/package/verification.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/cms/signed_data.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/pe_image.hpp"

namespace package {
namespace {

using base::ByteView;
using base::Errc;
using base::Error;
using crypto::Certificate;
namespace oids = der::oids;

struct Trust {
  const std::vector<Certificate>& roots;
  base::Time time;
};

class Findings {
 public:
  explicit Findings(Verdict& verdict) : verdict_(verdict) {}
  void error(std::string id, std::string cause, std::string remedy) const { add(Severity::error, id, cause, remedy); }
  void warning(std::string id, std::string cause, std::string remedy) const {
    add(Severity::warning, id, cause, remedy);
  }
  // Reports the error of a failed result; says whether it was good.
  bool expect(const base::Result<void>& result, std::string id, std::string remedy) const {
    if (!result) error(std::move(id), result.error().text(), std::move(remedy));
    return result.has_value();
  }

 private:
  void add(Severity severity, std::string& id, std::string& cause, std::string& remedy) const {
    verdict_.findings.push_back({std::move(id), severity, {}, 0, std::move(cause), std::move(remedy)});
  }
  Verdict& verdict_;
};

std::string chain_finding(crypto::ChainProblem::Kind kind) {
  switch (kind) {
    case crypto::ChainProblem::Kind::untrusted:
      return "chain.untrusted";
    case crypto::ChainProblem::Kind::validity:
      return "chain.validity";
    case crypto::ChainProblem::Kind::use:
      return "chain.use";
    case crypto::ChainProblem::Kind::weak:
      return "chain.weak";
    case crypto::ChainProblem::Kind::unreadable:
      return "chain.unreadable";
  }
  return "chain.unreadable";
}

constexpr std::string_view kGetAnother = "obtain the file again from where it was signed, or sign it again";
constexpr std::string_view kSignAgain = "sign the file again with a tool that writes the form of SignTool";

void judge_chain(const cms::SignedData& data, const Certificate& leaf, const Trust& trust, Verdict& verdict) {
  const Findings report(verdict);
  std::vector<Certificate> others;
  for (const base::Bytes& der : data.certificates()) {
    auto certificate = Certificate::parse(der);
    if (certificate && !(*certificate == leaf)) others.push_back(std::move(*certificate));
  }
  const crypto::ChainVerdict chain =
      verify_chain(leaf, others, trust.roots, trust.time, crypto::CertificateUse::code_signing);
  verdict.chain = chain.path;
  if (trust.roots.empty())
    report.warning("chain.not-checked", "no roots were given, so nothing says who " + leaf.subject() + " is",
                   "give the root certificates that you trust");
  for (const crypto::ChainProblem& problem : chain.problems) {
    if (trust.roots.empty() && problem.kind == crypto::ChainProblem::Kind::untrusted) continue;  // said above
    report.error(chain_finding(problem.kind), problem.text,
                 "sign with a certificate that is trusted and valid for code signing");
  }
}

void note_unsigned_attributes(const cms::SignerInfo& signer, Verdict& verdict) {
  const auto note = [&](const char* id, const char* cause) {
    verdict.findings.push_back({id, Severity::note, {}, 0, cause, "none needed"});
  };
  if (signer.unsigned_attribute(oids::kSpcNestedSignature) != nullptr)
    note("signature.nested-not-checked", "a further signature is nested in this one; it was not checked");
  if (signer.unsigned_attribute(oids::kSpcRfc3161Timestamp) != nullptr ||
      signer.unsigned_attribute(oids::kCounterSignature) != nullptr)
    note("signature.timestamp-not-checked", "the signature has a timestamp; it was not checked");
}

// Everything about one signature except what its content says.
void judge_signature(const cms::SignedData& data, const Trust& trust, Verdict& verdict) {
  const Findings report(verdict);
  for (const std::string& deviation : data.deviations())
    report.warning("signature.form", deviation, std::string(kSignAgain));
  // Windows takes unsorted certificates in a PE file, and finds no signature at all in a catalog (KB4580358).
  if (!data.certificates_are_sorted()) {
    constexpr const char* kCause = "certificates are not in DER order, or one is there twice";
    if (data.content_type() == oids::kCertificateTrustList)
      report.error("signature.certificate-order", kCause, std::string(kSignAgain));
    else
      report.warning("signature.certificate-order", kCause, std::string(kSignAgain));
  }
  if (data.signers().size() != 1)
    return report.error("signature.malformed", fmt::format("{} signers, one wanted", data.signers().size()),
                        std::string(kSignAgain));
  const cms::SignerInfo& signer = data.signers().front();
  if (std::ranges::find(data.digest_algorithms(), signer.digest_algorithm) == data.digest_algorithms().end())
    report.warning("signature.form", "the signer's digest algorithm is not among the signature's",
                   std::string(kSignAgain));
  if (signer.digest_algorithm == crypto::DigestAlgorithm::sha1)
    report.warning("signature.sha1", "signed with SHA-1, which current Windows does not trust",
                   "sign the file again with SHA-256");
  report.expect(data.expect_content_type(signer), "signature.content-type", std::string(kSignAgain));
  if (report.expect(data.expect_message_digest(signer), "signature.message-digest", std::string(kGetAnother)))
    verdict.signed_digest = crypto::digest_of(signer.digest_algorithm, data.content_octets());
  note_unsigned_attributes(signer, verdict);

  const auto leaf = data.signer_certificate(signer);
  if (!leaf) return report.error("signature.no-certificate", leaf.error().text(), std::string(kGetAnother));
  verdict.signer = leaf->subject();
  const auto key = leaf->public_key();
  if (!key) {
    report.error("signature.key-unsupported", key.error().text(), "sign with RSA of 2048 to 4096 bits, P-256 or P-384");
  } else if (report.expect(data.expect_signature(signer, *key), "signature.wrong", std::string(kGetAnother))) {
    verdict.approved_digest = crypto::digest_of(signer.digest_algorithm, signer.signed_attributes_der);
  }
  judge_chain(data, *leaf, trust, verdict);
}

void judge_pe_content(const base::ByteSource& file, const formats::PeImage& image, const cms::SignedData& data,
                      Verdict& verdict) {
  const Findings report(verdict);
  if (!(data.content_type() == oids::kSpcIndirectData))
    return report.error("signature.malformed",
                        "signature is over " + der::dotted(data.content_type()) + ", not over a PE image",
                        std::string(kSignAgain));
  const auto content = formats::IndirectData::parse(data.content_der());
  if (!content) return report.error("signature.malformed", content.error().text(), std::string(kGetAnother));
  if (!(content->type == oids::kSpcPeImageData))
    return report.error("signature.malformed",
                        "signature is over data of type " + der::dotted(content->type) + ", not over a PE image",
                        std::string(kSignAgain));
  const crypto::DigestAlgorithm wanted[] = {content->digest.algorithm()};
  const auto measured = image.measure(file, wanted);
  if (!measured) return report.error("pe.not-readable", measured.error().text(), "read the file from another medium");
  verdict.file_digest = measured->digest(content->digest.algorithm());
  if (*verdict.file_digest != content->digest)
    report.error(
        "pe.digest-mismatch",
        fmt::format("signature is for {} digest {}, the file has {}", crypto::digest_name(content->digest.algorithm()),
                    content->digest.hex(), verdict.file_digest->hex()),
        std::string(kGetAnother));
}

// The entry that Windows looks at: the first with PKCS#7 SignedData.
const formats::WinCertificate* judge_table(const std::vector<formats::WinCertificate>& table, Verdict& verdict) {
  const Findings report(verdict);
  const formats::WinCertificate* first = nullptr;
  for (const formats::WinCertificate& entry : table) {
    const bool is_signature = entry.type == formats::WinCertificate::kPkcsSignedData;
    if (is_signature && entry.is_stuffed())
      report.error(
          "pe.table-stuffed",
          fmt::format(
              "{} bytes after the signature in the certificate table entry at {:#x}; up to 7 zero bytes are padding",
              entry.slack, entry.offset),
          "remove the hidden data, or sign the file again (MS13-098)");
    if (is_signature && entry.revision != formats::WinCertificate::kRevision2)
      report.error("pe.table-malformed",
                   fmt::format("certificate table entry at {:#x} has revision {:#06x}, 0x0200 wanted", entry.offset,
                               entry.revision),
                   std::string(kSignAgain));
    if (is_signature && first == nullptr) first = &entry;
  }
  if (table.size() > 1)
    report.warning(
        "pe.several-entries",
        fmt::format("{} entries in the certificate table; Windows looks at the first signature only", table.size()),
        "nest further signatures in the first one");
  return first;
}

}  // namespace

bool Verdict::valid() const {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& finding) { return finding.severity == Severity::error; });
}

Verdict verify_pe(const base::ByteSource& file, const std::vector<Certificate>& roots, base::Time time) {
  Verdict verdict;
  const Findings report(verdict);
  const auto image = formats::PeImage::parse(file);
  if (!image) {
    const bool ambiguous = image.error().code() == Errc::refused;
    report.error(ambiguous ? "pe.ambiguous-layout" : "pe.not-readable", image.error().text(),
                 "link the image again without gaps or overlaps, or repair it");
    return verdict;
  }
  if (!image->is_signed()) {
    report.error("pe.not-signed", "the image has no certificate table",
                 "sign it, or look for its digest in a signed catalog");
    return verdict;
  }
  const auto table = image->certificates(file);
  if (!table) {
    report.error("pe.table-malformed", table.error().text(), std::string(kGetAnother));
    return verdict;
  }
  const formats::WinCertificate* const entry = judge_table(*table, verdict);
  if (entry == nullptr) {
    report.error("pe.not-signed", "no entry of the certificate table is a PKCS#7 signature", "sign the image");
    return verdict;
  }
  // Authenticode does not cover CheckSum; the kernel looks at it when it loads a driver.
  const auto checksum = formats::pe_checksum(file, *image);
  if (checksum && *checksum != image->stored_checksum())
    report.warning("pe.checksum",
                   fmt::format("CheckSum is {:#010x}, {:#010x} would be right", image->stored_checksum(), *checksum),
                   "set the checksum again; drivers do not load with a wrong one");
  const auto data = cms::SignedData::parse(entry->der);
  if (!data) {
    report.error("signature.malformed", data.error().text(), std::string(kGetAnother));
    return verdict;
  }
  judge_pe_content(file, *image, *data, verdict);
  judge_signature(*data, {roots, time}, verdict);
  return verdict;
}

Verdict verify_catalog_signature(ByteView catalog_der, const std::vector<Certificate>& roots, base::Time time) {
  Verdict verdict;
  const Findings report(verdict);
  const auto data = cms::SignedData::parse(catalog_der);
  if (!data) {
    report.error("signature.malformed", data.error().text(), std::string(kGetAnother));
  } else if (!(data->content_type() == oids::kCertificateTrustList)) {
    report.error("signature.malformed",
                 "signature is over " + der::dotted(data->content_type()) + ", not over a catalog",
                 std::string(kGetAnother));
  } else if (data->signers().empty()) {
    report.error("catalog.not-signed", "the catalog has no signature", "sign the catalog");
  } else {
    judge_signature(*data, {roots, time}, verdict);
  }
  return verdict;
}

}  // namespace package
