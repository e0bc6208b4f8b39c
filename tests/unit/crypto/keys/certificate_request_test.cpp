#include "crypto/keys/certificate_request.hpp"

#include <gtest/gtest.h>

#include "crypto/base/text.hpp"
#include "crypto/keys/pem.hpp"
#include "crypto/keys/submitter_key.hpp"

namespace keys {
namespace {

using base::Bytes;
using base::Errc;

TEST(CertificateRequest, TakesOnlyTheSignatureOfItsKey) {
  SubmitterKey key = SubmitterKey::generate();
  SubmitterKey other = SubmitterKey::generate();
  const base::Result<CertificateRequest> request = CertificateRequest::prepare({.common_name = "Example Drivers", .organization = "Example",
                                                                                .organizational_unit = "", .country = "DE"},
                                                                               key.public_key_der());
  ASSERT_TRUE(request) << request.error().text();
  EXPECT_TRUE(request->with_signature(*key.sign(request->digest())));
  const base::Result<Bytes> wrong = request->with_signature(*other.sign(request->digest()));
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), Errc::mismatch);
  EXPECT_FALSE(request->with_signature({}));
}

TEST(CertificateRequest, RefusesSubjectsThatNoAuthorityWouldTake) {
  const SubmitterKey key = SubmitterKey::generate();
  const auto expect_usage = [&](const SubjectName& subject) {
    const base::Result<CertificateRequest> request = CertificateRequest::prepare(subject, key.public_key_der());
    ASSERT_FALSE(request);
    EXPECT_EQ(request.error().code(), Errc::usage) << request.error().text();
  };
  expect_usage({"", "O", "", ""});
  expect_usage({std::string(65, 'x'), "", "", ""});
  expect_usage({std::string("a\0b", 3), "", "", ""});
  expect_usage({"CN", "bad\xFF", "", ""});
  expect_usage({"CN", "", "a\nb", ""});
  expect_usage({"CN", "", "", "de"});
  expect_usage({"CN", "", "", "DEU"});
  EXPECT_EQ(CertificateRequest::prepare({"CN", "", "", ""}, Bytes{0x30, 0x00}).error().code(), Errc::malformed);
}

}  // namespace
}  // namespace keys
