#include "crypto/package/verification.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "crypto/base/limits.hpp"
#include "crypto/cms/signature_edit.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/pe_image.hpp"
#include "crypto/package/kernel_policy.hpp"
#include "crypto/package/signature_verdict.hpp"

namespace package {
namespace {

using base::ByteView;
using base::Errc;
using crypto::Certificate;
namespace oids = der::oids;

constexpr unsigned kNativeSubsystem = 1;   // IMAGE_SUBSYSTEM_NATIVE: drivers, and libraries that drivers load

struct PeSignature {   // one that could be taken apart, and what it says of the image
  std::string where;   // empty for the primary signature
  cms::SignedData data;
  std::optional<formats::IndirectData> content;
  std::optional<formats::PageHashes> pages;
};

// What the signature says of the image, as far as it can be read.
void read_content(PeSignature& signature, Verdict& verdict) {
  const Findings report(verdict, signature.where);
  if (!(signature.data.content_type() == oids::kSpcIndirectData))
    return report.error("signature.malformed",
                        "signature is over " + der::dotted(signature.data.content_type()) + ", not over a PE image",
                        std::string(kSignAgain));
  auto content = formats::IndirectData::parse(signature.data.content_der());
  if (!content) return report.error("signature.malformed", content.error().text(), std::string(kGetAnother));
  if (!(content->type == oids::kSpcPeImageData))
    return report.error("signature.malformed",
                        "signature is over data of type " + der::dotted(content->type) + ", not over a PE image",
                        std::string(kSignAgain));
  auto pages = formats::page_hashes_of(content->value);
  if (!pages)
    report.error("pe.page-hashes", pages.error().text(), std::string(kGetAnother));
  else
    signature.pages = std::move(*pages);
  signature.content = std::move(*content);
}

// The signature and all that are nested in it, at any depth up to the limit.
void collect(ByteView der, std::string where, std::size_t depth, Verdict& verdict, std::vector<PeSignature>& all) {
  const Findings report(verdict, where);
  auto data = cms::SignedData::parse(der);
  if (!data) return report.error("signature.malformed", data.error().text(), std::string(kGetAnother));
  all.push_back({where, std::move(*data), std::nullopt, std::nullopt});
  read_content(all.back(), verdict);
  if (all.back().data.signers().size() != 1) return;   // said where it is judged
  const auto nested = cms::nested_signatures(der);
  if (!nested) return report.error("signature.nested", nested.error().text(), std::string(kSignAgain));
  if (nested->empty()) return;
  if (depth == base::limits::kNestingDepth || all.size() + nested->size() > base::limits::kNestedSignatures)
    return report.error("signature.nested", "more signatures are nested in each other than are looked at",
                        std::string(kSignAgain));
  for (std::size_t i = 0; i < nested->size(); ++i)
    collect((*nested)[i], fmt::format("{}nested signature {}", where.empty() ? "" : where + ", ", i + 1), depth + 1,
            verdict, all);
}

// One pass over the image, for everything that any of its signatures says of it.
base::Result<formats::PeMeasurement> measured_for(const std::vector<PeSignature>& signatures,
                                                  const base::ByteSource& file, const formats::PeImage& image) {
  std::vector<crypto::DigestAlgorithm> algorithms;
  formats::PeMeasuring wanted;
  const bool has_pages = image.page_layout().has_value();
  for (const PeSignature& signature : signatures) {
    if (signature.content && std::ranges::find(algorithms, signature.content->digest.algorithm()) == algorithms.end())
      algorithms.push_back(signature.content->digest.algorithm());
    if (!signature.pages || !has_pages) continue;
    (signature.pages->version == formats::PageHashVersion::v1 ? wanted.page_hashes_v1 : wanted.page_hashes_v2) = true;
  }
  wanted.algorithms = algorithms;
  return image.measure(file, wanted);
}

void judge_content(const PeSignature& signature, const formats::PeImage& image,
                   const formats::PeMeasurement& measured, Verdict& verdict) {
  if (!signature.content) return;
  const Findings report(verdict, signature.where);
  const crypto::Digest& stated = signature.content->digest;
  const crypto::Digest& actual = measured.digest(stated.algorithm());
  if (report.is_primary()) verdict.file_digest = actual;
  if (actual != stated)
    report.error("pe.digest-mismatch",
                 fmt::format("signature is for {} digest {}, the file has {}", crypto::digest_name(stated.algorithm()),
                             stated.hex(), actual.hex()),
                 std::string(kGetAnother));
  if (!signature.pages) return;
  if (const auto layout = image.page_layout(); !layout)
    return report.error("pe.page-hashes", layout.error().text(), "sign the image without page hashes");
  if (measured.page_hashes(signature.pages->version) != signature.pages->table)
    report.error("pe.page-hashes", "page hashes are not those of the image", std::string(kGetAnother));
}

// The entry that Windows looks at: the first with PKCS#7 SignedData.
const formats::WinCertificate* judge_table(const std::vector<formats::WinCertificate>& table, Policy policy,
                                           Verdict& verdict) {
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
  if (table.size() > 1 && policy != Policy::uefi)
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

Verdict verify_pe(const base::ByteSource& file, const std::vector<Certificate>& roots, base::Time time, Policy policy) {
  Verdict verdict;
  const Findings report(verdict);
  const auto image = formats::PeImage::parse(file);
  if (!image) {
    const bool ambiguous = image.error().code() == Errc::refused;
    report.error(ambiguous ? "pe.ambiguous-layout" : "pe.not-readable", image.error().text(),
                 "link the image again without gaps or overlaps, or repair it");
    return verdict;
  }
  verdict.is_kernel_image = image->subsystem() == kNativeSubsystem;
  if (policy == Policy::kernel && !verdict.is_kernel_image) policy = Policy::authenticode;
  if (policy == Policy::uefi && (image->subsystem() < 10 || image->subsystem() > 13))
    report.error("uefi.subsystem", fmt::format("subsystem {}, firmware loads 10 to 13", image->subsystem()),
                 "link the image as an EFI application or driver");
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
  const formats::WinCertificate* const first = judge_table(*table, policy, verdict);
  if (first == nullptr) {
    report.error("pe.not-signed", "no entry of the certificate table is a PKCS#7 signature", "sign the image");
    return verdict;
  }
  std::vector<PeSignature> signatures;
  collect(first->der, {}, 0, verdict, signatures);
  for (const formats::WinCertificate& entry : *table)   // firmware tries every entry
    if (policy == Policy::uefi && &entry != first && entry.type == formats::WinCertificate::kPkcsSignedData)
      collect(entry.der, fmt::format("entry at {:#x}", entry.offset), 0, verdict, signatures);
  const auto measured = measured_for(signatures, file, *image);
  if (!measured) {
    report.error("pe.not-readable", measured.error().text(), "read the file from another medium");
    return verdict;
  }
  // Authenticode does not cover CheckSum; the kernel looks at it when it loads a driver.
  const auto checksum = formats::pe_checksum(file, *image, *measured);
  if (checksum && *checksum != image->stored_checksum()) {
    const std::string cause = fmt::format("CheckSum is {:#010x}, {:#010x} would be right", image->stored_checksum(), *checksum);
    constexpr const char* kRemedy = "set the checksum again; drivers do not load with a wrong one";
    if (policy == Policy::kernel)
      report.error("pe.checksum", cause, kRemedy);
    else
      report.warning("pe.checksum", cause, kRemedy);
  }
  bool one_loads = false;
  const std::size_t begin = verdict.findings.size();
  for (const PeSignature& signature : signatures) {
    const std::size_t before = verdict.findings.size();
    judge_content(signature, *image, *measured, verdict);
    judge_signature(signature.data, {roots, time, policy}, Findings(verdict, signature.where));
    const auto own = std::span(verdict.findings).subspan(before);
    one_loads = one_loads || std::none_of(own.begin(), own.end(), [](const Finding& each) { return each.severity == Severity::error; });
  }
  // The kernel is content with one of them.
  for (Finding& finding : std::span(verdict.findings).subspan(begin))
    if (one_loads && is_kernel_refusal(finding)) finding.severity = Severity::note;
  verdict.signatures = signatures.size();
  return verdict;
}

Verdict verify_catalog_signature(ByteView catalog_der, const std::vector<Certificate>& roots, base::Time time, Policy policy) {
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
    judge_signature(*data, {roots, time, policy}, report);
    verdict.signatures = 1;
  }
  return verdict;
}

}  // namespace package
