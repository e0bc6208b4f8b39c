#include "crypto/cms/signature_edit.hpp"

#include <gtest/gtest.h>

#include "crypto/der/writer.hpp"
#include "tests/support/signing_fixture.hpp"

namespace {

using base::Bytes;
using tests::Vendor;
namespace oids = der::oids;

Bytes signature_over(std::uint64_t number) {
  Vendor vendor(Vendor::Kind::rsa3072);   // deterministic, unlike ECDSA
  return vendor.sign({oids::kSpcIndirectData, der::sequence({der::integer(number)})});
}

TEST(SignatureEdit, NestedSignaturesComeAndGoWithoutATrace) {
  const Bytes primary = signature_over(1);
  const Bytes two = signature_over(2);
  const Bytes three = signature_over(3);
  const auto with = cms::with_nested_signatures(primary, {two, three});
  ASSERT_TRUE(with) << with.error().text();
  const auto nested = cms::nested_signatures(*with);
  ASSERT_EQ(nested->size(), 2U);
  EXPECT_TRUE((*nested)[0] == two || (*nested)[1] == two);
  EXPECT_EQ(*cms::with_nested_signatures(*with, {}), primary);
}

TEST(SignatureEdit, NestingKeepsATimestampAndATimestampKeepsNestedSignatures) {
  const Bytes token = der::sequence({der::integer(7)});
  const Bytes nested = signature_over(2);
  const Bytes stamped = *cms::with_timestamp(signature_over(1), token);
  const Bytes both = *cms::with_nested_signatures(stamped, {nested});
  const auto signer = cms::SignedData::parse(both)->signers().front();
  ASSERT_NE(signer.unsigned_attribute(oids::kSpcRfc3161Timestamp), nullptr);
  EXPECT_EQ(signer.unsigned_attribute(oids::kSpcRfc3161Timestamp)->values.front(), token);
  const Bytes other_order = *cms::with_timestamp(*cms::with_nested_signatures(signature_over(1), {nested}), token);
  EXPECT_EQ(both, other_order);
}

TEST(SignatureEdit, ANewTimestampReplacesTheOldOne) {
  const Bytes once = *cms::with_timestamp(signature_over(1), der::sequence({der::integer(7)}));
  const Bytes again = *cms::with_timestamp(once, der::sequence({der::integer(8)}));
  EXPECT_EQ(again, *cms::with_timestamp(signature_over(1), der::sequence({der::integer(8)})));
}

TEST(SignatureEdit, RefusesWhatIsNoSignatureAndTooMany) {
  const Bytes primary = signature_over(1);
  EXPECT_FALSE(cms::with_nested_signatures(primary, {der::sequence({der::integer(1)})}));
  EXPECT_FALSE(cms::with_nested_signatures(primary, std::vector<Bytes>(17, signature_over(2))));
  EXPECT_FALSE(cms::nested_signatures(der::sequence({})));
  const Bytes unsigned_data = *cms::without_signer({oids::kSpcIndirectData, der::sequence({der::integer(1)})});
  EXPECT_FALSE(cms::with_timestamp(unsigned_data, primary));
}

}  // namespace
