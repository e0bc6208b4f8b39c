#include "crypto/cms/counter_signature.hpp"

#include <fmt/format.h>

#include "crypto/der/reader.hpp"

namespace cms {
namespace {

using base::Errc;
using base::fail;
namespace oids = der::oids;

// signingTime is UTCTime, or GeneralizedTime from 2050 on (RFC 2985 section 5.3.3).
Result<base::Time> time_of(const Attribute& attribute) {
  if (attribute.values.size() != 1)
    return fail(Errc::malformed, fmt::format("{} values, one wanted", attribute.values.size()));
  der::Reader in(attribute.values.front());
  const der::Element time = TRY(in.expect_element());
  TRY(in.expect_end());
  const std::string_view text = base::as_text(time.value);
  if (time.tag == der::kUtcTime) return base::time_from_utc_time(text);
  if (time.tag != der::kGeneralizedTime || text.size() != 15)
    return fail(Errc::malformed, fmt::format("time {}, UTCTime or YYYYMMDDhhmmssZ wanted", base::printable(text)));
  return base::time_from_rfc3339(fmt::format("{}-{}-{}T{}:{}:{}Z", text.substr(0, 4), text.substr(4, 2), text.substr(6, 2),
                                             text.substr(8, 2), text.substr(10, 2), text.substr(12, 2)));
}

}  // namespace

Result<CounterSignature> CounterSignature::parse(const SignedData& data, const SignerInfo& signer) {
  const Attribute* const attribute = signer.unsigned_attribute(oids::kCounterSignature);
  if (attribute == nullptr) return fail(Errc::not_found, "no countersignature");
  if (attribute->values.size() != 1)
    return fail(Errc::malformed, fmt::format("{} countersignatures, one wanted", attribute->values.size()));
  std::vector<std::string> deviations;   // their form is nobody's any more
  SignerInfo info = TRY(base::within("countersignature", SignerInfo::parse(attribute->values.front(), deviations)));
  const Attribute* const signing_time = info.signed_attribute(oids::kSigningTime);
  if (signing_time == nullptr) return fail(Errc::malformed, "countersignature without a signing time");
  const base::Time time = TRY(base::within("countersignature's signing time", time_of(*signing_time)));
  return CounterSignature(data, std::move(info), time);
}

Result<void> CounterSignature::expect_over(const SignerInfo& signer) const {
  return base::within("countersignature", info_.expect_message_digest(signer.signature));
}

Result<crypto::Certificate> CounterSignature::signer() const {
  crypto::Certificate certificate = TRY(base::within("countersignature", data_->signer_certificate(info_)));
  const crypto::PublicKey key = TRY(base::within("countersignature", certificate.public_key()));
  TRY(base::within("countersignature", info_.expect_signature(key)));
  return certificate;
}

Result<crypto::ChainVerdict> CounterSignature::chain(const std::vector<crypto::Certificate>& roots) const {
  const crypto::Certificate leaf = TRY(signer());
  std::vector<crypto::Certificate> others;
  for (const Bytes& der : data_->certificates()) {
    auto certificate = crypto::Certificate::parse(der);
    if (certificate && !(*certificate == leaf)) others.push_back(std::move(*certificate));
  }
  return verify_chain(leaf, others, roots, time_, crypto::CertificateUse::time_stamping);
}

}  // namespace cms
