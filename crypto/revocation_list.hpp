// A certificate revocation list (RFC 5280 section 5): which of its certificates an authority has taken back. Reads complete lists of
// one authority; delta lists, indirect lists and whatever else is marked critical are refused, because who does not understand them
// may not rely on them (section 5.2). Time is a parameter. Fetches nothing: lists are carried in.
//
//   const RevocationList list = TRY(RevocationList::read(file));
//   TRY(list.expect_issued_by(authority));
//   TRY(list.expect_newer_than(the_one_before));
//   if (list.revoked_at(certificate.serial())) ...
#pragma once

#include <map>
#include <optional>
#include <string>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "crypto/certificate.hpp"

namespace crypto {

class RevocationList {
 public:
  // Errc::malformed; Errc::unsupported for algorithms and critical extensions; Errc::too_large over
  // limits::kRevocationListBytes and kRevokedCertificates.
  static Result<RevocationList> parse(ByteView der);
  // DER, or PEM with one "X509 CRL" block.
  static Result<RevocationList> read(ByteView file);

  ByteView der() const { return der_; }
  ByteView issuer_der() const { return issuer_der_; }   // its Name, byte for byte
  base::Time this_update() const { return this_update_; }
  const std::optional<base::Time>& next_update() const { return next_update_; }
  // cRLNumber as hex without leading zeros, "0" for none at all.
  const std::string& number() const { return number_; }
  std::size_t size() const { return revoked_.size(); }
  // serial: content octets as Certificate::serial() gives them.
  std::optional<base::Time> revoked_at(ByteView serial) const;

  // Errc::mismatch when the name or the signature is not that authority's; Errc::refused when it may not sign lists.
  Result<void> expect_issued_by(const Certificate& authority) const;
  // Errc::refused unless number and time both are not below those of `before` and one of them is above.
  Result<void> expect_newer_than(const std::string& number_before, base::Time update_before) const;

 private:
  RevocationList() = default;
  Result<void> read_list(ByteView list);
  Bytes der_;
  Bytes signed_;       // tbsCertList, whole
  Bytes issuer_der_;
  Bytes signature_;
  DigestAlgorithm digest_ = DigestAlgorithm::sha256;
  KeyAlgorithm key_ = KeyAlgorithm::rsa_pkcs1;
  base::Time this_update_{};
  std::optional<base::Time> next_update_;
  std::string number_ = "0";
  std::map<Bytes, base::Time> revoked_;
};

}  // namespace crypto
