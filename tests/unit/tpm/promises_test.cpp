// The promises of docs/threat-model.md section 6, each under its own name. What is shown here is the TPM's refusal, not ours;
// the end-to-end tests that the table names show the same through the programs.
#include <cstdlib>

#include "crypto/attest/attestation.hpp"
#include "crypto/attest/sign_command.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/keys/random.hpp"
#include "tests/unit/tpm/custody_fixture.hpp"
#include "tpm/attestation.hpp"
#include "tpm/key_objects.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

using attest::OwnerCommand;
using base::Errc;
using crypto::KeyAlgorithm;

class Promises : public Custody {
 protected:
  crypto::PublicKey identity() {
    const Bytes area = must(identity_public(*device));
    const attest::ObjectPublic parsed = must(attest::ObjectPublic::parse(area));
    return must(crypto::PublicKey::parse(parsed.spki()));
  }
  Quorum close_with_administrators() {
    Quorum admins{2, {}};
    for (unsigned i = 0; i < 3; ++i) admins.officers.push_back({"admin-" + std::to_string(i), attest::kFirstAdministrator + i});
    define(admins);
    world.set_administrators(*device, admins);
    must(close_hierarchies(*device, keys::fill_random));
    reopen();
    return admins;
  }
  Result<void> act(const Quorum& admins, std::initializer_list<unsigned> who, const OwnerCommand& command) {
    Administration administration = TRY(Administration::load(*device, admins));
    const std::vector<OwnerCommand> commands = {command};
    std::vector<Approval> given;
    for (const unsigned i : who) {
      Approval one = TRY(administration.approve(admins.officers[i].name, secret(pin(admins.officers[i])), commands));
      given.push_back(std::move(one));
    }
    return administration.run(command, given);
  }
};

TEST_F(Promises, TheKeyWasBornInThisTpmAndCannotLeaveIt) {
  define(three);
  world.set_roster(*device, 0, three);
  const NewKey made = must(QuorumKey::create(*device, *firmware, 0, KeyAlgorithm::ecdsa_p256));
  const attest::ObjectPublic area = must(attest::ObjectPublic::parse_sized(made.blob.public_part));
  const attest::Attested attested = must(attest::verified_attestation(identity(), made.birth.statement, made.birth.signature));
  EXPECT_EQ(std::get<attest::Birth>(attested.says).object, area.name());
  EXPECT_EQ(area.attributes() & (attest::object::kFixedTpm | attest::object::kFixedParent | attest::object::kSensitiveDataOrigin),
            attest::object::kFixedTpm | attest::object::kFixedParent | attest::object::kSensitiveDataOrigin);
  // Asking the TPM for it is refused for what the key is, whatever the session.
  Context& context = device->context();
  const LoadedKey raw = must(load_key(context, made.blob, kQuorumKeyAttributes, area.policy()));
  const Loaded session = must(policy_session(context));
  ASSERT_OK(policy_command(context, session, static_cast<attest::CommandCode>(TPM2_CC_Duplicate)));
  TPMT_SYM_DEF_OBJECT plain{};
  plain.algorithm = TPM2_ALG_NULL;
  TPM2B_DATA* key_out = nullptr;
  TPM2B_PRIVATE* duplicate = nullptr;
  TPM2B_ENCRYPTED_SECRET* seed = nullptr;
  const TSS2_RC code = Esys_Duplicate(context.esys(), raw.object.handle(), ESYS_TR_RH_NULL, session.handle(), ESYS_TR_NONE, ESYS_TR_NONE, nullptr,
                                      &plain, &key_out, &duplicate, &seed);
  EXPECT_NE(code, TSS2_RC_SUCCESS);
  EXPECT_EQ(duplicate, nullptr);
  // And another TPM does not load the blob.
  tests::Swtpm elsewhere;
  const auto other_device = must(Device::open(elsewhere.tcti()));
  EXPECT_FALSE(load_key(other_device->context(), made.blob, kQuorumKeyAttributes, area.policy()));
}

TEST_F(Promises, NoSinglePersonAndNoSoftwareAloneMakesASignature) {
  const QuorumKey key = key_of_three();
  // Software with everything but the PINs: the key's blob, both gates' Names, approved firmware, the whole TPM.
  Context& context = device->context();
  const Bytes policy = must(attest::ObjectPublic::parse_sized(blob.public_part)).policy();
  const LoadedKey raw = must(load_key(context, blob, kQuorumKeyAttributes, policy));
  const crypto::Digest command = must(attest::sign_cp_hash(raw.area.name(), KeyAlgorithm::ecdsa_p256, driver));
  Loaded main = must(policy_session(context));
  {
    const Loaded gate = must(policy_session(context));
    ASSERT_OK(firmware->open_for(main, gate, command));   // the firmware gate alone is open to it
  }
  ASSERT_OK(policy_command(context, main, attest::CommandCode::sign));
  expect_error(sign_digest(context, raw, main, driver), Errc::refused, "approvals are not for this file and key, or too few");
}

TEST_F(Promises, OneOfficerMakesNoSignatureHoweverOften) {
  QuorumKey key = key_of_three();
  for (const unsigned i : {0U, 1U, 2U}) expect_error(key.sign(driver, approvals(key, {i, i}, {driver})), Errc::refused, "not enough, or not these, officers");
  ASSERT_OK(key.sign(driver, approvals(key, {0, 1}, {driver})));
}

TEST_F(Promises, AnApprovalIsForOneDigestAndOneKeyOnceAndForItsSecondsOnly) {
  QuorumKey key = key_of_three();
  const auto given = approvals(key, {0, 2}, {driver});
  expect_error(key.sign(other, given), Errc::refused, "");
  ASSERT_OK(key.sign(driver, given));
  expect_error(key.sign(driver, given), Errc::refused, "");
  EXPECT_EQ(given.front().lifetime(), kApprovalLifetime);   // QuorumKeyTest.AnApprovalRunsOut watches one run out
}

TEST_F(Promises, AWrongPinLocksOnlyThatOfficerAndTheLockSurvivesPowerLoss) {
  define(three);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(prove_officer(*device, three.officers[0], secret("000000")));
  close();
  swtpm.power_cut();
  reopen();
  expect_error(prove_officer(*device, three.officers[0], secret(pin(three.officers[0]))), Errc::refused, "officer is blocked");
  ASSERT_OK(prove_officer(*device, three.officers[1], secret(pin(three.officers[1]))));
  ASSERT_OK(prove_officer(*device, three.officers[2], secret(pin(three.officers[2]))));
}

TEST_F(Promises, OnlyFirmwareThatTheVendorSignedAtOrAboveTheFloorSignsAndUpdatesNeedNoNewKey) {
  Bytes name;
  {
    const QuorumKey key = key_of_three();
    name = key.name();
  }
  extend_pcr(11, "an update that nobody approved yet");
  {
    QuorumKey key = must(load(blob, three));
    expect_error(key.sign(driver, approvals(key, {0, 1}, {driver})), Errc::refused, "firmware measurements are not the approved ones");
  }
  approved_firmware = world.approve(*device, 2);
  reopen();
  {
    QuorumKey key = must(load(blob, three));
    ASSERT_OK(key.sign(driver, approvals(key, {0, 1}, {driver})));
    EXPECT_EQ(key.name(), name);
  }
  must(establish(*device, attest::floor_index(), base::ByteWriter().u64be(3).bytes()));
  QuorumKey key = must(load(blob, three));
  expect_error(key.sign(driver, approvals(key, {0, 1}, {driver})), Errc::refused, "firmware is older than the floor");
}

TEST_F(Promises, PeopleComeAndGoWithoutANewKeyAndWhoIsRemovedIsOutAtOnce) {
  Bytes name;
  {
    const QuorumKey key = key_of_three();
    name = key.name();
  }
  const Quorum before = three;
  const Officer dan{"dan", attest::kFirstOfficer + 7};
  must(define_officer(*device, dan, secret(pin(dan))));
  three.officers[0] = dan;
  world.set_roster(*device, 0, three);
  expect_error(load(blob, before), Errc::mismatch, "roster in the TPM is not the roster on disk");
  QuorumKey key = must(load(blob, three));
  EXPECT_EQ(key.name(), name);
  expect_error(key.approve("officer-0", secret("pin of officer-0"), std::vector<crypto::Digest>{driver}), Errc::not_found, "no officer of that name");
  ASSERT_OK(key.sign(driver, approvals(key, {0, 1}, {driver})));
}

TEST_F(Promises, TheLogsAnchorCannotBeShortenedOrSetBackByAnybody) {
  AuditAnchor anchor(*device, *firmware);
  must(anchor.begin());
  const Quorum admins = close_with_administrators();
  AuditAnchor closed(*device, *firmware);
  ASSERT_OK(closed.extend(driver));
  ASSERT_OK(closed.increment());
  const AnchorState state = must(closed.state());
  // Owner, everybody, and the firmware's own policy: none writes it otherwise than by extending and counting.
  Context& context = device->context();
  for (const attest::NvPublic& area : {world.map().audit_extend(), world.map().audit_count()}) {
    const NvIndex index = must(NvIndex::open(context, area));
    const TPM2B_MAX_NV_BUFFER zero = to_nv_buffer(Bytes(8, 0));
    EXPECT_NE(Esys_NV_Write(context.esys(), index.handle(), index.handle(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &zero, 0), TSS2_RC_SUCCESS);
    EXPECT_NE(Esys_NV_UndefineSpace(context.esys(), ESYS_TR_RH_OWNER, index.handle(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE), TSS2_RC_SUCCESS);
  }
  const AnchorState after = must(closed.state());
  EXPECT_EQ(after.count, state.count);
  EXPECT_EQ(after.extended, state.extended);
}

TEST_F(Promises, AdministrationAndWipeNeedTwoAdministratorsCountedByTheTpm) {
  const Quorum admins = close_with_administrators();
  const OwnerCommand floor = OwnerCommand::write(attest::floor_index(), base::ByteWriter().u64be(2).bytes(), "raise the floor");
  const OwnerCommand wipe = OwnerCommand::clear("wipe");
  for (const OwnerCommand& command : {floor, wipe})
    for (const unsigned i : {0U, 1U, 2U}) {
      expect_error(act(admins, {i}, command), Errc::refused, "not enough, or not these");
      expect_error(act(admins, {i, i}, command), Errc::refused, "not enough, or not these");
    }
  EXPECT_EQ(must(read_public_index(*device, attest::floor_index())).back(), 1);
  ASSERT_OK(act(admins, {2, 1}, floor));
  EXPECT_EQ(must(read_public_index(*device, attest::floor_index())).back(), 2);
  ASSERT_OK(act(admins, {0, 1}, wipe));
  firmware.reset();
  EXPECT_FALSE(is_defined(device->context(), attest::floor_index()).value_or(false));
}

TEST_F(Promises, EveryRefusalSaysWhichRuleRefused) {
  for (const KnownCode& known : known_codes()) {
    const base::Error error = explain(known.code, known.step);
    const Advice found = advice(known.code, known.step);
    EXPECT_EQ(error.text(), found.cause + "; " + found.consequence + "; " + found.next_step + ": " + found.recovery);
  }
  QuorumKey key = key_of_three();
  expect_error(key.sign(driver, {}), Errc::refused, "officers");
  expect_error(prove_officer(*device, three.officers[0], secret("000000")), Errc::refused, "PIN wrong, 4 tries left");
  extend_pcr(7, "secure boot was switched off");
  expect_error(firmware->test(), Errc::refused, "firmware measurements");
}

}  // namespace
}  // namespace tpm
