#include "tpm/receipt_key.hpp"

#include "tests/unit/tpm/custody_fixture.hpp"

namespace tpm {
namespace {

using base::Errc;

class ReceiptKeyTest : public Custody {};

TEST_F(ReceiptKeyTest, SignsWithoutOfficersAndSurvivesAPowerCut) {
  const KeyBlob made = must(ReceiptKey::create(*device, *firmware)).blob;
  std::string keyid;
  {
    const auto key = must(ReceiptKey::load(*device, *firmware, made));
    keyid = key->public_key().keyid();
    for (int i = 0; i < 20; ++i) {
      const crypto::Digest receipt = digest("receipt " + std::to_string(i));
      const auto signature = key->sign(receipt);
      ASSERT_OK(signature);
      const auto public_key = must(crypto::PublicKey::parse(key->public_key_der()));
      EXPECT_TRUE(public_key.verify(receipt, *signature));
      EXPECT_FALSE(public_key.verify(driver, *signature));
    }
    EXPECT_EQ(must(device->loaded()), 1U);
  }
  EXPECT_EQ(must(device->loaded()), 0U);
  swtpm.power_cut();
  reopen();
  const auto key = must(ReceiptKey::load(*device, *firmware, made));
  EXPECT_EQ(key->public_key().keyid(), keyid);
  ASSERT_OK(key->sign(driver));
}

TEST_F(ReceiptKeyTest, IsRefusedByAnotherTpm) {
  const KeyBlob made = must(ReceiptKey::create(*device, *firmware)).blob;
  tests::Swtpm elsewhere;
  const auto other_device = must(Device::open(elsewhere.tcti()));
  world.found(*other_device);
  const FirmwareGate other_gate = must(FirmwareGate::load(*other_device, world.map(), *approved_firmware));
  expect_error(ReceiptKey::load(*other_device, other_gate, made), Errc::refused, "key blob belongs to another TPM");
}

TEST_F(ReceiptKeyTest, AQuorumKeyIsNotAReceiptKeyNorTheOtherWayRound) {
  (void)key_of_three();
  expect_error(ReceiptKey::load(*device, *firmware, blob), Errc::refused, "attributes");
  expect_error(load(must(ReceiptKey::create(*device, *firmware)).blob, three), Errc::refused, "attributes");
}

TEST_F(ReceiptKeyTest, FirmwareThatWasNotApprovedCannotSign) {
  const auto key = must(ReceiptKey::load(*device, *firmware, must(ReceiptKey::create(*device, *firmware)).blob));
  extend_pcr(11, "something else was started");
  expect_error(key->sign(driver), Errc::refused, "firmware measurements are not the approved ones");
  EXPECT_EQ(must(device->loaded()), 1U);
}

TEST_F(ReceiptKeyTest, SignsSha256Only) {
  const auto key = must(ReceiptKey::load(*device, *firmware, must(ReceiptKey::create(*device, *firmware)).blob));
  expect_error(key->sign(crypto::digest_of(crypto::DigestAlgorithm::sha384, ByteView())), Errc::unsupported, "sha384");
}

}  // namespace
}  // namespace tpm
