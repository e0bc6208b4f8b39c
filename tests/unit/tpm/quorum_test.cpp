// The custody promise against a software TPM: m of n officers, digest by digest, counted by the TPM.
#include "tpm/quorum.hpp"

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
  QuorumKey key = key_of_three();
  const crypto::Digest longer = crypto::digest_of(crypto::DigestAlgorithm::sha384, base::as_bytes("driver.cat"));
  // Numbers with leading zeros come up once in a hundred times.
  for (int i = 0; i < 40; ++i) {
    const crypto::Digest file = digest("file " + std::to_string(i));
    ASSERT_OK(key.sign(file, approvals(key, {0, 1}, {file})));
  }
  ASSERT_OK(key.sign(longer, approvals(key, {2, 0}, {longer})));
  const KeyBlob p384 = must(QuorumKey::create(*device, three, KeyAlgorithm::ecdsa_p384));
  QuorumKey larger = must(QuorumKey::load(*device, p384, three));
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
  QuorumKey key = key_of_three();
  expect_error(key.sign(driver, approvals(key, {1, 1}, {driver})), Errc::refused, "not enough, or not these, officers");

  // And not by presenting both tickets to the TPM either, whichever branch is tried.
  Context& context = device->context();
  const Officer& officer = three.officers[1];
  const attest::Name name = attest::name_of(attest::officer_index(officer.nv_index));
  const crypto::Digest bound = must(attest::sign_cp_hash(key.name(), KeyAlgorithm::ecdsa_p256, driver));
  const auto entry = must(PinEntry::open(*device, officer, secret(pin(officer))));
  const Ticket one = must(entry->ticket(bound, kApprovalLifetime));
  const Ticket two = must(entry->ticket(bound, kApprovalLifetime));
  const Loaded session = must(policy_session(context));
  ASSERT_OK(redeem(context, session, name, bound, one));
  ASSERT_OK(redeem(context, session, name, bound, two));
  const auto tree = must(attest::QuorumTree::build(2, {attest::name_of(attest::officer_index(0x01800001)), name,
                                                       attest::name_of(attest::officer_index(0x01800003))}));
  const auto path = must(tree.path({0, 1}));
  expect_error(policy_or(context, session, path.front()), Errc::refused, "not enough, or not these, officers");
}

TEST_F(QuorumKeyTest, OfficersOutOfRosterOrderAreRefusedByTheTpm) {
  // Why sign() sorts: the TPM counts branches, not heads.
  QuorumKey key = key_of_three();
  Context& context = device->context();
  const crypto::Digest bound = must(attest::sign_cp_hash(key.name(), KeyAlgorithm::ecdsa_p256, driver));
  const Loaded session = must(policy_session(context));
  std::vector<attest::Name> names;
  for (const Officer& officer : three.officers) names.push_back(attest::name_of(attest::officer_index(officer.nv_index)));
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
  QuorumKey key = key_of_three();
  Context& context = device->context();
  const LoadedKey raw = must(load_key(context, blob, kQuorumKeyAttributes, must(attest::ObjectPublic::parse_sized(
                                                                               blob.public_part)).policy()));
  const crypto::Digest for_driver = must(attest::sign_cp_hash(key.name(), KeyAlgorithm::ecdsa_p256, driver));
  const crypto::Digest for_other = must(attest::sign_cp_hash(key.name(), KeyAlgorithm::ecdsa_p256, other));
  std::vector<attest::Name> names;
  std::vector<Ticket> tickets;
  for (const Officer& officer : three.officers) {
    names.push_back(attest::name_of(attest::officer_index(officer.nv_index)));
    const auto entry = must(PinEntry::open(*device, officer, secret(pin(officer))));
    tickets.push_back(must(entry->ticket(for_driver, kApprovalLifetime)));
  }
  const auto tree = must(attest::QuorumTree::build(2, names));
  const auto path = must(tree.path({0, 1}));
  // Presented as if it were for the other digest.
  {
    const Loaded session = must(policy_session(context));
    expect_error(redeem(context, session, names[0], for_other, tickets[0]), Errc::refused, "not for this file and key");
  }
  // Presented as another officer's.
  {
    const Loaded session = must(policy_session(context));
    expect_error(redeem(context, session, names[1], for_driver, tickets[0]), Errc::refused, "not for this file and key");
  }
  // A session that the officers opened for one digest, used for the other, and then as it was meant.
  const Loaded session = must(policy_session(context));
  ASSERT_OK(redeem(context, session, names[0], for_driver, tickets[0]));
  ASSERT_OK(redeem(context, session, names[1], for_driver, tickets[1]));
  ASSERT_OK(policy_or(context, session, path.front()));
  ASSERT_OK(policy_command(context, session, attest::CommandCode::sign));
  expect_error(sign_digest(context, raw, session, other), Errc::refused, "approvals are not for this file and key");
  ASSERT_OK(sign_digest(context, raw, session, driver));
  expect_error(sign_digest(context, raw, session, driver), Errc::refused, "approvals are not for this file and key");
}

TEST_F(QuorumKeyTest, OfficersWhoApprovedDifferentDigestsDoNotAddUp) {
  QuorumKey key = key_of_three();
  std::vector<Approval> mixed = approvals(key, {0}, {driver});
  mixed.push_back(std::move(approvals(key, {1}, {other}).front()));
  expect_error(key.sign(driver, mixed), Errc::refused, "not enough");
  expect_error(key.sign(other, mixed), Errc::refused, "not enough");
}

TEST_F(QuorumKeyTest, ApprovalsForAnotherKeyOfTheSameOfficersAreRefused) {
  QuorumKey key = key_of_three();
  const KeyBlob second = must(QuorumKey::create(*device, three, KeyAlgorithm::ecdsa_p256));
  QuorumKey twin = must(QuorumKey::load(*device, second, three));
  const auto given = approvals(twin, {0, 1}, {driver});
  expect_error(key.sign(driver, given), Errc::refused, "not for this file and key");
  ASSERT_OK(twin.sign(driver, given));
}

TEST_F(QuorumKeyTest, AMissingQuorumIsNotReplacedByTheKeysOwnAuthorisation) {
  QuorumKey key = key_of_three();
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
  QuorumKey key = key_of_three();
  Context& context = device->context();
  const Officer& officer = three.officers[0];
  const attest::Name name = attest::name_of(attest::officer_index(officer.nv_index));
  const crypto::Digest bound = must(attest::sign_cp_hash(key.name(), KeyAlgorithm::ecdsa_p256, driver));
  const std::uint64_t started = must(device->running_ms());
  const auto entry = must(PinEntry::open(*device, officer, secret(pin(officer))));
  const Ticket ticket = must(entry->ticket(bound, std::chrono::seconds(1)));
  Result<void> redeemed;
  do {
    const Loaded session = must(policy_session(context));
    redeemed = redeem(context, session, name, bound, ticket);
  } while (redeemed && must(device->running_ms()) < started + 20'000);
  EXPECT_GE(must(device->running_ms()), started + 1000);
  expect_error(redeemed, Errc::refused, "approval ran out; enter again");
}

TEST_F(QuorumKeyTest, ApprovalsDieWhenTheTpmIsResetAndTheKeyDoesNot) {
  std::vector<Approval> given;
  Bytes name;
  {
    QuorumKey key = key_of_three();
    name = key.name();
    given = approvals(key, {0, 1}, {driver});
  }
  device.reset();
  swtpm.power_cut();
  reopen();
  QuorumKey key = must(QuorumKey::load(*device, blob, three));
  EXPECT_EQ(key.name(), name);
  expect_error(key.sign(driver, given), Errc::refused, "enter again");
  ASSERT_OK(key.sign(driver, approvals(key, {0, 1}, {driver})));
}

TEST_F(QuorumKeyTest, RefusesABlobThatBelongsToAnotherTpm) {
  const Quorum quorum = three;
  (void)key_of_three();
  tests::Swtpm elsewhere;
  const auto other_device = must(Device::open(elsewhere.tcti()));
  expect_error(QuorumKey::load(*other_device, blob, quorum), Errc::refused, "key blob belongs to another TPM");
  EXPECT_EQ(must(other_device->loaded()), 0U);
  EXPECT_NE(other_device->srk_name(), device->srk_name());
  expect_error(other_device->expect_srk(device->srk_name()), Errc::mismatch, "not the TPM that was provisioned");
}

TEST_F(QuorumKeyTest, RefusesABlobOfAnotherQuorum) {
  (void)key_of_three();
  expect_error(QuorumKey::load(*device, blob, quorum_of(1, 3)), Errc::mismatch, "policy of another quorum");
  expect_error(QuorumKey::load(*device, blob, quorum_of(2, 2)), Errc::mismatch, "policy of another quorum");
  Quorum reordered = three;
  std::swap(reordered.officers[0], reordered.officers[1]);
  expect_error(QuorumKey::load(*device, blob, reordered), Errc::mismatch, "policy of another quorum");
}

TEST_F(QuorumKeyTest, RefusesAKeyThatCanBeUsedWithoutItsPolicy) {
  (void)key_of_three();
  const Bytes policy = must(attest::ObjectPublic::parse_sized(blob.public_part)).policy();
  const KeyBlob open = must(create_key(
      device->context(),
      {KeyAlgorithm::ecdsa_p256, kQuorumKeyAttributes | attest::object::kUserWithAuth, policy}));
  expect_error(QuorumKey::load(*device, open, three), Errc::refused, "attributes");
}

TEST_F(QuorumKeyTest, RefusesDamagedBlobs) {
  (void)key_of_three();
  for (std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{2}, blob.private_part.size() - 1}) {
    KeyBlob damaged = blob;
    damaged.private_part.resize(length);
    expect_error(QuorumKey::load(*device, damaged, three), Errc::malformed, "private part");
  }
  KeyBlob longer = blob;
  longer.private_part.push_back(0);
  expect_error(QuorumKey::load(*device, longer, three), Errc::malformed, "private part");
  KeyBlob huge = blob;
  huge.private_part.assign(70000, 0xff);
  expect_error(QuorumKey::load(*device, huge, three), Errc::too_large, "private part");
  KeyBlob flipped = blob;
  flipped.private_part.back() ^= 1;
  expect_error(QuorumKey::load(*device, flipped, three), Errc::refused, "damaged");
  KeyBlob swapped = must(QuorumKey::create(*device, three, KeyAlgorithm::ecdsa_p256));
  swapped.private_part = blob.private_part;
  expect_error(QuorumKey::load(*device, swapped, three), Errc::refused, "");
  EXPECT_EQ(must(device->loaded()), 0U);
}

TEST_F(QuorumKeyTest, RefusesAQuorumWhoseOfficersAreNotDefined) {
  define(quorum_of(2, 2));
  expect_error(QuorumKey::create(*device, three, KeyAlgorithm::ecdsa_p256), Errc::not_found, "officer-2");
  expect_error(QuorumKey::create(*device, {3, quorum_of(2, 2).officers}, KeyAlgorithm::ecdsa_p256), Errc::usage,
               "quorum of 3 of 2");
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
  EXPECT_EQ(must(device->loaded()), 1U);
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(key.approve("officer-2", secret("wrong pin"), one));
    EXPECT_FALSE(key.sign(other, given));
    EXPECT_FALSE(key.sign(driver, {given.data(), 1}));
    EXPECT_EQ(must(device->loaded()), 1U);
  }
  ASSERT_OK(key.sign(driver, given));
  EXPECT_EQ(must(device->loaded()), 1U);
  { const QuorumKey gone = std::move(key); }
  EXPECT_EQ(must(device->loaded()), 0U);
}

// The calculator's policies against the TPM's own, for every size of quorum, and a signature through the nested OR.
class AnyQuorum : public Custody, public testing::WithParamInterface<std::pair<unsigned, unsigned>> {};

TEST_P(AnyQuorum, SignsWithItsLastOfficersAndRefusesOneLess) {
  const auto [m, n] = GetParam();
  const Quorum quorum = quorum_of(m, n);
  define(quorum);
  const KeyBlob made = must(QuorumKey::create(*device, quorum, KeyAlgorithm::ecdsa_p256));
  QuorumKey key = must(QuorumKey::load(*device, made, quorum));
  std::vector<Approval> given;
  for (unsigned i = 0; i < n; ++i) {
    const Officer& officer = quorum.officers[i];
    given.push_back(must(key.approve(officer.name, secret(pin(officer)), std::vector<crypto::Digest>{driver})));
  }
  const std::span<const Approval> all(given);
  ASSERT_OK(key.sign(driver, all.last(m)));
  ASSERT_OK(key.sign(driver, all.first(m)));
  ASSERT_OK(key.sign(driver, all));
  EXPECT_FALSE(key.sign(driver, all.last(m - 1)));
  EXPECT_FALSE(key.sign(driver, all.first(m - 1)));
}

INSTANTIATE_TEST_SUITE_P(Sizes, AnyQuorum,
                         testing::Values(std::pair(1U, 1U), std::pair(1U, 2U), std::pair(2U, 2U), std::pair(3U, 5U),
                                         std::pair(4U, 7U), std::pair(7U, 7U)),
                         [](const auto& size) {
                           return std::to_string(size.param.first) + "of" + std::to_string(size.param.second);
                         });

TEST_F(QuorumKeyTest, EveryThreeOfFiveSignAndNoTwoDo) {
  const Quorum five = quorum_of(3, 5);
  define(five);
  const KeyBlob made = must(QuorumKey::create(*device, five, KeyAlgorithm::ecdsa_p256));
  QuorumKey key = must(QuorumKey::load(*device, made, five));
  for (unsigned mask = 0; mask < 32; ++mask) {
    std::vector<Approval> given;
    for (unsigned i = 0; i < 5; ++i) {
      if ((mask >> i & 1U) == 0) continue;
      const Officer& officer = five.officers[i];
      given.push_back(must(key.approve(officer.name, secret(pin(officer)), std::vector<crypto::Digest>{driver})));
    }
    EXPECT_EQ(key.sign(driver, given).has_value(), given.size() >= 3) << mask;
  }
}

}  // namespace
}  // namespace tpm
