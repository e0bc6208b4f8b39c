// The SHA-1 half of dual signatures: quorum.cpp takes such digests only when it is told that they are wanted.
#include "tests/unit/tpm/custody_fixture.hpp"

namespace tpm {
namespace {

using base::Errc;
using crypto::KeyAlgorithm;

class Sha1Quorum : public Custody {};

TEST_F(Sha1Quorum, SignsOnlyWhenLoadedForOldWindowsAndCountsOfficersThenToo) {
  const crypto::Digest sha1 = crypto::digest_of(crypto::DigestAlgorithm::sha1, base::as_bytes("driver.sys"));
  {
    QuorumKey key = key_of_three(KeyAlgorithm::rsa_pkcs1);
    expect_error(key.approve(three.officers[0].name, secret(pin(three.officers[0])), std::vector{sha1}), Errc::unsupported, "sha1 digest");
  }
  QuorumKey key = must(QuorumKey::load(*device, *firmware, 0, blob, three, crypto::Sha1::for_old_windows));
  const auto signature = key.sign(sha1, approvals(key, {0, 2}, {sha1, driver}));
  ASSERT_OK(signature);
  EXPECT_TRUE(key.public_key().verify(sha1, *signature));
  expect_error(key.sign(sha1, approvals(key, {1}, {sha1})), Errc::refused, "not enough, or not these, officers");
  expect_error(key.sign(driver, approvals(key, {0, 1}, {sha1})), Errc::refused, "not enough, or not these, officers");
}

}  // namespace
}  // namespace tpm
