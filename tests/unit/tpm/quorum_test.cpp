// The custody promise against a software TPM: m of n officers, digest by digest, counted by the TPM.
#include "tpm/quorum.hpp"

#include "crypto/attest/owner_command.hpp"
#include "crypto/attest/sign_command.hpp"
#include "tests/unit/tpm/custody_fixture.hpp"
#include "tpm/key_objects.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

using base::Errc;
using crypto::KeyAlgorithm;

class QuorumKeyTest : public Custody {};

TEST_F(QuorumKeyTest, SignsWhenTwoOfThreeOfficersApprovedTheDigestInAnyOrder) {
  QuorumKey key = key_of_three(KeyAlgorithm::rsa_pkcs1);
  EXPECT_EQ(key.public_key().bits(), 3072U);
  const std::vector<std::pair<unsigned, unsigned>> pairs = {{0, 1}, {1, 0}, {0, 2}, {2, 0}, {1, 2}, {2, 1}};
  for (const auto& [first, second] : pairs) {
    const auto signature = key.sign(driver, approvals(key, {first, second}, {driver}));
    ASSERT_OK(signature);
    EXPECT_EQ(signature->size(), 384U);
    EXPECT_TRUE(key.public_key().verify(driver, *signature));
    EXPECT_FALSE(key.public_key().verify(other, *signature));
  }
}

TEST_F(QuorumKeyTest, SignsWithEllipticCurvesAndSha384) {
  std::optional<QuorumKey> p256(key_of_three());
  QuorumKey& key = *p256;
  const crypto::Digest longer = crypto::digest_of(crypto::DigestAlgorithm::sha384, base::as_bytes("driver.cat"));
  // Numbers with leading zeros come up once in a hundred times.
  for (int i = 0; i < 40; ++i) {
    const crypto::Digest file = digest("file " + std::to_string(i));
    ASSERT_OK(key.sign(file, approvals(key, {0, 1}, {file})));
  }
  ASSERT_OK(key.sign(longer, approvals(key, {2, 0}, {longer})));
  p256.reset();   // a TPM has room for the sessions of one key
  const KeyBlob p384 = must(make_key(three, KeyAlgorithm::ecdsa_p384));
  QuorumKey larger = must(load(p384, three));
  EXPECT_EQ(larger.public_key().bits(), 384U);
  ASSERT_OK(larger.sign(longer, approvals(larger, {1, 2}, {longer})));
}

TEST_F(QuorumKeyTest, OneOfficerIsRefusedByTheTpm) {
  QuorumKey key = key_of_three();
  for (const unsigned i : {0U, 1U, 2U})
    expect_error(key.sign(driver, approvals(key, {i}, {driver})), Errc::refused, "not enough, or not these, officers");
  expect_error(key.sign(driver, {}), Errc::refused, "not enough, or not these, officers");
}

TEST_F(QuorumKeyTest, TheSameOfficerTwiceIsNotTwoOfficers) {
  {
    QuorumKey key = key_of_three();
    expect_error(key.sign(driver, approvals(key, {1, 1}, {driver})), Errc::refused, "not enough, or not these, officers");
  }

  // And not by presenting both tickets to the TPM either, whichever branch is tried.
  Context& context = device->context();
  const Officer& officer = three.officers[1];
  const attest::Name name = attest::name_of(attest::person_index(officer.nv_index));
  const crypto::Digest bound = digest("any cpHash");
  const auto entry = must(PinEntry::open(*device, officer, secret(pin(officer))));
  const Ticket one = must(entry->ticket(bound, kApprovalLifetime));
  const Ticket two = must(entry->ticket(bound, kApprovalLifetime));
  const Loaded session = must(policy_session(context));
  ASSERT_OK(redeem(context, session, name, bound, one));
  ASSERT_OK(redeem(context, session, name, bound, two));
  const auto tree = must(attest::QuorumTree::build(2, {attest::name_of(attest::person_index(0x01800001)), name,
                                                       attest::name_of(attest::person_index(0x01800003))}));
  const auto path = must(tree.path({0, 1}));
  expect_error(policy_or(context, session, path.front()), Errc::refused, "not enough, or not these, officers");
}

TEST_F(QuorumKeyTest, OfficersOutOfRosterOrderAreRefusedByTheTpm) {
  // Why sign() sorts: the TPM counts branches, not heads.
  { const QuorumKey made = key_of_three(); }
  Context& context = device->context();
  const crypto::Digest bound = digest("any cpHash");
  const Loaded session = must(policy_session(context));
  std::vector<attest::Name> names;
  for (const Officer& officer : three.officers) names.push_back(attest::name_of(attest::person_index(officer.nv_index)));
  for (const std::size_t i : {1U, 0U}) {
    const auto entry = must(PinEntry::open(*device, three.officers[i], secret(pin(three.officers[i]))));
    ASSERT_OK(redeem(context, session, names[i], bound, must(entry->ticket(bound, kApprovalLifetime))));
  }
  const auto tree = must(attest::QuorumTree::build(2, names));
  const auto path = must(tree.path({0, 1}));
  expect_error(policy_or(context, session, path.front()), Errc::refused, "not enough, or not these, officers");
}

TEST_F(QuorumKeyTest, ADigestNobodyApprovedIsNotSigned) {
  QuorumKey key = key_of_three();
  expect_error(key.sign(other, approvals(key, {0, 1}, {driver})), Errc::refused, "not enough, or not these, officers");
}

TEST_F(QuorumKeyTest, TheTpmRefusesTicketsForOneDigestUsedForAnother) {
  { const QuorumKey made = key_of_three(); }
  Context& context = device->context();
  const crypto::Digest policy = world.map().signing_key_policy(0);
  const LoadedKey raw = must(load_key(context, blob, kQuorumKeyAttributes, policy.bytes()));
  const NvIndex roster = must(NvIndex::open(context, attest::roster_index(0)));
  const NvIndex gate = must(NvIndex::open(context, attest::quorum_gate(0)));
  const attest::Name gate_name = attest::name_of(attest::quorum_gate(0));
  const crypto::Digest sign_driver = must(attest::sign_cp_hash(raw.area.name(), KeyAlgorithm::ecdsa_p256, driver));
  const crypto::Digest sign_other = must(attest::sign_cp_hash(raw.area.name(), KeyAlgorithm::ecdsa_p256, other));
  const auto tree = must(tree_of(three));

  const Loaded main = must(policy_session(context));
  const std::uint32_t handle = must(tpm_handle_of(context, main));
  const crypto::Digest open_driver = attest::open_gate_cp_hash(gate_name, handle, {}, sign_driver);
  const crypto::Digest open_other = attest::open_gate_cp_hash(gate_name, handle, {}, sign_other);
  std::vector<Ticket> given;
  for (const unsigned i : {0U, 1U}) {
    const auto entry = must(PinEntry::open(*device, three.officers[i], secret(pin(three.officers[i]))));
    given.push_back(must(entry->ticket(open_driver, kApprovalLifetime)));
  }
  const std::vector<const Ticket*> tickets = {&given[0], &given[1], nullptr};
  // Presented as if they were for the other digest, and as other officers'.
  {
    const Loaded session = must(policy_session(context));
    expect_error(satisfy_quorum(context, session, tree, three.officers, tickets, open_other), Errc::refused, "not for this file and key");
  }
  {
    const Loaded session = must(policy_session(context));
    expect_error(redeem(context, session, tree.officers()[1], open_driver, given[0]), Errc::refused, "not for this file and key");
  }
  const auto opened = [&](const Loaded& target, const crypto::Digest& command) -> Result<void> {
    const Loaded session = TRY(policy_session(context));
    TRY(satisfy_quorum(context, session, tree, three.officers, tickets, open_driver));
    TRY(policy_roster(context, session, roster));
    TRY(open_gate(context, gate, target, session, command, {}));
    TRY(firmware->open_for(target, session, command));
    return policy_command(context, target, attest::CommandCode::sign);
  };
  // The gate opened for another command than the officers approved.
  expect_error(opened(main, sign_other), Errc::refused, "approvals are not for this file and key");
  ASSERT_OK(restart(context, main));
  // For another session.
  {
    const Loaded elsewhere = must(policy_session(context));
    ASSERT_NE(must(tpm_handle_of(context, elsewhere)), handle);
    expect_error(opened(elsewhere, sign_driver), Errc::refused, "approvals are not for this file and key");
  }
  // As approved; and then used for another digest, another hash, and a second time.
  ASSERT_OK(opened(main, sign_driver));
  expect_error(sign_digest(context, raw, main, other), Errc::refused, "approvals are not for this file and key");
  const crypto::Digest longer = crypto::digest_of(crypto::DigestAlgorithm::sha384, base::as_bytes("driver.cat"));
  expect_error(sign_digest(context, raw, main, longer), Errc::refused, "approvals are not for this file and key");
  ASSERT_OK(sign_digest(context, raw, main, driver));
  expect_error(sign_digest(context, raw, main, driver), Errc::refused, "approvals are not for this file and key");
}

// What a batch costs (docs/custody.md, section 3): its approvals are bound to a handle, and handles come again.
TEST_F(QuorumKeyTest, ApprovalsOfABatchFitAnotherSessionOfTheSameHandleAndThoseOfOneDigestDoNot) {
  std::vector<Approval> batch;
  std::vector<Approval> single;
  {
    QuorumKey key = key_of_three();
    batch = approvals(key, {0, 1}, {driver, other});
    single = approvals(key, {0, 1}, {driver});
  }
  QuorumKey again = must(load(blob, three));
  expect_error(again.sign(driver, single), Errc::refused, "");
  ASSERT_OK(again.sign(driver, batch));
  expect_error(again.sign(digest("a third"), batch), Errc::refused, "");
}

TEST_F(QuorumKeyTest, AnApprovalOfOneDigestIsUsedUpByItsSignature) {
  QuorumKey key = key_of_three();
  const auto given = approvals(key, {0, 2}, {driver});
  ASSERT_OK(key.sign(driver, given));
  expect_error(key.sign(driver, given), Errc::refused, "");
  ASSERT_OK(key.sign(driver, approvals(key, {0, 2}, {driver})));
}

TEST_F(QuorumKeyTest, ApprovalsForAnotherClassAreRefused) {
  std::vector<Approval> given;
  {
    QuorumKey release = key_of_three();
    given = approvals(release, {0, 1}, {driver, other});
    ASSERT_OK(release.sign(driver, given));
  }
  const KeyBlob other_blob = must(make_key(three, KeyAlgorithm::ecdsa_p256, 1));
  expect_error(load(other_blob, three, 0), Errc::mismatch, "policy");
  QuorumKey test = must(load(other_blob, three, 1));
  expect_error(test.sign(driver, given), Errc::refused, "not for this file and key");
}

TEST_F(QuorumKeyTest, ARemovedOfficerIsOutAtOnceAndTheKeyStays) {
  const Quorum before = three;
  Bytes name;
  {
    QuorumKey key = key_of_three();
    name = key.name();
  }
  const Officer dan{"dan", attest::kFirstOfficer + 7};
  must(define_officer(*device, dan, secret(pin(dan))));
  Quorum after = three;
  after.officers[1] = dan;
  world.set_roster(*device, 0, after);
  expect_error(load(blob, before), Errc::mismatch, "roster in the TPM is not the roster on disk");
  {
    QuorumKey key = must(load(blob, after));
    EXPECT_EQ(key.name(), name);
    ASSERT_OK(key.sign(driver, approvals(key, {1, 2}, {driver})));
  }
  // The old branches satisfy a session, but not the roster that is in force.
  Context& context = device->context();
  const auto old_tree = must(tree_of(before));
  const crypto::Digest any = digest("any cpHash");
  std::vector<Ticket> given;
  for (const unsigned i : {0U, 1U}) {
    const auto entry = must(PinEntry::open(*device, before.officers[i], secret(pin(before.officers[i]))));
    given.push_back(must(entry->ticket(any, kApprovalLifetime)));
  }
  const NvIndex roster = must(NvIndex::open(context, attest::roster_index(0)));
  const Loaded session = must(policy_session(context));
  ASSERT_OK(satisfy_quorum(context, session, old_tree, before.officers, {&given[0], &given[1], nullptr}, any));
  expect_error(policy_roster(context, session, roster), Errc::refused, "roster in the TPM is not the roster on disk");
}

TEST_F(QuorumKeyTest, OfficersWhoApprovedDifferentDigestsDoNotAddUp) {
  QuorumKey key = key_of_three();
  std::vector<Approval> mixed = approvals(key, {0}, {driver});
  mixed.push_back(std::move(approvals(key, {1}, {other}).front()));
  expect_error(key.sign(driver, mixed), Errc::refused, "not enough");
  expect_error(key.sign(other, mixed), Errc::refused, "not enough");
}

TEST_F(QuorumKeyTest, ApprovalsForAnotherKeyOfTheSameOfficersAreRefused) {
  { const QuorumKey first = key_of_three(); }
  const KeyBlob second = must(make_key(three, KeyAlgorithm::ecdsa_p256));
  std::vector<Approval> given;
  {
    QuorumKey twin = must(load(second, three));
    given = approvals(twin, {0, 1}, {driver, other});
    ASSERT_OK(twin.sign(driver, given));
  }
  QuorumKey key = must(load(blob, three));   // its session has the same handle
  expect_error(key.sign(driver, given), Errc::refused, "not for this file and key");
}

TEST_F(QuorumKeyTest, AMissingQuorumIsNotReplacedByTheKeysOwnAuthorisation) {
  { const QuorumKey made = key_of_three(); }
  Context& context = device->context();
  const Bytes policy = must(attest::ObjectPublic::parse_sized(blob.public_part)).policy();
  const LoadedKey raw = must(load_key(context, blob, kQuorumKeyAttributes, policy));
  const Loaded plain = must(hmac_session(context));   // the key's own authorisation is empty, and not accepted
  const auto refused = sign_digest(context, raw, plain, driver);
  expect_error(refused, Errc::tpm, "does not allow this authorisation");
}

TEST_F(QuorumKeyTest, TwentyDigestsTakeOnePinEntryOfEachOfficer) {
  QuorumKey key = key_of_three();
  std::vector<crypto::Digest> files;
  for (int i = 0; i < 20; ++i) files.push_back(digest("file " + std::to_string(i)));
  const auto given = approvals(key, {2, 0}, files);
  for (const crypto::Digest& file : files) {
    EXPECT_TRUE(given[0].covers(file));
    ASSERT_OK(key.sign(file, given));
  }
  EXPECT_FALSE(given[0].covers(driver));
  expect_error(key.sign(driver, given), Errc::refused, "not enough");
  EXPECT_GT(key.pace().seconds_per_signature, 0);
  EXPECT_GT(key.estimate(20), key.estimate(1));
  EXPECT_LT(key.estimate(20), kApprovalLifetime);
}

TEST_F(QuorumKeyTest, AnApprovalRunsOut) {
  // The same ticket as approve() asks for, but for one second of the TPM's own clock.
  { const QuorumKey made = key_of_three(); }
  Context& context = device->context();
  const Officer& officer = three.officers[0];
  const attest::Name name = attest::name_of(attest::person_index(officer.nv_index));
  const crypto::Digest bound = digest("any cpHash");
  const std::uint64_t started = must(device->running_ms());
  const auto entry = must(PinEntry::open(*device, officer, secret(pin(officer))));
  const Ticket ticket = must(entry->ticket(bound, std::chrono::seconds(1)));
  Result<void> redeemed;
  do {
    const Loaded session = must(policy_session(context));
    redeemed = redeem(context, session, name, bound, ticket);
  } while (redeemed && must(device->running_ms()) < started + 20'000);
  EXPECT_GE(must(device->running_ms()), started + 1000);
  expect_error(redeemed, Errc::refused, "approval ran out; nothing was signed; enter again");
}

TEST_F(QuorumKeyTest, ApprovalsDieWhenTheTpmIsResetAndTheKeyDoesNot) {
  std::vector<Approval> given;
  Bytes name;
  {
    QuorumKey key = key_of_three();
    name = key.name();
    given = approvals(key, {0, 1}, {driver});
  }
  close();
  swtpm.power_cut();
  reopen();
  QuorumKey key = must(load(blob, three));
  EXPECT_EQ(key.name(), name);
  expect_error(key.sign(driver, given), Errc::refused, "enter again");
  ASSERT_OK(key.sign(driver, approvals(key, {0, 1}, {driver})));
}

TEST_F(QuorumKeyTest, RefusesABlobThatBelongsToAnotherTpm) {
  (void)key_of_three();
  tests::Swtpm elsewhere;
  const auto other_device = must(Device::open(elsewhere.tcti()));
  world.found(*other_device);
  world.set_roster(*other_device, 0, three);
  const FirmwareGate other_gate = must(FirmwareGate::load(*other_device, world.map(), *approved_firmware));
  expect_error(QuorumKey::load(*other_device, other_gate, 0, blob, three), Errc::refused, "key blob belongs to another TPM");
  EXPECT_EQ(must(other_device->loaded()), 0U);
  EXPECT_NE(other_device->srk_name(), device->srk_name());
  expect_error(other_device->expect_srk(device->srk_name()), Errc::mismatch, "not the TPM that was provisioned");
}

TEST_F(QuorumKeyTest, RefusesABlobOfAnotherQuorum) {
  (void)key_of_three();
  expect_error(load(blob, quorum_of(1, 3)), Errc::mismatch, "roster in the TPM is not the roster on disk");
  expect_error(load(blob, quorum_of(2, 2)), Errc::mismatch, "roster in the TPM is not the roster on disk");
  Quorum reordered = three;
  std::swap(reordered.officers[0], reordered.officers[1]);
  expect_error(load(blob, reordered), Errc::mismatch, "roster in the TPM is not the roster on disk");
}

TEST_F(QuorumKeyTest, RefusesAKeyThatCanBeUsedWithoutItsPolicy) {
  (void)key_of_three();
  const Bytes policy = must(attest::ObjectPublic::parse_sized(blob.public_part)).policy();
  const KeyBlob open = must(create_key(
      device->context(),
      {KeyAlgorithm::ecdsa_p256, kQuorumKeyAttributes | attest::object::kUserWithAuth, policy})).blob;
  expect_error(load(open, three), Errc::refused, "attributes");
}

TEST_F(QuorumKeyTest, RefusesDamagedBlobs) {
  (void)key_of_three();
  for (std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{2}, blob.private_part.size() - 1}) {
    KeyBlob damaged = blob;
    damaged.private_part.resize(length);
    expect_error(load(damaged, three), Errc::malformed, "private part");
  }
  KeyBlob longer = blob;
  longer.private_part.push_back(0);
  expect_error(load(longer, three), Errc::malformed, "private part");
  KeyBlob huge = blob;
  huge.private_part.assign(70000, 0xff);
  expect_error(load(huge, three), Errc::too_large, "private part");
  KeyBlob flipped = blob;
  flipped.private_part.back() ^= 1;
  expect_error(load(flipped, three), Errc::refused, "damaged");
  KeyBlob swapped = must(make_key(three, KeyAlgorithm::ecdsa_p256));
  swapped.private_part = blob.private_part;
  expect_error(load(swapped, three), Errc::refused, "");
  EXPECT_EQ(must(device->loaded()), 0U);
}

TEST_F(QuorumKeyTest, RefusesAClassWhoseGateIsNotDefined) {
  expect_error(QuorumKey::create(*device, *firmware, 3, KeyAlgorithm::ecdsa_p256), Errc::not_found, "quorum gate");
  (void)key_of_three();
  expect_error(load(blob, {3, quorum_of(2, 2).officers}), Errc::usage, "quorum of 3 of 2");
}

TEST_F(QuorumKeyTest, RefusesApprovalsThatCannotBe) {
  QuorumKey key = key_of_three();
  const std::vector<crypto::Digest> one = {driver};
  expect_error(key.approve("mallory", secret("123456"), one), Errc::not_found, "no officer of that name");
  expect_error(key.approve("officer-0", secret(pin(three.officers[0])), {}), Errc::usage, "nothing to approve");
  expect_error(key.approve("officer-0", secret("12345"), one), Errc::usage, "PIN of 5 characters");
  const std::vector<crypto::Digest> sha1 = {crypto::digest_of(crypto::DigestAlgorithm::sha1, ByteView())};
  expect_error(key.approve("officer-0", secret("wrong pin"), sha1), Errc::unsupported, "sha1");
  const std::vector<crypto::Digest> many(501, driver);
  expect_error(key.approve("officer-0", secret("wrong pin"), many), Errc::too_large, "501 digests");
  // None of these reached the TPM as a try.
  EXPECT_EQ(must(officer_state(*device, three.officers[0])).tries_used, 0U);
}

TEST_F(QuorumKeyTest, EveryErrorLeavesNothingLoadedButTheKey) {
  QuorumKey key = key_of_three();
  const std::vector<crypto::Digest> one = {driver};
  const auto given = approvals(key, {0, 1}, one);
  EXPECT_EQ(must(device->loaded()), 2U);   // the key and the session that will sign
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(key.approve("officer-2", secret("wrong pin"), one));
    EXPECT_FALSE(key.sign(other, given));
    EXPECT_FALSE(key.sign(driver, {given.data(), 1}));
    EXPECT_EQ(must(device->loaded()), 2U);
  }
  ASSERT_OK(key.sign(driver, given));
  EXPECT_EQ(must(device->loaded()), 3U);   // and the one that opens the gates
  { const QuorumKey gone = std::move(key); }
  EXPECT_EQ(must(device->loaded()), 0U);
}

}  // namespace
}  // namespace tpm
