// A PKCS#9 countersignature (RFC 2985 section 5.3.6) as Authenticode used it for timestamps before RFC 3161: a SignerInfo
// over the signature's octets, whose signingTime is the authority's word for when it saw them. The authority's
// certificates are among those of the signature. Read and judged; never written.
#pragma once

#include <vector>

#include "crypto/base/text.hpp"
#include "crypto/certificate.hpp"
#include "crypto/cms/signed_data.hpp"

namespace cms {

class CounterSignature {
 public:
  // Of that signer of data, which must outlive this. Errc::malformed: more than one, not a SignerInfo, without a time.
  static Result<CounterSignature> parse(const SignedData& data, const SignerInfo& signer);
  base::Time time() const { return time_; }
  // Errc::mismatch unless it is over that signer's signature.
  Result<void> expect_over(const SignerInfo& signer) const;
  // Who made it. Errc::not_found without the certificate, Errc::unsupported for a key too small to count,
  // Errc::mismatch unless the signature is good.
  Result<crypto::Certificate> signer() const;
  // The authority's chain at its own time, for time stamping.
  Result<crypto::ChainVerdict> chain(const std::vector<crypto::Certificate>& roots) const;

 private:
  CounterSignature(const SignedData& data, SignerInfo info, base::Time time)
      : data_(&data), info_(std::move(info)), time_(time) {}
  const SignedData* data_;
  SignerInfo info_;
  base::Time time_;
};

}  // namespace cms
