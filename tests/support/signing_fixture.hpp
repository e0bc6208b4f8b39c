// A software key with certificates made by mbedTLS, so that unit tests can sign without another program.
#pragma once

#include <string>
#include <vector>

#include "crypto/certificate.hpp"
#include "crypto/cms/signed_data.hpp"
#include "crypto/der/oids.hpp"
#include "tests/support/software_key.hpp"

namespace tests {

struct CertificateWish {
  std::string subject = "C=DE,O=Coldseal Example,CN=Test Leaf";
  std::string not_before = "20250101000000";  // YYYYMMDDhhmmss, UTC
  std::string not_after = "20350101000000";
  bool is_ca = false;
  bool code_signing = true;
  bool time_stamping = false;     // critical and alone, in place of code_signing
  bool digital_signature = true;  // in keyUsage
  bool sha1 = false;              // signed with a digest that nobody takes any more
  std::vector<der::Oid> more_uses{};  // in extendedKeyUsage, after code signing
  std::uint64_t serial = 2;
};

// A certificate for subject_key signed by issuer_key; both keys PEM private keys.
crypto::Certificate issue(const CertificateWish& wish, std::string_view subject_key_pem, std::string_view issuer_name,
                          std::string_view issuer_key_pem);

// One root, one leaf below it with a P-256 or RSA-3072 key. Keys are those of tests/data/keys.
class Vendor {
 public:
  enum class Kind { p256, rsa3072 };
  explicit Vendor(Kind kind = Kind::p256, CertificateWish leaf = {});
  const crypto::Certificate& root() const { return root_; }
  const crypto::Certificate& leaf() const { return leaf_; }
  crypto::SigningIdentity identity() const;
  SoftwareKey& key() { return key_; }
  // The complete signature over content, by the library's own path.
  base::Bytes sign(const cms::Content& content, const cms::SignedAttributes& attributes = {});
  // The image with an embedded signature, by the library's own path.
  base::Bytes sign_pe(base::ByteView image);

 private:
  crypto::Certificate root_;
  crypto::Certificate leaf_;
  SoftwareKey key_;
};

std::string key_pem(Vendor::Kind kind);
std::string root_key_pem();

base::Time at(std::string_view rfc3339);  // stops the test program when the text is wrong
inline const base::Time kNow = at("2026-11-23T12:00:00Z");   // within the validity of every certificate above

}  // namespace tests
