#include "crypto/package/signature_verdict.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/cms/counter_signature.hpp"
#include "crypto/timestamp.hpp"

namespace package {
namespace {

using base::Errc;
using crypto::Certificate;
namespace oids = der::oids;

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

constexpr const char* kTimestampAgain = "timestamp the file again: coldseal timestamp";

// Whether the authority can be relied on for that time.
bool judge_authority(const crypto::ChainVerdict& chain, const Trust& trust, const Findings& report) {
  bool is_trusted = true;
  for (const crypto::ChainProblem& problem : chain.problems) {
    const bool is_unknown = problem.kind == crypto::ChainProblem::Kind::untrusted;
    if (trust.roots.empty() && is_unknown) continue;   // said with the signer's chain
    is_trusted = false;
    report.warning(is_unknown ? "timestamp.untrusted" : "timestamp.chain", problem.text,
                   "give the root of the timestamp authority, or timestamp the file again");
  }
  return is_trusted;
}

// A countersignature of the kind that SignTool /t made. Windows still takes it.
std::optional<base::Time> judge_counter_signature(const cms::SignedData& data, const cms::SignerInfo& signer,
                                                  const Trust& trust, const Findings& report) {
  const auto counter = cms::CounterSignature::parse(data, signer);
  if (!counter) {
    report.error("timestamp.malformed", counter.error().text(), kTimestampAgain);
    return std::nullopt;
  }
  if (!report.expect(counter->expect_over(signer), "timestamp.mismatch", kTimestampAgain)) return std::nullopt;
  const auto chain = counter->chain(trust.roots);
  if (!chain && chain.error().code() == Errc::unsupported) {   // RSA of 1024 bits, as of 2000
    report.warning("timestamp.chain", chain.error().text(), kTimestampAgain);
    return std::nullopt;
  }
  if (!chain) {
    report.error("timestamp.wrong", chain.error().text(), kTimestampAgain);
    return std::nullopt;
  }
  report.note("timestamp.legacy", "countersigned at " + base::rfc3339(counter->time()) + ", the way before RFC 3161",
              "none needed");
  if (!judge_authority(*chain, trust, report)) return std::nullopt;
  return counter->time();
}

// When a good timestamp says that the signature was there; nothing without one that can be relied on.
std::optional<base::Time> judge_timestamp(const cms::SignedData& data, const cms::SignerInfo& signer, const Trust& trust,
                                          const Findings& report) {
  const cms::Attribute* const attribute = signer.unsigned_attribute(oids::kSpcRfc3161Timestamp);
  if (signer.unsigned_attribute(oids::kCounterSignature) != nullptr) {
    const auto time = judge_counter_signature(data, signer, trust, report);
    if (attribute == nullptr) return time;
  }
  if (attribute == nullptr) return std::nullopt;
  if (attribute->values.size() != 1) {
    report.error("timestamp.malformed", fmt::format("{} timestamps in one attribute", attribute->values.size()),
                 kTimestampAgain);
    return std::nullopt;
  }
  const auto token = crypto::TimestampToken::parse(attribute->values.front());
  if (!token) {
    report.error("timestamp.malformed", token.error().text(), kTimestampAgain);
    return std::nullopt;
  }
  if (token->imprint() != crypto::digest_of(token->imprint().algorithm(), signer.signature)) {
    report.error("timestamp.mismatch", "the timestamp is for another signature", kTimestampAgain);
    return std::nullopt;
  }
  const auto chain = token->chain(trust.roots);
  if (!chain) {
    report.error("timestamp.wrong", chain.error().text(), kTimestampAgain);
    return std::nullopt;
  }
  if (!judge_authority(*chain, trust, report)) return std::nullopt;
  return token->time();
}

void judge_chain(const cms::SignedData& data, const Certificate& leaf, const Trust& trust, base::Time time,
                 const Findings& report) {
  std::vector<Certificate> others;
  for (const base::Bytes& der : data.certificates()) {
    auto certificate = Certificate::parse(der);
    if (certificate && !(*certificate == leaf)) others.push_back(std::move(*certificate));
  }
  const crypto::ChainVerdict chain =
      verify_chain(leaf, others, trust.roots, time, crypto::CertificateUse::code_signing);
  if (report.is_primary()) report.verdict().chain = chain.path;
  if (trust.roots.empty())
    report.warning("chain.not-checked", "no roots were given, so nothing says who " + leaf.subject() + " is",
                   "give the root certificates that you trust");
  for (const crypto::ChainProblem& problem : chain.problems) {
    if (trust.roots.empty() && problem.kind == crypto::ChainProblem::Kind::untrusted) continue;  // said above
    // Firmware has no time that it could trust, and looks at none.
    if (trust.policy == Policy::uefi && problem.kind == crypto::ChainProblem::Kind::validity)
      report.note("uefi.time-not-judged", problem.text, "none needed: firmware looks at no time");
    else
      report.error(chain_finding(problem.kind), problem.text,
                   "sign with a certificate that is trusted and valid for code signing");
  }
}

}  // namespace

void judge_signature(const cms::SignedData& data, const Trust& trust, const Findings& report) {
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
  if (report.expect(data.expect_message_digest(signer), "signature.message-digest", std::string(kGetAnother)) &&
      report.is_primary())
    report.verdict().signed_digest = crypto::digest_of(signer.digest_algorithm, data.content_octets());
  const std::optional<base::Time> timestamp = judge_timestamp(data, signer, trust, report);
  if (report.is_primary()) report.verdict().timestamp = timestamp;

  const auto leaf = data.signer_certificate(signer);
  if (!leaf) return report.error("signature.no-certificate", leaf.error().text(), std::string(kGetAnother));
  if (report.is_primary()) report.verdict().signer = leaf->subject();
  const auto key = leaf->public_key();
  if (!key) {
    report.error("signature.key-unsupported", key.error().text(), "sign with RSA of 2048 to 4096 bits, P-256 or P-384");
  } else if (report.expect(data.expect_signature(signer, *key), "signature.wrong", std::string(kGetAnother))) {
    const crypto::Digest approved = crypto::digest_of(signer.digest_algorithm, signer.signed_attributes_der);
    if (report.is_primary()) report.verdict().approved_digest = approved;
    report.verdict().good_signatures.push_back(
        {approved, leaf->fingerprint(), crypto::sha256(leaf->public_key_der()), !report.is_primary()});
  }
  judge_chain(data, *leaf, trust, timestamp.value_or(trust.time), report);
}

}  // namespace package
