// The digests below were computed by another program (a policy calculator in Python that was itself held against swtpm);
// tests/unit/tpm/policy_test.cpp holds the same steps against a TPM.
#include "crypto/attest/policy.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "crypto/base/text.hpp"
#include "tests/support/plain_index.hpp"

namespace attest {
namespace {

const Name kFirst = name_of(tests::plain_index(0x01800001));
const Name kSecond = name_of(tests::plain_index(0x01800002));

std::string hex(const Policy& policy) { return policy.digest().hex(); }

TEST(Policy, StartsWithZeros) { EXPECT_EQ(hex(Policy()), std::string(64, '0')); }

TEST(Policy, AgreesWithAnotherCalculatorStepByStep) {
  EXPECT_EQ(hex(Policy().secret(kFirst)), "065341d89694386c7c4539f7fd5516c9ab34de8ecdf772f96c41b09930a6c9c2");
  EXPECT_EQ(hex(Policy().secret(kFirst, base::as_bytes("fw"))),
            "c890d67903b8f234d72696b0cfb8336860e7d9a676695df044a14812e9f24b08");
  EXPECT_EQ(hex(Policy().signed_by(kFirst, base::as_bytes("officer-2"))),
            "b610921f40e61a7731592c6be5ec43d0e468688ceb4c6bb451afe8dfa63090a9");
  EXPECT_EQ(hex(Policy().command(CommandCode::sign)),
            "cc6918b226273b08f5bd406d7f10cf160f0a7d13dfd83b7770ccbcd1aa80d811");
  // The well-known digest of TPM2_PolicyAuthValue.
  EXPECT_EQ(hex(Policy().auth_value()), "8fcd2169ab92694e0c633f1ab772842b8241bbc20288981fc7ac1eddc1fddb0e");
  EXPECT_EQ(hex(Policy().name_hash(std::vector<Name>{kFirst, kSecond})),
            "3bc414ab5d7486e0090af2c83e182c00dea4389bb996bddfca69b8051264581a");
}

TEST(Policy, ForgetsWhatWasBeforeAnAuthorize) {
  const char* const authorized = "d5f303b0ba26e92c30e55d798dc7886998ce9a20394b549aac767b1dedc1bd37";
  EXPECT_EQ(hex(Policy().authorize(kFirst, base::as_bytes("fw"))), authorized);
  EXPECT_EQ(hex(Policy().command(CommandCode::sign).authorize(kFirst, base::as_bytes("fw"))), authorized);
  const char* const by_index = "6a4d169d29fb48b1de0dbeaf2c969d96e37cba4dd558667e00ae736eb62538bb";
  EXPECT_EQ(hex(Policy().authorize_nv(kFirst)), by_index);
  EXPECT_EQ(hex(Policy().command(CommandCode::sign).authorize_nv(kFirst)), by_index);
}

TEST(Policy, ContinuesFromADigest) {
  const Policy start = Policy().secret(kFirst);
  EXPECT_EQ(hex(Policy(start.digest()).secret(kSecond)), hex(Policy().secret(kFirst).secret(kSecond)));
  EXPECT_NE(hex(Policy().secret(kSecond).secret(kFirst)), hex(Policy().secret(kFirst).secret(kSecond)));
}

TEST(PolicyDeathTest, AnOrOfOneBranchOrNineIsOurOwnMistake) {
  const std::vector<crypto::Digest> nine(9, Policy().digest());
  EXPECT_DEATH(Policy().any_of(std::span(nine).first(1)), "2 to 8 branches");
  EXPECT_DEATH(Policy().any_of(nine), "2 to 8 branches");
}

}  // namespace
}  // namespace attest
