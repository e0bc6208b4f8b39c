#include "crypto/revocation_list.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/keys/pem.hpp"

namespace crypto {
namespace {

using base::Errc;
using base::fail;
using der::Reader;
namespace oids = der::oids;

constexpr der::Oid kCrlNumber("2.5.29.20");

struct ListAlgorithm {
  DigestAlgorithm digest;
  KeyAlgorithm key;   // P-256 for either curve: the key itself says which
};

// The AlgorithmIdentifiers of RFC 4055 section 5 and RFC 5758 section 3.2. SHA-1 is not taken: whoever can make collisions could make a list.
Result<ListAlgorithm> list_algorithm(Reader& in) {
  Reader algorithm = TRY(in.expect_inside(der::kSequence));
  const ByteView oid = TRY(algorithm.expect_any_oid());
  if (!algorithm.at_end()) TRY(algorithm.expect_null());
  TRY(algorithm.expect_end());
  if (oid == oids::kSha256WithRsa) return ListAlgorithm{DigestAlgorithm::sha256, KeyAlgorithm::rsa_pkcs1};
  if (oid == oids::kSha384WithRsa) return ListAlgorithm{DigestAlgorithm::sha384, KeyAlgorithm::rsa_pkcs1};
  if (oid == oids::kSha512WithRsa) return ListAlgorithm{DigestAlgorithm::sha512, KeyAlgorithm::rsa_pkcs1};
  if (oid == oids::kEcdsaWithSha256) return ListAlgorithm{DigestAlgorithm::sha256, KeyAlgorithm::ecdsa_p256};
  if (oid == oids::kEcdsaWithSha384) return ListAlgorithm{DigestAlgorithm::sha384, KeyAlgorithm::ecdsa_p256};
  return fail(Errc::unsupported, fmt::format("signed with algorithm {}; RSA or ECDSA with SHA-256 or longer wanted", der::dotted(oid)));
}

// Time ::= CHOICE { utcTime, generalTime }, both with seconds and Z (RFC 5280 section 5.1.2.4).
bool is_time(const Reader& in) {
  return !in.at_end() && (in.rest().front() == der::kUtcTime || in.rest().front() == der::kGeneralizedTime);
}
Result<base::Time> list_time(Reader& in) {
  const der::Element element = TRY(in.expect_element());
  const std::string text(base::as_text(element.value));
  if (element.tag == der::kUtcTime) return base::time_from_utc_time(text);
  if (element.tag != der::kGeneralizedTime || text.size() != 15 || text.back() != 'Z')
    return fail(Errc::malformed, fmt::format("time \"{}\", YYYYMMDDhhmmssZ wanted", base::printable(text)));
  return base::time_from_rfc3339(fmt::format("{}-{}-{}T{}:{}:{}Z", text.substr(0, 4), text.substr(4, 2), text.substr(6, 2), text.substr(8, 2),
                                             text.substr(10, 2), text.substr(12, 2)));
}

Result<void> use_octets(ByteView octets) {
  if (octets.empty() || (octets[0] & 0x80U) != 0) return fail(Errc::malformed, "a number that is empty or below zero");
  return {};
}

// Extensions ::= SEQUENCE OF SEQUENCE { OID, critical BOOLEAN DEFAULT FALSE, OCTET STRING }.
template <class Use>
Result<void> for_each_extension(Reader list, Use use) {
  while (!list.at_end()) {
    Reader extension = TRY(list.expect_inside(der::kSequence));
    const ByteView id = TRY(extension.expect_any_oid());
    const auto critical = TRY(extension.match(der::kBoolean));
    const ByteView value = TRY(extension.expect(der::kOctetString));
    TRY(extension.expect_end());
    // cRLNumber is never critical; deltaCRLIndicator, issuingDistributionPoint and certificateIssuer always are.
    if (critical && critical->value.size() == 1 && critical->value[0] != 0)
      return fail(Errc::unsupported, fmt::format("critical extension {}: only complete lists of one authority are taken", der::dotted(id)));
    TRY(use(id, value));
  }
  return {};
}

std::string without_leading_zeros(const std::string& digits) {
  const std::size_t first = digits.find_first_not_of('0');
  return first == std::string::npos ? "0" : digits.substr(first);
}

}  // namespace

Result<RevocationList> RevocationList::parse(ByteView der) {
  if (der.size() > base::limits::kRevocationListBytes)
    return fail(Errc::too_large, fmt::format("revocation list of {} bytes, at most {}", der.size(), base::limits::kRevocationListBytes));
  const der::Element whole = TRY(base::within("revocation list", der::expect_single(der, der::kSequence)));
  RevocationList parsed;
  TRY(base::within("revocation list", parsed.read_list(whole.value)));
  parsed.der_ = base::to_bytes(der);
  return parsed;
}

Result<RevocationList> RevocationList::read(ByteView file) {
  if (file.empty() || file.front() == der::kSequence) return parse(file);
  const Bytes der = TRY(keys::single_pem_block(base::as_text(file), "X509 CRL"));
  return parse(der);
}

Result<void> RevocationList::read_list(ByteView list) {
  Reader outer(list);
  const der::Element to_be_signed = TRY(outer.expect_element(der::kSequence));
  const ListAlgorithm algorithm = TRY(list_algorithm(outer));
  const ByteView signature = TRY(outer.expect(der::kBitString));
  TRY(outer.expect_end());
  if (signature.empty() || signature[0] != 0) return fail(Errc::malformed, "signature: unused bits");
  digest_ = algorithm.digest;
  key_ = algorithm.key;
  signature_ = base::to_bytes(signature.subspan(1));
  signed_ = base::to_bytes(to_be_signed.whole);

  Reader in(to_be_signed.value);
  const auto version = TRY(in.match(der::kInteger));
  if (version && !(version->value.size() == 1 && version->value[0] == 1))
    return fail(Errc::unsupported, "version of the list: 2 wanted");
  const ListAlgorithm inner = TRY(list_algorithm(in));
  if (inner.digest != digest_ || inner.key != key_) return fail(Errc::malformed, "two signature algorithms");
  const der::Element issuer = TRY(in.expect_element(der::kSequence));
  issuer_der_ = base::to_bytes(issuer.whole);
  this_update_ = TRY(base::within("thisUpdate", list_time(in)));
  if (is_time(in)) {
    next_update_ = TRY(base::within("nextUpdate", list_time(in)));
    if (*next_update_ < this_update_) return fail(Errc::malformed, "nextUpdate is before thisUpdate");
  }
  const auto revoked = TRY(in.match(der::kSequence));
  if (revoked) {
    Reader entries(revoked->value);
    while (!entries.at_end()) {
      if (revoked_.size() == base::limits::kRevokedCertificates)
        return fail(Errc::too_large, fmt::format("more than {} certificates", base::limits::kRevokedCertificates));
      Reader entry = TRY(entries.expect_inside(der::kSequence));
      const ByteView serial = TRY(entry.expect(der::kInteger));
      if (serial.empty()) return fail(Errc::malformed, "a serial number without octets");
      const base::Time when = TRY(base::within("revocationDate", list_time(entry)));
      if (!entry.at_end()) {
        Reader extensions = TRY(entry.expect_inside(der::kSequence));
        TRY(for_each_extension(extensions, [](ByteView, ByteView) -> Result<void> { return {}; }));
      }
      TRY(entry.expect_end());
      revoked_.emplace(base::to_bytes(serial), when);
    }
  }
  if (!in.at_end()) {
    Reader extensions = TRY(in.expect_inside(der::context(0)));
    Reader extension_list = TRY(extensions.expect_inside(der::kSequence));
    TRY(extensions.expect_end());
    TRY(for_each_extension(extension_list, [this](ByteView id, ByteView value) -> Result<void> {
      if (!(id == kCrlNumber)) return {};
      Reader content(value);
      const ByteView octets = TRY(content.expect(der::kInteger));
      TRY(content.expect_end());
      TRY(base::within("cRLNumber", use_octets(octets)));
      if (octets.size() > 21) return fail(Errc::malformed, "cRLNumber: at most 20 octets");   // RFC 5280 section 5.2.3
      number_ = without_leading_zeros(base::hex(octets));
      return {};
    }));
  }
  return in.expect_end();
}

std::optional<base::Time> RevocationList::revoked_at(ByteView serial) const {
  const auto found = revoked_.find(base::to_bytes(serial));
  return found == revoked_.end() ? std::nullopt : std::optional(found->second);
}

Result<void> RevocationList::expect_issued_by(const Certificate& authority) const {
  if (!std::ranges::equal(authority.subject_der(), issuer_der_))
    return fail(Errc::mismatch, fmt::format("revocation list is not by {}", authority.subject()));
  if (!authority.allows_crl_signing())
    return fail(Errc::refused, fmt::format("key usage of {} does not allow it to sign revocation lists", authority.subject()));
  const PublicKey key = TRY(authority.public_key());
  if ((key.algorithm() == KeyAlgorithm::rsa_pkcs1) != (key_ == KeyAlgorithm::rsa_pkcs1))
    return fail(Errc::mismatch, "revocation list: signed with another kind of key than its authority's");
  return base::within("revocation list", key.verify(digest_of(digest_, signed_), signature_));
}

Result<void> RevocationList::expect_newer_than(const std::string& number_before, base::Time update_before) const {
  const auto below = [](const std::string& a, const std::string& b) { return a.size() != b.size() ? a.size() < b.size() : a < b; };
  const bool is_lower = below(number_, number_before);
  const bool is_earlier = this_update_ < update_before;
  if (!is_lower && !is_earlier && (below(number_before, number_) || update_before < this_update_)) return {};
  return fail(Errc::refused, fmt::format("list number {} of {} does not follow number {} of {}, which is here already", number_, base::rfc3339(this_update_),
                                         number_before, base::rfc3339(update_before)));
}

}  // namespace crypto
