// X.509 certificates (RFC 5280), chains of them, and the certificate chain of a signing key. Reads and judges;
// certificates are issued elsewhere. Time is a parameter, never the wall clock. Revocation is revocation_list.hpp's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "crypto/digest.hpp"
#include "crypto/verify_signature.hpp"

namespace crypto {

class Certificate {
 public:
  // One certificate, nothing after it. Errc::malformed; Errc::too_large over limits::kCertificateBytes.
  static Result<Certificate> parse(ByteView der);

  ByteView der() const { return der_; }
  // For people: "C=DE, O=Example, CN=Example Driver Signing", safe to print.
  const std::string& subject() const { return subject_; }
  const std::string& issuer() const { return issuer_; }
  // The common name of the subject, or all of it when it has none; safe to print.
  const std::string& display_name() const { return display_name_; }
  // Name elements, byte for byte as in the certificate.
  ByteView subject_der() const { return subject_der_; }
  ByteView issuer_der() const { return issuer_der_; }
  // Content octets of the serialNumber INTEGER, leading zero kept.
  ByteView serial() const { return serial_; }
  // SubjectPublicKeyInfo; public_key() is Errc::unsupported for algorithms and sizes that crypto::PublicKey refuses.
  ByteView public_key_der() const { return public_key_der_; }
  Result<PublicKey> public_key() const { return PublicKey::parse(public_key_der_); }
  base::Time not_before() const { return not_before_; }
  base::Time not_after() const { return not_after_; }
  bool is_valid_at(base::Time time) const { return not_before_ <= time && time <= not_after_; }
  // Whether extendedKeyUsage is present and lists code signing (or time stamping).
  bool allows_code_signing() const { return code_signing_; }
  bool allows_time_stamping() const { return time_stamping_; }
  // RFC 3161 section 2.3: an authority's certificate has extendedKeyUsage critical, with time stamping and nothing else.
  bool is_for_time_stamping_only() const { return time_stamping_only_; }
  bool allows_any_use() const { return any_use_; }  // anyExtendedKeyUsage; counts for issuers only
  bool has_extended_key_usage() const { return has_extended_key_usage_; }
  // keyUsage is absent, or has digitalSignature.
  bool allows_digital_signature() const { return digital_signature_; }
  bool is_ca() const { return is_ca_; }  // basicConstraints cA
  // keyUsage is absent, or has cRLSign.
  bool allows_crl_signing() const { return crl_signing_; }
  bool is_self_issued() const;           // subject and issuer are the same bytes
  Digest fingerprint() const { return sha256(der_); }
  friend bool operator==(const Certificate& a, const Certificate& b) { return a.der_ == b.der_; }

 private:
  Certificate() = default;
  Bytes der_;
  Bytes subject_der_;
  Bytes issuer_der_;
  Bytes serial_;
  Bytes public_key_der_;
  std::string subject_;
  std::string issuer_;
  std::string display_name_;
  base::Time not_before_{};
  base::Time not_after_{};
  bool code_signing_ = false;
  bool time_stamping_ = false;
  bool time_stamping_only_ = false;
  bool any_use_ = false;
  bool has_extended_key_usage_ = false;
  bool digital_signature_ = true;
  bool crl_signing_ = true;
  bool is_ca_ = false;
};

// Every CERTIFICATE block of PEM text, in order; at least one, at most limits::kCertificates. Blocks with other labels
// are refused, so that a private key in the wrong file is noticed.
Result<std::vector<Certificate>> certificates_from_pem(std::string_view pem);

enum class CertificateUse : std::uint8_t { code_signing, time_stamping };

struct ChainProblem {
  enum class Kind : std::uint8_t {
    untrusted,  // no path to a root
    validity,   // expired, or not valid yet, at the given time
    use,        // key usage, extended key usage or basic constraints forbid it
    weak,       // an algorithm or key size below 2048-bit RSA, P-256, SHA-256
    unreadable,
  };
  Kind kind;
  std::string text;
};

struct ChainVerdict {
  std::vector<Certificate> path;  // leaf first, as far as it was built; the root last when it is trusted
  std::vector<ChainProblem> problems;
  bool trusted() const { return problems.empty(); }
};

// Whether leaf may be used like that at that time according to roots, with others to build the path from.
ChainVerdict verify_chain(const Certificate& leaf, const std::vector<Certificate>& others,
                          const std::vector<Certificate>& roots, base::Time time, CertificateUse use);

// A code-signing certificate with its chain, checked against the key it is for.
class SigningIdentity {
 public:
  // chain: leaf first, then issuers and cross-certificates in any order, repetitions dropped. Errc::mismatch when the
  // leaf is for another key or a certificate has issued none of the others; Errc::refused when the leaf does not
  // allow code signing.
  static Result<SigningIdentity> assemble(const std::vector<Certificate>& chain, const PublicKey& key);

  const Certificate& leaf() const { return chain_.front(); }
  const std::vector<Certificate>& chain() const { return chain_; }
  const PublicKey& key() const { return key_; }
  // What goes into a signature: all but self-issued roots, as SignTool does; a self-signed leaf stays.
  std::vector<Certificate> embedded() const;
  // Errc::refused, naming the certificate, when one of chain() is not valid at that time.
  Result<void> expect_valid_at(base::Time time) const;

 private:
  SigningIdentity(std::vector<Certificate> chain, PublicKey key) : chain_(std::move(chain)), key_(std::move(key)) {}
  std::vector<Certificate> chain_;
  PublicKey key_;
};

}  // namespace crypto
