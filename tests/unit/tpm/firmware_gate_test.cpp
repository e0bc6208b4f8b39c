// Only firmware that a vendor approved, at or above the floor, can sign; updates need no new keys.
#include "tpm/firmware_gate.hpp"

#include "crypto/base/byte_writer.hpp"
#include "tests/unit/tpm/custody_fixture.hpp"
#include "tests/unit/tpm/tampering_transport.hpp"
#include "tpm/administration.hpp"
#include "tpm/audit_anchor.hpp"

namespace tpm {
namespace {

using base::Errc;

class FirmwareGateTest : public Custody {
 protected:
  Result<Bytes> sign_with(const FirmwareApproval& with) {
    firmware.reset();
    firmware.emplace(TRY(FirmwareGate::load(*device, world.map(), with)));
    QuorumKey key = TRY(load(blob, three));
    const auto given = approvals(key, {0, 1}, {driver});
    return key.sign(driver, given);
  }
};

TEST_F(FirmwareGateTest, OpensForApprovedFirmwareAndForNoOther) {
  { const QuorumKey key = key_of_three(); }
  ASSERT_OK(firmware->test());
  ASSERT_OK(sign_with(*approved_firmware));
  extend_pcr(11, "another kernel");
  expect_error(firmware->test(), Errc::refused, "firmware measurements are not the approved ones");
  expect_error(sign_with(*approved_firmware), Errc::refused, "firmware measurements are not the approved ones");
}

TEST_F(FirmwareGateTest, AnUpdateNeedsANewApprovalAndNoNewKey) {
  Bytes name;
  {
    const QuorumKey key = key_of_three();
    name = key.name();
  }
  extend_pcr(11, "version 2");
  const FirmwareApproval first_vendor = world.approve(*device, 2, 0);
  ASSERT_OK(sign_with(first_vendor));
  const FirmwareApproval second_vendor = world.approve(*device, 2, 1);
  ASSERT_OK(sign_with(second_vendor));
  EXPECT_EQ(must(load(blob, three)).name(), name);
}

TEST_F(FirmwareGateTest, ASignatureOfNobodyWeKnowIsRefused) {
  keys::SubmitterKey stranger = keys::SubmitterKey::generate();
  const crypto::Digest policy = attest::firmware_policy(must(firmware_measurements(*device)), 1);
  expect_error(FirmwareGate::load(*device, world.map(), world.approve(policy, 1, stranger)), Errc::refused, "neither vendor key");
  FirmwareApproval damaged = *approved_firmware;
  damaged.signature.resize(10);
  expect_error(FirmwareGate::load(*device, world.map(), damaged), Errc::malformed, "signature of the firmware approval");
  EXPECT_EQ(must(device->loaded()), 0U);
}

TEST_F(FirmwareGateTest, AVersionThatIsNotTheSignedOneIsRefused) {
  FirmwareApproval boasting = *approved_firmware;
  boasting.version = 7;   // the policy says 1
  firmware.reset();
  firmware.emplace(must(FirmwareGate::load(*device, world.map(), boasting)));
  expect_error(firmware->test(), Errc::refused, "not the approved ones");
}

TEST_F(FirmwareGateTest, OldFirmwareDiesWhenTheFloorIsRaised) {
  { const QuorumKey key = key_of_three(); }
  ASSERT_OK(sign_with(*approved_firmware));
  must(establish(*device, attest::floor_index(), base::ByteWriter().u64be(3).bytes()));
  expect_error(sign_with(*approved_firmware), Errc::refused, "firmware is older than the floor");
  expect_error(sign_with(world.approve(*device, 2)), Errc::refused, "firmware is older than the floor");
  ASSERT_OK(sign_with(world.approve(*device, 3)));
}

TEST_F(FirmwareGateTest, DevelopmentIsFixedAtBirth) {
  // The same vendor keys, approving for production: another label, another gate.
  tests::TpmWorld production = world.mode == attest::Mode::development ? tests::TpmWorld(attest::Mode::production) : tests::TpmWorld();
  std::swap(production.vendors, world.vendors);
  const attest::FirmwareMap production_map = production.map();
  const FirmwareApproval for_production = production.approve(*device, 1);
  std::swap(production.vendors, world.vendors);
  EXPECT_NE(attest::name_of(production_map.gate()), attest::name_of(world.map().gate()));
  expect_error(FirmwareGate::load(*device, production_map, for_production), Errc::refused, "GATE_FW");
  expect_error(FirmwareGate::load(*device, world.map(), for_production), Errc::refused, "neither vendor key of this development");
}

TEST_F(FirmwareGateTest, TheBoxShowsItsWordsWhileItsFirmwareIsApproved) {
  const std::string words = must(firmware->words());
  EXPECT_EQ(std::count(words.begin(), words.end(), ' '), 1) << words;
  reopen();
  EXPECT_EQ(must(firmware->words()), words);
  extend_pcr(7, "secure boot was switched off");
  expect_error(firmware->words(), Errc::refused, "not the approved ones");
  // Nobody reads them around the gate.
  Context& context = device->context();
  const NvIndex index = must(NvIndex::open(context, world.map().words()));
  TPM2B_MAX_NV_BUFFER* data = nullptr;
  EXPECT_NE(Esys_NV_Read(context.esys(), index.handle(), index.handle(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, 32, 0, &data),
            TSS2_RC_SUCCESS);
  EXPECT_NE(Esys_NV_Read(context.esys(), ESYS_TR_RH_OWNER, index.handle(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, 32, 0, &data),
            TSS2_RC_SUCCESS);
}

// TPM2_PCR_Extend of PCR 10, which is in nobody's approval, with an empty password.
Bytes another_file_is_measured() {
  base::ByteWriter command;
  command.u16be(TPM2_ST_SESSIONS).u32be(65).u32be(TPM2_CC_PCR_Extend).u32be(10);
  command.u32be(9).u32be(TPM2_RS_PW).u16be(0).put(Bytes{0}).u16be(0);
  command.u32be(1).u16be(TPM2_ALG_SHA256).put(digest("a file").bytes());
  return command.bytes();
}

// Something is measured just before the n-th of these commands, from then on so many times: the TPM answers it with TPM_RC_PCR_CHANGED.
class MeasuredMeanwhile {
 public:
  MeasuredMeanwhile(TamperingTransport& transport, std::uint32_t command, int before, int times) : transport_(transport) {
    transport.alter = [=, this](Bytes& sent) {
      is_due_ = command_code(sent) == command && ++seen_ >= before && seen_ < before + times;
      if (is_due_) sent = another_file_is_measured();
    };
    transport.alter_answer = [this](std::uint32_t, Bytes& answer) {
      if (!is_due_) return;
      ++refused_;
      answer = base::ByteWriter().u16be(TPM2_ST_NO_SESSIONS).u32be(10).u32be(TPM2_RC_PCR_CHANGED).bytes();
    };
  }
  MeasuredMeanwhile(const MeasuredMeanwhile&) = delete;
  MeasuredMeanwhile& operator=(const MeasuredMeanwhile&) = delete;
  ~MeasuredMeanwhile() {
    transport_.alter = {};
    transport_.alter_answer = {};
  }
  int refused() const { return refused_; }

 private:
  TamperingTransport& transport_;
  bool is_due_ = false;
  int seen_ = 0;
  int refused_ = 0;
};

class FirmwareGateOverABusTest : public FirmwareGateTest {
 protected:
  ~FirmwareGateOverABusTest() override { close(); }   // before the transport goes
  void tap() {
    close();
    transport.emplace(swtpm.tcti());
    device = must(Device::open(must(Context::over(transport->context()))));
    firmware.emplace(must(FirmwareGate::load(*device, world.map(), *approved_firmware)));
  }
  std::optional<TamperingTransport> transport;
};

TEST_F(FirmwareGateOverABusTest, WhatIsMeasuredMeanwhileAndIsInNobodysApprovalStopsNothing) {
  { const QuorumKey made = key_of_three(); }
  const std::string words = must(firmware->words());
  {
    AuditAnchor anchor(*device, *firmware);
    ASSERT_OK(anchor.begin());
  }
  tap();
  {
    const MeasuredMeanwhile once(*transport, TPM2_CC_NV_Read, 1, 1);
    EXPECT_EQ(must(firmware->words()), words);
    EXPECT_EQ(once.refused(), 1);
  }
  {   // and the anchor has the line once
    AuditAnchor anchor(*device, *firmware);
    const AnchorState before = must(anchor.state());
    const MeasuredMeanwhile once(*transport, TPM2_CC_NV_Extend, 1, 1);
    ASSERT_OK(anchor.extend(driver));
    EXPECT_EQ(once.refused(), 1);
    EXPECT_EQ(must(anchor.state()).extended, attest::extended_by(before.extended, driver));
  }
  {   // of the two gates of a signature the firmware's is the second
    QuorumKey key = must(load(blob, three));
    const std::vector<Approval> given = approvals(key, {0, 1}, {driver});
    const MeasuredMeanwhile once(*transport, TPM2_CC_PolicySecret, 2, 1);
    ASSERT_OK(key.sign(driver, given));
    EXPECT_EQ(once.refused(), 1);
  }
  {   // again and again is for people to look at
    const MeasuredMeanwhile always(*transport, TPM2_CC_NV_Read, 1, 100);
    expect_error(firmware->words(), Errc::unavailable, "firmware measurements changed meanwhile");
    EXPECT_EQ(always.refused(), 2);
  }
  EXPECT_EQ(must(device->loaded()), 0U);
}

TEST_F(FirmwareGateTest, AGateCannotBeWrittenThroughItself) {
  Context& context = device->context();
  const NvIndex gate = must(NvIndex::open(context, world.map().gate()));
  const Loaded session = must(policy_session(context));
  ASSERT_OK(firmware->satisfy(session));
  ASSERT_OK(policy_auth_value(context, session));
  const TPM2B_MAX_NV_BUFFER data = to_nv_buffer(Bytes(1, 1));
  EXPECT_NE(Esys_NV_Write(context.esys(), gate.handle(), gate.handle(), session.handle(), ESYS_TR_NONE, ESYS_TR_NONE, &data, 0),
            TSS2_RC_SUCCESS);
  const Loaded main = must(policy_session(context));
  TPM2B_TIMEOUT* timeout = nullptr;
  TPMT_TK_AUTH* ticket = nullptr;
  const TPM2B_NONCE nothing{};
  const TSS2_RC code = Esys_PolicySecret(context.esys(), gate.handle(), main.handle(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                         &nothing, &nothing, &nothing, 0, &timeout, &ticket);
  EXPECT_EQ(tpm_error(code), TPM2_RC_AUTH_UNAVAILABLE) << std::hex << code;
}

TEST(KnownFlaws, OfStsEcdsaTimingAreRefused) {
  const auto version = [](std::uint64_t major, std::uint64_t minor) { return major << 48 | minor << 32; };
  for (const auto& [major, minor] : {std::pair(71, 12), {73, 4}, {73, 9}, {74, 16}})
    EXPECT_NE(known_flaw("STM", version(static_cast<unsigned>(major), static_cast<unsigned>(minor))).find("TPM-FAIL"), std::string::npos) << major << '.' << minor;
  for (const auto& [major, minor] : {std::pair(71, 16), {73, 20}, {73, 64}, {74, 64}, {1, 256}})
    EXPECT_EQ(known_flaw("STM", version(static_cast<unsigned>(major), static_cast<unsigned>(minor))), "") << major << '.' << minor;
  EXPECT_EQ(known_flaw("IFX", version(74, 16)), "");
}

TEST(KnownFlaws, OfNuvotonsOutOfBoundsWriteAreRefused) {
  EXPECT_NE(known_flaw("NTC", 0x0001'0003'0002'0008).find("1.3.2.8 can be made unreachable"), std::string::npos);
  EXPECT_NE(known_flaw("NTC", 0x0001'0003'0001'0000), "");
  EXPECT_EQ(known_flaw("NTC", 0x0001'0003'0002'0014), "");   // 1.3.2.20
  EXPECT_EQ(known_flaw("NTC", 0x0007'0002'0003'0001), "");
}

TEST(KnownFlaws, OfInfineonsRsaKeysAreRefused) {
  const auto version = [](std::uint64_t major, std::uint64_t minor) { return major << 48 | minor << 32; };
  EXPECT_NE(known_flaw("IFX", version(7, 61)).find("ROCA"), std::string::npos);
  EXPECT_NE(known_flaw("IFX", version(5, 51)), "");
  EXPECT_EQ(known_flaw("IFX", version(7, 62)), "");
  EXPECT_EQ(known_flaw("IFX", version(7, 85)), "");
  EXPECT_EQ(known_flaw("STM", version(7, 61)), "");
}

TEST_F(FirmwareGateTest, ProductionRefusesASoftwareTpmWithAnOpenPlatformHierarchy) {
  const auto found = must(objections(*device, attest::Mode::production));
  ASSERT_EQ(found.size(), 2U);
  EXPECT_NE(found[0].find("software TPM"), std::string::npos);
  EXPECT_NE(found[1].find("platform hierarchy is still open"), std::string::npos);
  EXPECT_TRUE(must(objections(*device, attest::Mode::development)).empty());
  // As a machine's firmware does before it hands over.
  ASSERT_EQ(Esys_HierarchyControl(device->context().esys(), ESYS_TR_RH_PLATFORM, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                  ESYS_TR_RH_PLATFORM, TPM2_NO),
            TSS2_RC_SUCCESS);
  EXPECT_EQ(must(objections_at_start(*device, attest::Mode::production)).size(), 1U);
}

}  // namespace
}  // namespace tpm
