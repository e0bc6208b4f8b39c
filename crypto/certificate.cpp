#include "crypto/certificate.hpp"

#include <fmt/format.h>
#include <mbedtls/x509_crt.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/keys/pem.hpp"

namespace crypto {
namespace {

using base::Errc;
using base::fail;
using der::Element;
using der::Reader;
namespace oids = der::oids;

constexpr der::Oid kBasicConstraints("2.5.29.19");
constexpr der::Oid kAnyExtendedKeyUsage("2.5.29.37.0");

class CrtList {  // mbedTLS's linked list of certificates
 public:
  CrtList() { mbedtls_x509_crt_init(&first_); }
  CrtList(const CrtList&) = delete;
  CrtList& operator=(const CrtList&) = delete;
  ~CrtList() { mbedtls_x509_crt_free(&first_); }
  int add(ByteView der) { return mbedtls_x509_crt_parse_der(&first_, der.data(), der.size()); }
  mbedtls_x509_crt* get() { return &first_; }

 private:
  mbedtls_x509_crt first_;
};

ByteView view(const mbedtls_x509_buf& buffer) {
  return {buffer.p, buffer.len};
}

Result<base::Time> time_of(const mbedtls_x509_time& time) {
  using namespace std::chrono;
  const year_month_day date{year(time.year), month(static_cast<unsigned>(time.mon)),
                            day(static_cast<unsigned>(time.day))};
  if (!date.ok()) return fail(Errc::malformed, fmt::format("there is no day {}-{}-{}", time.year, time.mon, time.day));
  return sys_days(date) + hours(time.hour) + minutes(time.min) + seconds(time.sec);
}

std::string attribute_label(ByteView oid) {
  if (oid == oids::kCommonName) return "CN";
  if (oid == oids::kCountry) return "C";
  if (oid == oids::kOrganization) return "O";
  if (oid == oids::kOrganizationalUnit) return "OU";
  return der::dotted(oid);
}

std::string string_value(const Element& value) {
  if (value.tag == der::kBmpString) {
    const auto text = base::utf8_from_utf16be(value.value);
    if (text) return base::printable(*text);
  }
  return base::printable(base::as_text(value.value));
}

struct NameText {
  std::string all;
  std::string common_name;
};

// Name ::= SEQUENCE OF SET OF SEQUENCE { type OID, value string } (RFC 5280 section 4.1.2.4).
Result<NameText> name_text(ByteView name_der) {
  NameText text;
  Reader name(name_der);
  Reader parts = TRY(name.expect_inside(der::kSequence));
  while (!parts.at_end()) {
    Reader part = TRY(parts.expect_inside(der::kSet));
    while (!part.at_end()) {
      Reader pair = TRY(part.expect_inside(der::kSequence));
      const ByteView type = TRY(pair.expect_any_oid());
      const Element value = TRY(pair.expect_element());
      const std::string shown = string_value(value);
      if (!text.all.empty()) text.all += ", ";
      text.all += attribute_label(type) + "=" + shown;
      if (type == oids::kCommonName) text.common_name = shown;
    }
  }
  return text;
}

struct Extensions {
  bool code_signing = false;
  bool time_stamping = false;
  bool time_stamping_only = false;
  bool any_use = false;
  bool has_extended_key_usage = false;
  bool digital_signature = true;
  bool crl_signing = true;
  bool is_ca = false;
};

Result<void> read_extended_key_usage(ByteView value, bool is_critical, Extensions& found) {
  found.has_extended_key_usage = true;
  std::size_t purpose_count = 0;
  Reader outer(value);
  Reader purposes = TRY(outer.expect_inside(der::kSequence));
  while (!purposes.at_end()) {
    const ByteView purpose = TRY(purposes.expect_any_oid());
    ++purpose_count;
    if (purpose == oids::kEkuCodeSigning) found.code_signing = true;
    if (purpose == oids::kEkuTimeStamping) found.time_stamping = true;
    if (purpose == kAnyExtendedKeyUsage) found.any_use = true;
  }
  found.time_stamping_only = is_critical && found.time_stamping && purpose_count == 1;
  return {};
}

Result<void> read_basic_constraints(ByteView value, Extensions& found) {
  Reader outer(value);
  Reader constraints = TRY(outer.expect_inside(der::kSequence));
  const auto ca = TRY(constraints.match(der::kBoolean));
  found.is_ca = ca && ca->value.size() == 1 && ca->value[0] != 0;
  return {};
}

// Extensions ::= SEQUENCE OF SEQUENCE { extnID OID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }.
Result<Extensions> read_extensions(ByteView der) {
  Extensions found;
  if (der.empty()) return found;
  Reader outer(der);
  Reader list = TRY(outer.expect_inside(der::kSequence));
  while (!list.at_end()) {
    Reader extension = TRY(list.expect_inside(der::kSequence));
    const ByteView id = TRY(extension.expect_any_oid());
    const auto critical = TRY(extension.match(der::kBoolean));
    const bool is_critical = critical && critical->value.size() == 1 && critical->value[0] != 0;
    const ByteView value = TRY(extension.expect(der::kOctetString));
    if (id == oids::kExtendedKeyUsage) TRY(read_extended_key_usage(value, is_critical, found));
    if (id == kBasicConstraints) TRY(read_basic_constraints(value, found));
    if (id == oids::kKeyUsage) {
      Reader usage(value);
      const ByteView bits = TRY(usage.expect(der::kBitString));
      found.digital_signature = bits.size() > 1 && (bits[1] & 0x80U) != 0;  // digitalSignature is bit 0
      found.crl_signing = bits.size() > 1 && (bits[1] & 0x02U) != 0;        // cRLSign is bit 6
    }
  }
  return found;
}

struct SeenCertificate {
  int depth;  // 0 is the leaf
  Bytes der;
};

// mbedTLS compares with the wall clock; the times that count are checked by judge_path() instead.
int on_certificate(void* seen, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags) {
  *flags &= ~static_cast<std::uint32_t>(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
  static_cast<std::vector<SeenCertificate>*>(seen)->push_back({depth, base::to_bytes(view(certificate->raw))});
  return 0;
}

void judge_path(ChainVerdict& verdict, base::Time time, CertificateUse use) {
  using Kind = ChainProblem::Kind;
  const auto report = [&](Kind kind, const Certificate& about, std::string_view what) {
    verdict.problems.push_back({kind, fmt::format("certificate of {}: {}", about.subject(), what)});
  };
  for (const Certificate& certificate : verdict.path) {
    if (time < certificate.not_before())
      report(Kind::validity, certificate, "is not valid before " + base::rfc3339(certificate.not_before()));
    if (time > certificate.not_after())
      report(Kind::validity, certificate, "expired at " + base::rfc3339(certificate.not_after()));
  }
  const auto allows = [use](const Certificate& certificate) {
    return use == CertificateUse::code_signing ? certificate.allows_code_signing() : certificate.allows_time_stamping();
  };
  const Certificate& leaf = verdict.path.front();
  const std::string_view use_name = use == CertificateUse::code_signing ? "code signing" : "time stamping";
  if (!allows(leaf)) report(Kind::use, leaf, fmt::format("extended key usage does not list {}", use_name));
  else if (use == CertificateUse::time_stamping && !leaf.is_for_time_stamping_only())
    report(Kind::use, leaf, "extended key usage is not critical, or allows more than time stamping");
  if (!leaf.allows_digital_signature()) report(Kind::use, leaf, "key usage does not allow digital signatures");
  // Windows takes extended key usage of an intermediate certificate as a limit on what is below it.
  for (std::size_t i = 1; i + 1 < verdict.path.size(); ++i) {
    const Certificate& issuer = verdict.path[i];
    if (issuer.has_extended_key_usage() && !issuer.allows_any_use() && !allows(issuer))
      report(Kind::use, issuer, fmt::format("extended key usage does not list {}", use_name));
  }
}

}  // namespace

Result<Certificate> Certificate::parse(ByteView der) {
  if (der.size() > base::limits::kCertificateBytes)
    return fail(Errc::too_large,
                fmt::format("certificate of {} bytes, at most {}", der.size(), base::limits::kCertificateBytes));
  TRY(base::within("certificate", der::expect_single(der, der::kSequence)));
  CrtList list;
  if (const int error = list.add(der); error != 0)
    return fail(Errc::malformed, fmt::format("not a certificate that mbedTLS can read (error {:#x})", -error));
  const mbedtls_x509_crt& crt = *list.get();
  const Extensions extensions = TRY(base::within("certificate extensions", read_extensions(view(crt.v3_ext))));
  const NameText subject = TRY(base::within("certificate subject", name_text(view(crt.subject_raw))));
  const NameText issuer = TRY(base::within("certificate issuer", name_text(view(crt.issuer_raw))));

  Certificate parsed;
  parsed.der_ = base::to_bytes(der);
  parsed.subject_der_ = base::to_bytes(view(crt.subject_raw));
  parsed.issuer_der_ = base::to_bytes(view(crt.issuer_raw));
  parsed.serial_ = base::to_bytes(view(crt.serial));
  parsed.public_key_der_ = base::to_bytes(view(crt.pk_raw));
  parsed.subject_ = subject.all;
  parsed.issuer_ = issuer.all;
  parsed.display_name_ = subject.common_name.empty() ? subject.all : subject.common_name;
  parsed.not_before_ = TRY(base::within("certificate validity", time_of(crt.valid_from)));
  parsed.not_after_ = TRY(base::within("certificate validity", time_of(crt.valid_to)));
  parsed.code_signing_ = extensions.code_signing;
  parsed.time_stamping_ = extensions.time_stamping;
  parsed.time_stamping_only_ = extensions.time_stamping_only;
  parsed.any_use_ = extensions.any_use;
  parsed.has_extended_key_usage_ = extensions.has_extended_key_usage;
  parsed.digital_signature_ = extensions.digital_signature;
  parsed.crl_signing_ = extensions.crl_signing;
  parsed.is_ca_ = extensions.is_ca;
  return parsed;
}

bool Certificate::is_self_issued() const {
  return subject_der_ == issuer_der_;
}

Result<std::vector<Certificate>> certificates_from_pem(std::string_view pem) {
  if (pem.size() > base::limits::kPemBytes)
    return fail(Errc::too_large, fmt::format("PEM text of {} bytes, at most {}", pem.size(), base::limits::kPemBytes));
  const std::vector<keys::PemBlock> blocks = TRY(keys::pem_blocks(pem));
  if (blocks.empty()) return fail(Errc::malformed, "no PEM block, CERTIFICATE wanted");
  if (blocks.size() > base::limits::kCertificates)
    return fail(Errc::too_large, fmt::format("{} PEM blocks, at most {}", blocks.size(), base::limits::kCertificates));
  std::vector<Certificate> certificates;
  for (const keys::PemBlock& block : blocks) {
    if (block.label != "CERTIFICATE")
      return fail(Errc::malformed, fmt::format("PEM block {} found, CERTIFICATE wanted", base::printable(block.label)));
    Certificate certificate = TRY(Certificate::parse(block.der));
    certificates.push_back(std::move(certificate));
  }
  return certificates;
}

namespace {

// Issuers after what they issued: mbedTLS looks for a certificate's issuer among those that come later, and a signature
// holds them in DER order. What has issued nothing here comes last.
std::vector<const Certificate*> issuers_last(const Certificate& leaf, const std::vector<Certificate>& others) {
  std::vector<const Certificate*> ordered;
  std::vector<const Certificate*> level = {&leaf};
  std::vector<const Certificate*> left;
  for (const Certificate& other : others) left.push_back(&other);
  while (!level.empty()) {
    std::vector<const Certificate*> next;
    for (const Certificate* const issued : level)
      std::erase_if(left, [&](const Certificate* candidate) {
        const bool is_issuer = std::ranges::equal(candidate->subject_der(), issued->issuer_der());
        if (is_issuer) next.push_back(candidate);
        return is_issuer;
      });
    ordered.insert(ordered.end(), next.begin(), next.end());
    level = std::move(next);
  }
  ordered.insert(ordered.end(), left.begin(), left.end());
  return ordered;
}

}  // namespace

ChainVerdict verify_chain(const Certificate& leaf, const std::vector<Certificate>& others,
                          const std::vector<Certificate>& roots, base::Time time, CertificateUse use) {
  using Kind = ChainProblem::Kind;
  CrtList chain;
  CrtList trusted;
  bool taken = chain.add(leaf.der()) == 0;
  for (const Certificate* const other : issuers_last(leaf, others)) taken = chain.add(other->der()) == 0 && taken;
  for (const Certificate& root : roots) taken = trusted.add(root.der()) == 0 && taken;
  base::require(taken, "a certificate that was parsed once no longer parses");

  std::vector<SeenCertificate> seen;
  std::uint32_t flags = 0;
  const int error =
      mbedtls_x509_crt_verify_with_profile(chain.get(), roots.empty() ? nullptr : trusted.get(), nullptr,
                                           &mbedtls_x509_crt_profile_default, nullptr, &flags, on_certificate, &seen);
  ChainVerdict verdict;
  std::sort(seen.begin(), seen.end(),
            [](const SeenCertificate& a, const SeenCertificate& b) { return a.depth < b.depth; });
  for (const SeenCertificate& certificate : seen) {
    auto parsed = Certificate::parse(certificate.der);
    base::require(parsed.has_value(), "a certificate that was parsed once no longer parses");
    verdict.path.push_back(std::move(*parsed));
  }
  if (verdict.path.empty()) verdict.path.push_back(leaf);
  if (error != 0 && error != MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) {
    verdict.problems.push_back(
        {Kind::unreadable, fmt::format("mbedTLS could not follow the chain (error {:#x})", -error)});
    return verdict;
  }
  if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0)
    verdict.problems.push_back(
        {Kind::untrusted, fmt::format("no path to a trusted root: issuer of {} not found or its signature "
                                      "does not fit: {}",
                                      verdict.path.back().subject(), verdict.path.back().issuer())});
  if ((flags & (MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY)) != 0)
    verdict.problems.push_back({Kind::weak, "a certificate of the chain has a weak digest, algorithm or key size"});
  if ((flags &
       (MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE | MBEDTLS_X509_BADCERT_NS_CERT_TYPE)) != 0)
    verdict.problems.push_back({Kind::use, "key usage forbids a certificate of the chain to certify"});
  judge_path(verdict, time, use);
  // Nothing that mbedTLS objects to may pass because it has no words above.
  if (error != 0 && verdict.problems.empty())
    verdict.problems.push_back({Kind::unreadable, fmt::format("mbedTLS refuses the chain (flags {:#x})", flags)});
  return verdict;
}

Result<SigningIdentity> SigningIdentity::assemble(const std::vector<Certificate>& chain, const PublicKey& key) {
  if (chain.empty()) return fail(Errc::malformed, "certificate chain is empty");
  if (chain.size() > base::limits::kCertificates)
    return fail(Errc::too_large,
                fmt::format("chain of {} certificates, at most {}", chain.size(), base::limits::kCertificates));
  const Certificate& leaf = chain.front();
  if (!std::equal(leaf.public_key_der().begin(), leaf.public_key_der().end(), key.der().begin(), key.der().end()))
    return fail(Errc::mismatch,
                fmt::format("certificate of {} is for another key than the one that signs", leaf.subject()));
  if (!leaf.allows_code_signing())
    return fail(Errc::refused,
                fmt::format("certificate of {}: extended key usage does not list code signing", leaf.subject()));
  if (!leaf.allows_digital_signature())
    return fail(Errc::refused,
                fmt::format("certificate of {}: key usage does not allow digital signatures", leaf.subject()));
  std::vector<Certificate> distinct;
  for (const Certificate& certificate : chain)
    if (std::find(distinct.begin(), distinct.end(), certificate) == distinct.end()) distinct.push_back(certificate);
  for (std::size_t i = 1; i < distinct.size(); ++i) {
    const bool issued_one = std::any_of(distinct.begin(), distinct.end(), [&](const Certificate& other) {
      return !(other == distinct[i]) && std::ranges::equal(other.issuer_der(), distinct[i].subject_der());
    });
    if (!issued_one)
      return fail(Errc::mismatch, fmt::format("certificate of {} is in the chain but has issued none of the others",
                                              distinct[i].subject()));
  }
  return SigningIdentity(std::move(distinct), key);
}

std::vector<Certificate> SigningIdentity::embedded() const {
  std::vector<Certificate> embedded{chain_.front()};
  for (std::size_t i = 1; i < chain_.size(); ++i)
    if (!chain_[i].is_self_issued()) embedded.push_back(chain_[i]);
  return embedded;
}

Result<void> SigningIdentity::expect_valid_at(base::Time time) const {
  for (const Certificate& certificate : chain_)
    if (!certificate.is_valid_at(time))
      return fail(Errc::refused, fmt::format("certificate of {} is valid from {} to {}, not at {}",
                                             certificate.subject(), base::rfc3339(certificate.not_before()),
                                             base::rfc3339(certificate.not_after()), base::rfc3339(time)));
  return {};
}

}  // namespace crypto
