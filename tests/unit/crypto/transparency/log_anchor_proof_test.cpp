// The TPM's word about a log, made here with a software key in the place of the identity key. What a TPM certifies is judged in
// tests/end_to_end/audit_log_test.cpp.
#include "crypto/transparency/log_anchor_proof.hpp"

#include <gtest/gtest.h>

#include "crypto/base/byte_writer.hpp"
#include "tests/support/software_key.hpp"

namespace transparency {
namespace {

using base::Bytes;
using base::Errc;

class LogAnchor : public testing::Test {
 protected:
  TranscriptProof certified(const attest::NvPublic& area, const Bytes& content, std::uint16_t offset = 0) {
    const crypto::Digest nonce = crypto::sha256(base::as_bytes(note));
    const Bytes name = attest::name_of(area);
    Bytes statement = base::ByteWriter()
                          .u32be(0xFF544347).u16be(0x8014).u16be(0)
                          .u16be(32).put(nonce.bytes())
                          .u64be(1000).u32be(2).u32be(0).u8(1).u64be(7)
                          .u16be(static_cast<std::uint16_t>(name.size())).put(name)
                          .u16be(offset)
                          .u16be(static_cast<std::uint16_t>(content.size())).put(content)
                          .bytes();
    Bytes signature = *identity.sign(crypto::sha256(statement));
    return {std::move(statement), std::move(signature)};
  }
  LogAnchorProof proof() {
    return {certified(map().audit_count(), base::ByteWriter().u64be(12).bytes()),
            certified(map().audit_extend(), base::to_bytes(extended.bytes())),
            certified(attest::baseline_index(), attest::baseline_bytes({3, extended, extended}))};
  }
  attest::FirmwareMap map() const {
    attest::FirmwareTrust trust;
    trust.vendors = {*attest::ExternalKey::of(vendor.public_key_der()), *attest::ExternalKey::of(identity.public_key_der())};
    return attest::FirmwareMap(trust);
  }
  static crypto::PublicKey public_part(const tests::SoftwareKey& key) { return *crypto::PublicKey::parse(key.public_key_der()); }
  void expect_refused(const LogAnchorProof& wrong, std::string_view words) const {
    const auto verified = wrong.verified(public_part(identity), map(), note);
    ASSERT_FALSE(verified) << words;
    EXPECT_NE(verified.error().text().find(words), std::string::npos) << verified.error().text();
  }

  tests::SoftwareKey identity = tests::SoftwareKey::generate_p256();
  tests::SoftwareKey vendor = tests::SoftwareKey::generate_p256();
  const crypto::Digest extended = crypto::sha256(base::as_bytes("extended"));
  std::string note = "a checkpoint";
};

TEST_F(LogAnchor, SaysWhatTheTpmHolds) {
  const auto read = LogAnchorProof::from_json(proof().to_json());
  ASSERT_TRUE(read) << read.error().text();
  const auto verified = read->verified(public_part(identity), map(), note);
  ASSERT_TRUE(verified) << verified.error().text();
  EXPECT_EQ(verified->state.count, 12U);
  EXPECT_EQ(verified->state.extended, extended);
  EXPECT_EQ(verified->baseline.count, 3U);
  EXPECT_EQ(verified->baseline.head, extended);
}

TEST_F(LogAnchor, IsNotTakenForAnotherCheckpointIdentityOrAppliance) {
  const LogAnchorProof good = proof();
  EXPECT_EQ(good.verified(public_part(identity), map(), "another checkpoint").error().code(), Errc::mismatch);
  EXPECT_FALSE(good.verified(public_part(vendor), map(), note));
  attest::FirmwareTrust others = map().trust();
  others.mode = attest::Mode::production;   // another gate, so other indices
  EXPECT_FALSE(good.verified(public_part(identity), attest::FirmwareMap(others), note));
}

TEST_F(LogAnchor, IsNotTakenWithIndicesExchangedShortenedOrChanged) {
  LogAnchorProof wrong = proof();
  std::swap(wrong.count, wrong.extended);
  expect_refused(wrong, "another index");
  wrong = proof();
  wrong.baseline = wrong.count;
  expect_refused(wrong, "BASELINE: certified is another index");
  wrong = proof();
  wrong.count = certified(map().audit_count(), base::ByteWriter().u64be(12).bytes(), 4);   // not from its beginning
  expect_refused(wrong, "another index");
  wrong = proof();
  wrong.count = certified(map().audit_count(), Bytes(7));
  EXPECT_FALSE(wrong.verified(public_part(identity), map(), note));
  wrong = proof();
  wrong.extended.statement.back() ^= 1;
  EXPECT_FALSE(wrong.verified(public_part(identity), map(), note));
  wrong = proof();
  wrong.count.signature.clear();
  EXPECT_FALSE(wrong.verified(public_part(identity), map(), note));
}

TEST_F(LogAnchor, OfAnotherFormIsRefused) {
  const std::string json = proof().to_json();
  EXPECT_FALSE(LogAnchorProof::from_json(json + " "));
  EXPECT_FALSE(LogAnchorProof::from_json("{}"));
  std::string other = json;
  other.replace(other.find("log-anchor:v1"), 13, "log-anchor:v2");
  EXPECT_FALSE(LogAnchorProof::from_json(other));
  EXPECT_FALSE(LogAnchorProof::from_json(std::string(100000, ' ')));
}

}  // namespace
}  // namespace transparency
