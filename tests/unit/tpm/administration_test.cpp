// Administrators: m of n of them, command by command, counted by the TPM; and nobody else once the hierarchies are closed.
#include "tpm/administration.hpp"

#include <fmt/format.h>

#include "crypto/base/byte_writer.hpp"
#include "crypto/keys/random.hpp"
#include "tests/unit/tpm/custody_fixture.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

using attest::OwnerCommand;
using base::Errc;

class AdministrationTest : public Custody {
 protected:
  AdministrationTest() {
    for (unsigned i = 0; i < 3; ++i) admins.officers.push_back({"admin-" + std::to_string(i), attest::kFirstAdministrator + i});
    define(admins);
    define(three);
    world.set_administrators(*device, admins);
    blob = must(make_key(three, crypto::KeyAlgorithm::ecdsa_p256));
    must(establish(*device, attest::baseline_index(), Bytes(attest::kBaselineBytes, 0)));
    must(close_hierarchies(*device, keys::fill_random));
    reopen();
  }
  Result<void> act(const Quorum& quorum, std::initializer_list<unsigned> who, const std::vector<OwnerCommand>& commands) {
    Administration administration = TRY(Administration::load(*device, quorum));
    std::vector<Approval> given;
    for (const unsigned i : who) {
      const Officer& admin = quorum.officers.at(i);
      Approval one = TRY(administration.approve(admin.name, secret(pin(admin)), commands));
      given.push_back(std::move(one));
    }
    for (const OwnerCommand& command : commands) TRY(administration.run(command, given));
    return {};
  }
  static OwnerCommand floor(std::uint64_t version) {
    return OwnerCommand::write(attest::floor_index(), base::ByteWriter().u64be(version).bytes(), "raise the floor");
  }
  Bytes content(const attest::NvPublic& area) { return must(read_index(device->context(), area)); }

  Quorum admins{2, {}};
};

TEST_F(AdministrationTest, TheHierarchiesAreClosedToEverybodyElse) {
  ASSERT_OK(expect_closed(*device));
  expect_error(run_as_owner(*device, floor(9)), Errc::tpm, "did not accept an authorisation (0x0a2)");
  expect_error(define_officer(*device, {"eve", 0x0180000F}, secret("123456")), Errc::tpm, "0x0a2");
  expect_error(remove_officer(*device, three.officers[0]), Errc::tpm, "0x0a2");
  expect_error(unlock_officer(*device, three.officers[0]), Errc::tpm, "0x0a2");
  EXPECT_EQ(content(attest::floor_index()).back(), 1);
  expect_error(expect_empty(*device), Errc::refused, "has a password already");
  must(close_hierarchies(*device, keys::fill_random));   // once more changes nothing
  ASSERT_OK(expect_closed(*device));
}

TEST_F(AdministrationTest, AnOpenOwnerIsNoticed) {
  tests::Swtpm fresh;
  const auto open = must(Device::open(fresh.tcti()));
  ASSERT_OK(expect_empty(*open));
  // What a power cut leaves of the trial of PIN_FAIL does not count.
  attest::NvPublic probe = attest::person_index(attest::kFirstOfficer);
  probe.index = 0x018000FE;
  must(run_as_owner(*open, OwnerCommand::define(probe, "an interrupted trial")));
  ASSERT_OK(expect_empty(*open));
  expect_error(expect_closed(*open), Errc::refused, "owner hierarchy is open");
  must(make_identity_keys(*open));
  expect_error(expect_empty(*open), Errc::refused, "not empty");
  must(establish(*open, attest::floor_index(), Bytes(8, 0)));
  expect_error(expect_empty(*open), Errc::refused, "index 0x01800020");
}

// An index or a key of somebody's, wherever it lies; nobody's rule says that owners keep to their range.
TEST_F(AdministrationTest, AnOwnersIndexOrKeyAnywhereMakesATpmNotEmptyAndThatOfTheMachineIsTold) {
  tests::Swtpm fresh;
  const auto open = must(Device::open(fresh.tcti()));
  ESYS_CONTEXT* const esys = open->context().esys();
  EXPECT_TRUE(must(expect_empty(*open)).empty());
  const TPM2B_AUTH empty{};
  const auto index = [&](ESYS_TR hierarchy, std::uint32_t at) {
    TPM2B_NV_PUBLIC area{};
    const bool platform = hierarchy == ESYS_TR_RH_PLATFORM;
    area.nvPublic = {at, TPM2_ALG_SHA256, platform ? TPMA_NV_PPWRITE | TPMA_NV_PPREAD | TPMA_NV_PLATFORMCREATE : TPMA_NV_OWNERWRITE | TPMA_NV_OWNERREAD, {}, 8};
    ESYS_TR handle = kNone;
    base::require(Esys_NV_DefineSpace(esys, hierarchy, ESYS_TR_PASSWORD, kNone, kNone, &empty, &area, &handle) == TSS2_RC_SUCCESS, "no index");
    return NvIndex(open->context(), handle);
  };
  const auto remove = [&](ESYS_TR hierarchy, NvIndex& defined) {
    base::require(Esys_NV_UndefineSpace(esys, hierarchy, defined.handle(), ESYS_TR_PASSWORD, kNone, kNone) == TSS2_RC_SUCCESS, "not removed");
    defined.forget();
  };
  for (const std::uint32_t at : {0x01000001U, 0x01400001U, 0x01C10102U, 0x01D10200U}) {
    NvIndex defined = index(ESYS_TR_RH_OWNER, at);
    expect_error(expect_empty(*open), Errc::refused, fmt::format("index {:#010x} is defined", at).c_str());
    remove(ESYS_TR_RH_OWNER, defined);
  }
  NvIndex in_our_range = index(ESYS_TR_RH_PLATFORM, 0x01800077);
  expect_error(expect_empty(*open), Errc::refused, "index 0x01800077");
  remove(ESYS_TR_RH_PLATFORM, in_our_range);
  const NvIndex of_the_machine = index(ESYS_TR_RH_PLATFORM, 0x01400001);
  const NvIndex certificate = index(ESYS_TR_RH_PLATFORM, 0x01C0000A);   // the place of an endorsement certificate
  EXPECT_EQ(must(expect_empty(*open)), std::vector<std::string>{"index 0x01400001"});

  TPM2B_PUBLIC form{};
  form.publicArea.type = TPM2_ALG_KEYEDHASH;
  form.publicArea.nameAlg = TPM2_ALG_SHA256;
  form.publicArea.objectAttributes = TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH;
  form.publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_HMAC;
  form.publicArea.parameters.keyedHashDetail.scheme.details.hmac.hashAlg = TPM2_ALG_SHA256;
  const auto keep_key = [&](ESYS_TR hierarchy, TPM2_HANDLE at) {
    const TPM2B_SENSITIVE_CREATE secret_part{};
    const TPML_PCR_SELECTION no_pcr{};
    const TPM2B_DATA nothing{};
    ESYS_TR made = kNone;
    ESYS_TR kept = kNone;
    base::require(Esys_CreatePrimary(esys, hierarchy, ESYS_TR_PASSWORD, kNone, kNone, &secret_part, &form, &nothing, &no_pcr, &made, nullptr, nullptr,
                                     nullptr, nullptr) == TSS2_RC_SUCCESS, "no key");
    const Loaded loaded(open->context(), made);
    base::require(Esys_EvictControl(esys, hierarchy, made, ESYS_TR_PASSWORD, kNone, kNone, at, &kept) == TSS2_RC_SUCCESS, "key not kept");
    (void)Esys_TR_Close(esys, &kept);
  };
  keep_key(ESYS_TR_RH_PLATFORM, 0x81800001);
  EXPECT_EQ(must(expect_empty(*open)), (std::vector<std::string>{"index 0x01400001", "key 0x81800001"}));
  keep_key(ESYS_TR_RH_OWNER, 0x81000005);
  expect_error(expect_empty(*open), Errc::refused, "it holds a key at 0x81000005");
}

TEST_F(AdministrationTest, AnyTwoOfThreeRaiseTheFloorAndOneDoesNot) {
  ASSERT_OK(act(admins, {0, 1}, {floor(2)}));
  ASSERT_OK(act(admins, {2, 0}, {floor(3)}));
  ASSERT_OK(act(admins, {1, 2}, {floor(4)}));
  EXPECT_EQ(content(attest::floor_index()).back(), 4);
  for (const unsigned i : {0U, 1U, 2U}) expect_error(act(admins, {i}, {floor(9)}), Errc::refused, "not enough, or not these");
  expect_error(act(admins, {1, 1}, {floor(9)}), Errc::refused, "not enough, or not these");
  EXPECT_EQ(content(attest::floor_index()).back(), 4);
  EXPECT_EQ(must(device->loaded()), 0U);
}

TEST_F(AdministrationTest, AnApprovalIsForOneExactCommand) {
  Administration administration = must(Administration::load(*device, admins));
  const std::vector<OwnerCommand> asked = {floor(2)};
  std::vector<Approval> given;
  for (const unsigned i : {0U, 1U})
    given.push_back(must(administration.approve(admins.officers[i].name, secret(pin(admins.officers[i])), asked)));
  expect_error(administration.run(floor(3), given), Errc::refused, "not enough");
  expect_error(administration.run(OwnerCommand::write(attest::config_index(), Bytes(32, 1), "change the configuration"), given),
               Errc::refused, "not enough");
  expect_error(administration.run(OwnerCommand::undefine(attest::floor_index(), "remove"), given), Errc::refused, "not enough");
  // And by the TPM, when the tickets for one command open a session that is used for another.
  Context& context = device->context();
  const auto tree = must(tree_of(admins));
  const crypto::Digest bound = asked.front().cp_hash();
  std::vector<Ticket> tickets;
  for (const unsigned i : {0U, 1U}) {
    const auto entry = must(PinEntry::open(*device, admins.officers[i], secret(pin(admins.officers[i]))));
    tickets.push_back(must(entry->ticket(bound, kApprovalLifetime)));
  }
  const NvIndex roster = must(NvIndex::open(context, attest::administrators_index()));
  const NvIndex index = must(NvIndex::open(context, attest::floor_index()));
  const auto write = [&](std::uint64_t version, attest::CommandCode command) -> Result<void> {
    const Loaded session = TRY(policy_session(context));
    TRY(satisfy_quorum(context, session, tree, admins.officers, {&tickets[0], &tickets[1], nullptr}, bound));
    TRY(policy_command(context, session, command));
    for (const auto& list : attest::owner_tree(tree).path(attest::owner_position(command))) TRY(policy_or(context, session, list));
    TRY(policy_roster(context, session, roster));
    const Bytes bytes = base::ByteWriter().u64be(version).bytes();
    const TPM2B_MAX_NV_BUFFER data = to_nv_buffer(bytes);
    return check(Esys_NV_Write(context.esys(), ESYS_TR_RH_OWNER, index.handle(), session.handle(), ESYS_TR_NONE, ESYS_TR_NONE, &data, 0),
                 Step::nv);
  };
  expect_error(write(3, attest::CommandCode::nv_write), Errc::refused, "approvals are not for this change");
  expect_error(write(2, attest::CommandCode::clear), Errc::refused, "");
  ASSERT_OK(write(2, attest::CommandCode::nv_write));
  EXPECT_EQ(content(attest::floor_index()).back(), 2);
}

TEST_F(AdministrationTest, OfficersAreNotAdministrators) {
  Quorum pretended{2, three.officers};
  expect_error(Administration::load(*device, pretended), Errc::mismatch, "administrators' roster in the TPM is not");
  Administration administration = must(Administration::load(*device, admins));
  const std::vector<OwnerCommand> asked = {floor(2)};
  expect_error(administration.approve("officer-0", secret(pin(three.officers[0])), asked), Errc::not_found, "no administrator");
  expect_error(administration.approve("admin-0", secret("wrong pin"), asked), Errc::refused, "PIN wrong, 4 tries left");
  expect_error(administration.approve("admin-0", secret(pin(admins.officers[0])), {}), Errc::usage, "0 commands");
}

TEST_F(AdministrationTest, EnrolAndRevokeWithoutANewKey) {
  const Officer dan{"dan", attest::kFirstOfficer + 3};
  const attest::NvPublic area = attest::person_index(dan.nv_index);
  const Bytes armed = base::ByteWriter().u32be(0).u32be(kPinTries).bytes();
  Quorum after = three;
  after.officers[0] = dan;   // officer-0 leaves
  ASSERT_OK(act(admins, {0, 2}, {OwnerCommand::define(area, "dan's index"), OwnerCommand::write(attest::unwritten(area), armed, "arm it")}));
  ASSERT_OK(set_first_pin(*device, dan, secret(pin(dan))));
  expect_error(set_first_pin(*device, dan, secret("another")), Errc::refused, "somebody else has set one");
  ASSERT_OK(act(admins, {1, 2}, {OwnerCommand::write(attest::roster_index(0), attest::roster_bytes(must(tree_of(after)).digest()), "roster")}));
  {
    QuorumKey key = must(load(blob, after));
    ASSERT_OK(key.sign(driver, approvals(key, {0, 1}, {driver})));
  }
  expect_error(load(blob, three), Errc::mismatch, "roster");
  ASSERT_OK(act(admins, {0, 1}, {OwnerCommand::undefine(attest::person_index(three.officers[0].nv_index), "officer-0's index")}));
  expect_error(prove_officer(*device, three.officers[0], secret(pin(three.officers[0]))), Errc::not_found, "0x01800001");
}

TEST_F(AdministrationTest, UnlockABlockedOfficerWithoutLearningThePin) {
  const Officer& alice = three.officers[0];
  for (unsigned i = 0; i < kPinTries; ++i) EXPECT_FALSE(prove_officer(*device, alice, secret("000000")));
  expect_error(prove_officer(*device, alice, secret(pin(alice))), Errc::refused, "officer is blocked");
  ASSERT_OK(act(admins, {1, 0}, {OwnerCommand::write(attest::person_index(alice.nv_index),
                                                     base::ByteWriter().u32be(0).u32be(kPinTries).bytes(), "unlock alice")}));
  ASSERT_OK(prove_officer(*device, alice, secret(pin(alice))));
}

TEST_F(AdministrationTest, AReplacedAdministratorIsOutAtOnce) {
  const Officer eva{"eva", attest::kFirstAdministrator + 5};
  const attest::NvPublic area = attest::person_index(eva.nv_index);
  Quorum after = admins;
  after.officers[2] = eva;
  ASSERT_OK(act(admins, {0, 1}, {OwnerCommand::define(area, "eva's index"),
                                 OwnerCommand::write(attest::unwritten(area), base::ByteWriter().u32be(0).u32be(kPinTries).bytes(), "arm it")}));
  ASSERT_OK(set_first_pin(*device, eva, secret(pin(eva))));
  ASSERT_OK(act(admins, {0, 1}, {OwnerCommand::write(attest::administrators_index(),
                                                     attest::roster_bytes(attest::owner_roster(must(tree_of(after)))), "administrators")}));
  expect_error(act(admins, {0, 2}, {floor(9)}), Errc::mismatch, "administrators' roster");
  ASSERT_OK(act(after, {0, 2}, {floor(5)}));
}

TEST_F(AdministrationTest, SetTheClockForwardResetLockoutAndWipe) {
  ASSERT_OK(act(admins, {0, 1}, {OwnerCommand::set_clock(std::uint64_t{1} << 41, "set the clock"), OwnerCommand::reset_lockout("reset lockout")}));
  expect_error(act(admins, {0}, {OwnerCommand::clear("wipe")}), Errc::refused, "not enough");
  ASSERT_OK(act(admins, {2, 1}, {OwnerCommand::clear("wipe")}));
  firmware.reset();
  expect_error(prove_officer(*device, three.officers[1], secret("123456")), Errc::not_found, "");
  close();
  swtpm.power_cut();
  device = must(Device::open(swtpm.tcti()));   // with a new storage root key: the blobs are dead
  ASSERT_OK(expect_empty(*device));
  world.found(*device);
  world.set_roster(*device, 0, three);
  firmware.emplace(must(FirmwareGate::load(*device, world.map(), *approved_firmware)));
  expect_error(load(blob, three), Errc::refused, "key blob belongs to another TPM");
}

TEST_F(AdministrationTest, EveryPersonChangesTheOwnPinAndNoOther) {
  const Officer& alice = three.officers[0];
  const Officer& admin = admins.officers[1];
  ASSERT_OK(change_pin(*device, alice, secret(pin(alice)), secret("a new PIN")));
  ASSERT_OK(change_pin(*device, admin, secret(pin(admin)), secret("a new PIN")));
  expect_error(prove_officer(*device, alice, secret(pin(alice))), Errc::refused, "PIN wrong");
  ASSERT_OK(prove_officer(*device, alice, secret("a new PIN")));
  ASSERT_OK(prove_officer(*device, admin, secret("a new PIN")));
  EXPECT_EQ(must(device->loaded()), 0U);
  // Changing is no oracle: wrong old PINs count like any others.
  for (const char* left : {"4 tries", "3 tries", "2 tries", "1 try", "no tries left"})
    expect_error(change_pin(*device, alice, secret("000000"), secret("mallory")), Errc::refused, left);
  expect_error(change_pin(*device, alice, secret("a new PIN"), secret("mallory")), Errc::refused, "officer is blocked");
  expect_error(change_pin(*device, admin, secret("a new PIN"), secret("short")), Errc::usage, "PIN of 5");
}

TEST_F(AdministrationTest, ThePlainWayToGuessPinsIsShut) {
  // PolicyAuthValue with the command code: what a PIN_FAIL index does not count.
  Context& context = device->context();
  const Officer& alice = three.officers[0];
  const NvIndex index = must(NvIndex::open(context, attest::person_index(alice.nv_index)));
  const Loaded session = must(policy_session(context));
  ASSERT_OK(policy_auth_value(context, session));
  ASSERT_OK(policy_command(context, session, attest::CommandCode::nv_change_auth));
  const base::SecretBytes right = must(officer_auth(alice, secret(pin(alice))));
  const WithAuth with_auth(context, index, right);
  const TPM2B_AUTH value{};
  const TSS2_RC code = Esys_NV_ChangeAuth(context.esys(), index.handle(), session.handle(), ESYS_TR_NONE, ESYS_TR_NONE, &value);
  EXPECT_EQ(tpm_error(code), TPM2_RC_POLICY_FAIL) << std::hex << code;
}

}  // namespace
}  // namespace tpm
