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

}  // namespace

Bytes timestamp_query(const Digest& imprint, ByteView nonce) {
  std::vector<Bytes> parts = {
      der::integer(1), der::sequence({der::algorithm(imprint.algorithm()), der::octet_string(imprint.bytes())})};
  if (!nonce.empty()) parts.push_back(der::integer_from_octets(nonce));
  const std::uint8_t yes[] = {0xFF};
  parts.push_back(der::element(der::kBoolean, yes));   // certReq
  return der::sequence(parts);
}

Result<TimestampQuery> TimestampQuery::parse(ByteView der) {
  if (der.size() > base::limits::kTimestampBytes) return fail(Errc::too_large, "timestamp query is too long");
  der::Reader outer(der);
  der::Reader in = TRY(outer.expect_inside(der::kSequence));
  TRY(outer.expect_end());
  const std::uint64_t version = TRY(in.expect_unsigned());
  if (version != 1) return fail(Errc::unsupported, fmt::format("timestamp query of version {}, 1 wanted", version));
  const Digest imprint = TRY(read_imprint(in));
  TRY(in.match(der::kOid));
  const auto nonce = TRY(in.match(der::kInteger));
  TRY(in.match(der::kBoolean));
  TRY(in.expect_end());
  return TimestampQuery{imprint, nonce ? base::to_bytes(nonce->value) : Bytes()};
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

}  // namespace crypto
