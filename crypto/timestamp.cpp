#include "crypto/timestamp.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/cms/signed_data.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/der/writer.hpp"

namespace crypto {
namespace {

using base::Errc;
using base::fail;

constexpr der::Oid kTstInfo("1.2.840.113549.1.9.16.1.4");
constexpr der::Oid kSigningCertificate("1.2.840.113549.1.9.16.2.12");
constexpr der::Oid kSigningCertificateV2("1.2.840.113549.1.9.16.2.47");

// MessageImprint { hashAlgorithm AlgorithmIdentifier, hashedMessage OCTET STRING }.
Result<Digest> read_imprint(der::Reader& in) {
  der::Reader imprint = TRY(in.expect_inside(der::kSequence));
  const DigestAlgorithm algorithm = TRY(imprint.expect_digest_algorithm());
  const ByteView octets = TRY(imprint.expect(der::kOctetString));
  TRY(imprint.expect_end());
  return base::within("message imprint", Digest::from_bytes(algorithm, octets));
}

// GeneralizedTime as RFC 3161 section 2.4.2 restricts it: YYYYMMDDhhmmss[.s...]Z. The fraction is dropped.
Result<base::Time> time_of(ByteView octets) {
  const std::string text(base::as_text(octets));
  const bool is_whole = text.size() == 15;
  if ((!is_whole && (text.size() < 17 || text[14] != '.' ||
                     !std::all_of(text.begin() + 15, text.end() - 1, [](char c) { return c >= '0' && c <= '9'; }))) ||
      text.back() != 'Z')
    return fail(Errc::malformed, "genTime " + base::printable(text) + ", YYYYMMDDhhmmssZ wanted");
  return base::within("genTime", base::time_from_rfc3339(text.substr(0, 4) + "-" + text.substr(4, 2) + "-" +
                                                         text.substr(6, 2) + "T" + text.substr(8, 2) + ":" +
                                                         text.substr(10, 2) + ":" + text.substr(12, 2) + "Z"));
}

// SigningCertificate { SEQUENCE OF ESSCertID { certHash OCTET STRING (SHA-1), ... }, ... }, RFC 2634 section 5.4; V2 has
// hashAlgorithm AlgorithmIdentifier DEFAULT sha256 before it (RFC 5035 section 3). The first names the signer.
Result<void> expect_named(const cms::SignerInfo& signer, const Certificate& certificate) {
  const cms::Attribute* attribute = signer.signed_attribute(kSigningCertificateV2);
  const bool is_v2 = attribute != nullptr;
  if (!is_v2) attribute = signer.signed_attribute(kSigningCertificate);
  if (attribute == nullptr || attribute->values.size() != 1)
    return fail(Errc::mismatch, "timestamp token does not name its signer's certificate");
  der::Reader outer(attribute->values.front());
  der::Reader in = TRY(outer.expect_inside(der::kSequence));
  der::Reader list = TRY(in.expect_inside(der::kSequence));
  der::Reader first = TRY(list.expect_inside(der::kSequence));
  DigestAlgorithm algorithm = is_v2 ? DigestAlgorithm::sha256 : DigestAlgorithm::sha1;
  if (is_v2 && !first.rest().empty() && first.rest().front() == der::kSequence)
    algorithm = TRY(first.expect_digest_algorithm());
  const ByteView hash = TRY(first.expect(der::kOctetString));
  if (!std::ranges::equal(hash, digest_of(algorithm, certificate.der()).bytes()))
    return fail(Errc::mismatch, "timestamp token names another certificate than its signer's");
  return {};
}

}  // namespace

Bytes timestamp_query(const Digest& imprint, ByteView nonce, ByteView policy) {
  std::vector<Bytes> parts = {
      der::integer(1), der::sequence({der::algorithm(imprint.algorithm()), der::octet_string(imprint.bytes())})};
  if (!policy.empty()) parts.push_back(der::element(der::kOid, policy));
  if (!nonce.empty()) parts.push_back(der::integer_from_octets(nonce));
  const std::uint8_t yes[] = {0xFF};
  parts.push_back(der::element(der::kBoolean, yes));   // certReq
  return der::sequence(parts);
}

Result<Bytes> policy_from_text(std::string_view dotted) {
  const auto wrong = [&] { return fail(Errc::malformed, base::printable(dotted) + ": an OID such as 1.3.6.1.4.1 wanted"); };
  std::vector<std::uint64_t> arcs(1);
  bool is_empty = true;
  for (const char c : dotted) {
    if (c == '.' && !is_empty && arcs.size() < 32) {
      arcs.push_back(0);
      is_empty = true;
    } else if (c >= '0' && c <= '9' && arcs.back() < (1ULL << 56)) {
      arcs.back() = arcs.back() * 10 + static_cast<std::uint64_t>(c - '0');
      is_empty = false;
    } else {
      return wrong();
    }
  }
  if (is_empty || arcs.size() < 2 || arcs[0] > 2 || (arcs[0] < 2 && arcs[1] > 39)) return wrong();
  Bytes octets;
  arcs[1] += arcs[0] * 40;
  for (std::size_t i = 1; i < arcs.size(); ++i) {   // X.690 section 8.19: groups of seven bits, the last without the top bit
    Bytes groups = {static_cast<std::uint8_t>(arcs[i] & 0x7F)};
    for (std::uint64_t rest = arcs[i] >> 7; rest != 0; rest >>= 7)
      groups.insert(groups.begin(), static_cast<std::uint8_t>(0x80 | (rest & 0x7F)));
    base::append(octets, groups);
  }
  return octets;
}

Result<TimestampQuery> TimestampQuery::parse(ByteView der) {
  if (der.size() > base::limits::kTimestampBytes) return fail(Errc::too_large, "timestamp query is too long");
  der::Reader outer(der);
  der::Reader in = TRY(outer.expect_inside(der::kSequence));
  TRY(outer.expect_end());
  const std::uint64_t version = TRY(in.expect_unsigned());
  if (version != 1) return fail(Errc::unsupported, fmt::format("timestamp query of version {}, 1 wanted", version));
  const Digest imprint = TRY(read_imprint(in));
  const auto policy = TRY(in.match(der::kOid));
  const auto nonce = TRY(in.match(der::kInteger));
  TRY(in.match(der::kBoolean));
  TRY(in.expect_end());
  return TimestampQuery{imprint, nonce ? base::to_bytes(nonce->value) : Bytes(),
                        policy ? base::to_bytes(policy->value) : Bytes()};
}

// TimeStampResp { PKIStatusInfo { status, statusString SEQUENCE OF UTF8String OPTIONAL, failInfo OPTIONAL }, token }.
Result<Bytes> token_of_reply(ByteView reply_der) {
  if (reply_der.size() > base::limits::kTimestampBytes)
    return fail(Errc::too_large, fmt::format("timestamp reply of {} bytes", reply_der.size()));
  der::Reader outer(reply_der);
  der::Reader in = TRY(base::within("timestamp reply", outer.expect_inside(der::kSequence)));
  TRY(base::within("timestamp reply", outer.expect_end()));
  der::Reader info = TRY(base::within("timestamp reply", in.expect_inside(der::kSequence)));
  const std::uint64_t status = TRY(info.expect_unsigned());
  std::string words;
  if (const auto texts = TRY(info.match(der::kSequence))) {
    der::Reader list(texts->value);
    while (!list.at_end()) {
      const ByteView text = TRY(list.expect(der::kUtf8String));
      words += (words.empty() ? ": " : "; ") + base::printable(base::as_text(text));
    }
  }
  if (status > 1)   // granted, grantedWithMods
    return fail(Errc::refused, fmt::format("the timestamp authority refused (status {}){}", status, words));
  const der::Element token = TRY(base::within("timestamp reply", in.expect_element(der::kSequence)));
  TRY(base::within("timestamp reply", in.expect_end()));
  return base::to_bytes(token.whole);
}

Result<TimestampToken> TimestampToken::parse(ByteView der) {
  if (der.size() > base::limits::kTimestampBytes) return fail(Errc::too_large, "timestamp token is too long");
  const cms::SignedData data = TRY(base::within("timestamp token", cms::SignedData::parse(der)));
  if (!(data.content_type() == kTstInfo))
    return fail(Errc::malformed, "timestamp token is over " + der::dotted(data.content_type()) + ", not over TSTInfo");
  if (data.signers().size() != 1)
    return fail(Errc::malformed, fmt::format("timestamp token with {} signers, one wanted", data.signers().size()));
  der::Reader outer(data.content_der());
  der::Reader in = TRY(outer.expect_inside(der::kSequence));
  const std::uint64_t version = TRY(in.expect_unsigned());
  if (version != 1) return fail(Errc::unsupported, fmt::format("TSTInfo of version {}, 1 wanted", version));
  const ByteView policy = TRY(in.expect_any_oid());
  const Digest imprint = TRY(read_imprint(in));
  TRY(in.expect(der::kInteger));   // serialNumber
  const ByteView generalized = TRY(in.expect(der::kGeneralizedTime));
  const base::Time time = TRY(time_of(generalized));
  TRY(in.match(der::kSequence));   // accuracy
  TRY(in.match(der::kBoolean));    // ordering
  const auto nonce = TRY(in.match(der::kInteger));
  TRY(in.match(der::context(0)));   // tsa
  TRY(in.match(der::context(1)));   // extensions
  TRY(base::within("TSTInfo", in.expect_end()));
  TimestampToken token(base::to_bytes(der), time, imprint);
  token.policy_ = base::to_bytes(policy);
  if (nonce) token.nonce_ = base::to_bytes(nonce->value);
  return token;
}

Result<void> TimestampToken::expect_answers(const TimestampQuery& query) const {
  if (imprint_ != query.imprint)
    return fail(Errc::mismatch, fmt::format("timestamp is for {} {}, {} {} was asked for",
                                            digest_name(imprint_.algorithm()), imprint_.hex(),
                                            digest_name(query.imprint.algorithm()), query.imprint.hex()));
  if (nonce_ != query.nonce)
    return fail(Errc::mismatch, fmt::format("timestamp has nonce {}, {} was sent", base::hex(nonce_), base::hex(query.nonce)));
  if (!query.policy.empty() && policy_ != query.policy)
    return fail(Errc::mismatch, fmt::format("timestamp is under policy {}, {} was asked for", der::dotted(policy_),
                                            der::dotted(query.policy)));
  return {};
}

Result<Certificate> TimestampToken::signer() const {
  const cms::SignedData data = TRY(cms::SignedData::parse(der_));
  const cms::SignerInfo& signer = data.signers().front();
  Certificate certificate = TRY(data.signer_certificate(signer));
  const PublicKey key = TRY(certificate.public_key());
  TRY(data.expect_content_type(signer));
  TRY(data.expect_message_digest(signer));
  TRY(data.expect_signature(signer, key));
  TRY(expect_named(signer, certificate));
  return certificate;
}

Result<ChainVerdict> TimestampToken::chain(const std::vector<Certificate>& roots) const {
  const Certificate leaf = TRY(signer());
  const cms::SignedData data = TRY(cms::SignedData::parse(der_));
  std::vector<Certificate> others;
  for (const Bytes& der : data.certificates()) {
    auto certificate = Certificate::parse(der);
    if (certificate && !(*certificate == leaf)) others.push_back(std::move(*certificate));
  }
  return verify_chain(leaf, others, roots, time_, CertificateUse::time_stamping);
}

Result<Bytes> token_answering(ByteView reply_der, const TimestampQuery& query, const std::vector<Certificate>& roots) {
  Bytes der = TRY(token_of_reply(reply_der));
  const TimestampToken token = TRY(TimestampToken::parse(der));
  TRY(token.expect_answers(query));
  const ChainVerdict chain = TRY(base::within("timestamp token", token.chain(roots)));
  for (const ChainProblem& problem : chain.problems)
    if (!roots.empty() || problem.kind != ChainProblem::Kind::untrusted)
      return fail(Errc::refused, "the timestamp authority cannot be relied on: " + problem.text);
  return der;
}

}  // namespace crypto
