#include "crypto/package/kernel_policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "crypto/base/text.hpp"
#include "crypto/der/oids.hpp"
#include "crypto/der/reader.hpp"

namespace package {
namespace {

using base::Result;
using crypto::Certificate;
using crypto::ChainProblem;

// "Microsoft Root Authority 2010, Microsoft Root Certificate Authority, Microsoft Root Authority": the only roots of a fresh Windows 10
// 1607 or newer with Secure Boot. The first is called otherwise on the certificate itself.
constexpr std::array<std::string_view, 3> kMicrosoftRoots = {"Microsoft Root Certificate Authority 2010", "Microsoft Root Certificate Authority",
                                                             "Microsoft Root Authority"};
// Where the chains of cross-signed drivers end.
constexpr std::string_view kCrossRoot = "Microsoft Code Verification Root";

// "signed with an end-entity certificate issued prior to July 29th 2015 that chains to a supported cross-signed CA"
constexpr base::Time kLastCrossSigned = std::chrono::sys_days(std::chrono::year(2015) / 7 / 29);

constexpr der::Oid kDriverVerification("1.3.6.1.4.1.311.10.3.5");     // passed the tests of the hardware lab kit
constexpr der::Oid kAttestedVerification("1.3.6.1.4.1.311.10.3.5.1");  // attested, not tested
constexpr der::Oid kSystemComponent("1.3.6.1.4.1.311.10.3.6");

constexpr const char* kSubmit = "submit the driver to the Hardware Dev Center for a signature of Microsoft's (attestation, or HLK tests)";

bool is_microsoft_root(std::string_view name) { return std::find(kMicrosoftRoots.begin(), kMicrosoftRoots.end(), name) != kMicrosoftRoots.end(); }

std::string day(base::Time time) { return base::rfc3339(time).substr(0, 10); }

struct DriverUsage {
  bool tested = false;
  bool attested = false;
  bool component = false;
};

// Extended key usage of the certificate. Certificate::parse has read it once, so that what is malformed does not get here.
Result<DriverUsage> driver_usage(const Certificate& certificate) {
  DriverUsage usage;
  const der::Element whole = TRY(der::expect_single(certificate.der(), der::kSequence));
  der::Reader outer(whole.value);
  der::Reader in = TRY(outer.expect_inside(der::kSequence));
  while (!in.at_end()) {
    const der::Element element = TRY(in.expect_element());
    if (element.tag != der::context(3)) continue;   // extensions [3]
    der::Reader wrapped(element.value);
    der::Reader extensions = TRY(wrapped.expect_inside(der::kSequence));
    while (!extensions.at_end()) {
      der::Reader extension = TRY(extensions.expect_inside(der::kSequence));
      const base::ByteView id = TRY(extension.expect_any_oid());
      TRY(extension.match(der::kBoolean));   // critical
      const base::ByteView value = TRY(extension.expect(der::kOctetString));
      if (!(id == der::oids::kExtendedKeyUsage)) continue;
      const der::Element list = TRY(der::expect_single(value, der::kSequence));
      der::Reader uses(list.value);
      while (!uses.at_end()) {
        const base::ByteView use = TRY(uses.expect_any_oid());
        usage.tested = usage.tested || use == kDriverVerification;
        usage.attested = usage.attested || use == kAttestedVerification;
        usage.component = usage.component || use == kSystemComponent;
      }
    }
  }
  return usage;
}

void judge_microsoft_signature(const Certificate& leaf, const Findings& report) {
  const Result<DriverUsage> usage = driver_usage(leaf);
  if (!usage) return report.error("chain.unreadable", usage.error().text(), std::string(kGetAnother));
  if (usage->attested && !usage->tested)
    report.note("kernel.attested", "signed by attestation: Windows 10 and newer load it, Windows Server 2016 and newer and systems before Windows 10 do not",
                "for those, submit results of the HLK tests");
  else if (!usage->tested && !usage->component)
    report.warning("kernel.not-for-drivers",
                   fmt::format("the certificate of {} is Microsoft's, but not one for drivers (extended key usage 1.3.6.1.4.1.311.10.3.5, 10.3.5.1 or 10.3.6)",
                               leaf.subject()),
                   kSubmit);
}

void judge_cross_signature(const crypto::ChainVerdict& chain, base::Time time, bool has_timestamp, const Findings& report) {
  const Certificate& leaf = chain.path.front();
  // The one that the root issued; when the root itself is not there, it is the last.
  const bool has_root = chain.path.size() > 1 && chain.path.back().is_self_issued();
  const Certificate& cross = chain.path[chain.path.size() - (has_root ? 2 : 1)];
  for (const Certificate& certificate : chain.path) {
    if (certificate.is_valid_at(time) || certificate.is_self_issued()) continue;
    if (certificate == cross && time > cross.not_after())
      report.error("kernel.cross-certificate-expired",
                   fmt::format("the cross-certificate for {} expired at {}, and {}", cross.display_name(), day(cross.not_after()),
                               has_timestamp ? "the timestamp is of " + day(time) : std::string("no timestamp that counts says that the signature is older")),
                   fmt::format("there are no newer cross-certificates: {}", kSubmit));
    else
      report.error("chain.validity",
                   fmt::format("certificate of {}: valid from {} to {}, not at {}", certificate.subject(), day(certificate.not_before()),
                               day(certificate.not_after()), day(time)),
                   "timestamp signatures while the certificate is valid");
  }
  if (leaf.not_before() >= kLastCrossSigned)
    report.error("kernel.cross-signed-too-late",
                 fmt::format("cross-signed with a certificate issued at {}, not before 2015-07-29: Windows 10 1607 and newer load it only where Windows was "
                             "upgraded from an older one, or Secure Boot is off",
                             day(leaf.not_before())),
                 kSubmit);
  else
    report.note("kernel.cross-signed",
                fmt::format("cross-signed with a certificate issued at {}, before 2015-07-29: Windows 10 1607 and newer still load it", day(leaf.not_before())),
                "none needed");
}

void report_problems(const std::vector<ChainProblem>& problems, bool is_cross_signed, const Findings& report) {
  for (const ChainProblem& problem : problems) {
    if (is_cross_signed && problem.kind == ChainProblem::Kind::validity) continue;   // said certificate by certificate, below
    if (is_cross_signed && problem.kind == ChainProblem::Kind::weak)   // cross-certificates are signed with SHA-1
      report.note(chain_finding(problem.kind), problem.text, "none needed: the kernel takes cross-certificates as they are");
    else
      report.error(chain_finding(problem.kind), problem.text, "sign with a certificate that is trusted and valid for code signing");
  }
}

// Of a name as Certificate shows it: "C=US, O=Microsoft Corporation, CN=Microsoft Root Certificate Authority 2010".
std::string_view common_name(std::string_view name) {
  const std::size_t at = name.rfind("CN=");
  return at == std::string_view::npos ? name : name.substr(at + 3);
}

bool is_untrusted(const ChainProblem& problem) { return problem.kind == ChainProblem::Kind::untrusted; }

}  // namespace

bool is_kernel_refusal(const Finding& finding) { return finding.severity == Severity::error && finding.id.starts_with("kernel."); }

void judge_kernel_chain(const Certificate& leaf, const std::vector<Certificate>& others, const Trust& trust, std::optional<base::Time> timestamp,
                        const Findings& report) {
  const base::Time time = timestamp.value_or(trust.time);
  const auto chain_to = [&](const std::vector<Certificate>& roots) {
    return verify_chain(leaf, others, roots, time, crypto::CertificateUse::code_signing);
  };
  // A driver may have two chains, to its authority's own root and, by the cross-certificate, to Microsoft's: the kernel looks for the latter.
  std::vector<Certificate> roots;
  for (const Certificate& root : trust.roots)
    if (is_microsoft_root(root.display_name()) || root.display_name() == kCrossRoot) roots.push_back(root);
  crypto::ChainVerdict chain = chain_to(roots);
  const bool leads_there = std::none_of(chain.problems.begin(), chain.problems.end(), is_untrusted);
  if (!leads_there && !trust.roots.empty()) chain = chain_to(trust.roots);
  if (report.is_primary()) report.verdict().chain = chain.path;
  std::erase_if(chain.problems, is_untrusted);   // said below, and in other words
  if (trust.roots.empty())
    report.warning("chain.not-checked", "no roots were given, so nothing says who " + leaf.subject() + " is", "give the root certificates that you trust");
  // With roots only a chain that leads to Microsoft's counts; without, what the last certificate says of its issuer.
  const Certificate& last = chain.path.back();
  std::string_view end;
  if (leads_there)
    end = last.display_name();
  else if (trust.roots.empty())
    end = common_name(last.issuer());
  const bool is_cross_signed = end == kCrossRoot;
  report_problems(chain.problems, is_cross_signed, report);
  if (is_cross_signed) {
    judge_cross_signature(chain, time, timestamp.has_value(), report);
  } else if (is_microsoft_root(end)) {
    judge_microsoft_signature(leaf, report);
  } else {
    report.error("kernel.not-microsoft",
                 fmt::format("the chain of {} ends at {}: Windows 10 1607 and newer load kernel drivers that Microsoft signed, and older 64-bit ones those with a "
                             "cross-certificate; this one loads with test signing on only",
                             leaf.display_name(), last.is_self_issued() ? last.display_name() : last.issuer()),
                 fmt::format("{}; if it is Microsoft's already, give Microsoft's root with --trust", kSubmit));
  }
}

}  // namespace package
