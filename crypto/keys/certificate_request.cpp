#include "crypto/keys/certificate_request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/der/writer.hpp"
#include "crypto/keys/pem.hpp"

namespace keys {
namespace {

using base::Errc;
using base::fail;
using base::Result;
using der::element;
using der::oid;
using der::sequence;

// RFC 5280 appendix A: the upper bounds of these parts are 64 characters.
Result<void> expect_part(std::string_view name, std::string_view value) {
  if (value.size() > base::limits::kNameBytes)
    return fail(Errc::usage, fmt::format("{} of {} bytes, at most {}", name, value.size(), base::limits::kNameBytes));
  if (base::printable(value) != value)
    return fail(Errc::usage, fmt::format("{} \"{}\" has characters that do not show", name, base::printable(value)));
  return {};
}

Bytes name_part(const der::Oid& type, ByteView value) { return element(der::kSet, sequence({oid(type), value})); }

Result<Bytes> name_of(const SubjectName& subject) {
  if (subject.common_name.empty()) return fail(Errc::usage, "a certificate request needs a common name");
  TRY(expect_part("common name", subject.common_name));
  TRY(expect_part("organization", subject.organization));
  TRY(expect_part("organizational unit", subject.organizational_unit));
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  const std::string& country = subject.country;
  if (!country.empty() && (country.size() != 2 || !std::all_of(country.begin(), country.end(), is_upper)))
    return fail(Errc::usage, fmt::format("country \"{}\", two upper-case letters wanted", base::printable(country)));

  std::vector<Bytes> parts;
  if (!country.empty()) parts.push_back(name_part(der::oids::kCountry, der::printable_string(country)));
  if (!subject.organization.empty())
    parts.push_back(name_part(der::oids::kOrganization, der::utf8_string(subject.organization)));
  if (!subject.organizational_unit.empty())
    parts.push_back(name_part(der::oids::kOrganizationalUnit, der::utf8_string(subject.organizational_unit)));
  parts.push_back(name_part(der::oids::kCommonName, der::utf8_string(subject.common_name)));
  return sequence(parts);
}

// [0] attributes: one extensionRequest (RFC 2985 section 5.4.2) for a key that signs code and nothing else.
Bytes attributes() {
  const Bytes is_critical = element(der::kBoolean, Bytes{0xFF});
  const Bytes digital_signature = der::bit_string(Bytes{0x80}, 7);
  const Bytes key_usage = sequence({oid(der::oids::kKeyUsage), is_critical, der::octet_string(digital_signature)});
  const Bytes purposes = sequence({oid(der::oids::kEkuCodeSigning)});
  const Bytes extended = sequence({oid(der::oids::kExtendedKeyUsage), der::octet_string(purposes)});
  const Bytes request =
      sequence({oid(der::oids::kExtensionRequest), element(der::kSet, sequence({key_usage, extended}))});
  return element(der::context(0), request);
}

Bytes signature_algorithm(crypto::KeyAlgorithm algorithm) {
  if (algorithm == crypto::KeyAlgorithm::rsa_pkcs1) return der::algorithm(der::oids::kSha256WithRsa);
  return sequence({oid(der::oids::kEcdsaWithSha256)});   // RFC 5758 section 3.2: parameters absent
}

}  // namespace

CertificateRequest::CertificateRequest(Bytes info, crypto::PublicKey key)
    : info_(std::move(info)), key_(std::move(key)), digest_(crypto::sha256(info_)) {}

Result<CertificateRequest> CertificateRequest::prepare(const SubjectName& subject, ByteView spki) {
  const Bytes name = TRY(name_of(subject));
  crypto::PublicKey key = TRY(crypto::PublicKey::parse(spki));
  Bytes info = sequence({der::integer(0), name, key.der(), attributes()});
  return CertificateRequest(std::move(info), std::move(key));
}

Result<Bytes> CertificateRequest::with_signature(ByteView signature) const {
  TRY(base::within("certificate request", key_.verify(digest_, signature)));
  return sequence({info_, signature_algorithm(key_.algorithm()), der::bit_string(signature)});
}

std::string certificate_request_pem(ByteView der) { return pem_block("CERTIFICATE REQUEST", der); }

}  // namespace keys
