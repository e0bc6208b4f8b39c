// Officers' PINs: counted by the TPM, one officer at a time, across power cuts, and never on the bus in clear.
#include "tpm/officers.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "crypto/attest/owner_command.hpp"
#include "crypto/base/byte_writer.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/unit/tpm/custody_fixture.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

using base::Errc;

class Officers : public Custody {
 protected:
  Officers() { define(three); }
  const Officer& alice = three.officers[0];
  const Officer& bob = three.officers[1];
};

TEST_F(Officers, ProveThemselvesWithTheirPin) {
  ASSERT_OK(prove_officer(*device, alice, secret(pin(alice))));
  const OfficerState state = must(officer_state(*device, alice));
  EXPECT_EQ(state.tries_used, 0U);
  EXPECT_EQ(state.tries_left(), 5U);
  EXPECT_FALSE(state.blocked());
}

TEST_F(Officers, WrongPinsCountDownAndARightOneStartsAnew) {
  expect_error(prove_officer(*device, alice, secret(pin(bob))), Errc::refused, "PIN wrong, 4 tries left");
  expect_error(prove_officer(*device, alice, secret("000000")), Errc::refused, "PIN wrong, 3 tries left");
  EXPECT_EQ(must(officer_state(*device, alice)).tries_used, 2U);
  ASSERT_OK(prove_officer(*device, alice, secret(pin(alice))));
  EXPECT_EQ(must(officer_state(*device, alice)).tries_used, 0U);
}

TEST_F(Officers, FiveWrongPinsBlockOneOfficerUntilUnlockedThroughPowerCuts) {
  for (const char* left : {"4 tries", "3 tries", "2 tries", "1 try left", "no tries left; officer is blocked"})
    expect_error(prove_officer(*device, alice, secret("000000")), Errc::refused, left);
  expect_error(prove_officer(*device, alice, secret(pin(alice))), Errc::refused, "officer is blocked");
  close();
  swtpm.power_cut();
  reopen();
  EXPECT_TRUE(must(officer_state(*device, alice)).blocked());
  expect_error(prove_officer(*device, alice, secret(pin(alice))), Errc::refused, "administrators must unlock");
  ASSERT_OK(prove_officer(*device, bob, secret(pin(bob))));
  ASSERT_OK(unlock_officer(*device, alice));
  ASSERT_OK(prove_officer(*device, alice, secret(pin(alice))));
}

TEST_F(Officers, APowerCutAfterAWrongPinDoesNotGiveTheTryBack) {
  expect_error(prove_officer(*device, alice, secret("000000")), Errc::refused, "4 tries left");
  swtpm.power_cut();
  reopen();
  expect_error(prove_officer(*device, alice, secret("000000")), Errc::refused, "3 tries left");
}

TEST_F(Officers, WrongPinsAtApprovalCountOnceHoweverManyDigests) {
  const KeyBlob made = must(make_key(three, crypto::KeyAlgorithm::ecdsa_p256));
  QuorumKey key = must(load(made, three));
  const std::vector<crypto::Digest> both = {driver, other};
  for (const char* left : {"4 tries", "3 tries", "2 tries", "1 try left", "no tries left"})
    expect_error(key.approve(alice.name, secret("000000"), both), Errc::refused, left);
  expect_error(key.approve(alice.name, secret(pin(alice)), both), Errc::refused, "officer is blocked");
  ASSERT_OK(key.sign(driver, approvals(key, {1, 2}, both)));
}

TEST_F(Officers, CannotBeDefinedTwiceOrOutsideTheOwnersIndices) {
  expect_error(define_officer(*device, alice, secret("654321")), Errc::refused, "defined already");
  ASSERT_OK(prove_officer(*device, alice, secret(pin(alice))));
  expect_error(define_officer(*device, {"eve", 0x01C00002}, secret("654321")), Errc::usage, "0x01c00002");
  expect_error(define_officer(*device, {"eve", 0x0180000F}, secret("654321"), 0), Errc::usage, "limit of 0");
  expect_error(define_officer(*device, {"eve", 0x0180000F}, secret("65432")), Errc::usage, "PIN of 5 characters");
  expect_error(define_officer(*device, {"eve", 0x0180000F}, secret(std::string(33, '1'))), Errc::usage, "33 characters");
  expect_error(officer_state(*device, {"eve", 0x0180000F}), Errc::not_found, "index 0x0180000f");
}

TEST_F(Officers, GoWhenRemoved) {
  ASSERT_OK(remove_officer(*device, alice));
  expect_error(remove_officer(*device, alice), Errc::not_found, "0x01800001");
  expect_error(prove_officer(*device, alice, secret(pin(alice))), Errc::not_found, "0x01800001");
  ASSERT_OK(define_officer(*device, alice, secret("a new PIN")));
  ASSERT_OK(prove_officer(*device, alice, secret("a new PIN")));
}

TEST_F(Officers, AnIndexThatIsNotDefinedOurWayIsRefused) {
  // With OWNERREAD missing it would have another Name; here the index was defined but never armed.
  Context& context = device->context();
  TPM2B_NV_PUBLIC area{};
  area.nvPublic.nvIndex = 0x0180000F;
  area.nvPublic.nameAlg = TPM2_ALG_SHA256;
  area.nvPublic.attributes = attest::person_index(0x0180000F).attributes & ~attest::nv::kWritten;
  area.nvPublic.authPolicy = to_digest(attest::person_index(0x0180000F).policy);
  area.nvPublic.dataSize = attest::kPersonBytes;
  const TPM2B_AUTH empty{};
  ESYS_TR handle = ESYS_TR_NONE;
  ASSERT_EQ(Esys_NV_DefineSpace(context.esys(), ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &empty,
                                &area, &handle),
            TSS2_RC_SUCCESS);
  expect_error(officer_state(*device, {"eve", 0x0180000F}), Errc::refused, "not defined the way it must be");
  expect_error(prove_officer(*device, {"eve", 0x0180000F}, secret("654321")), Errc::refused, "not defined the way");
  ASSERT_OK(remove_officer(*device, {"eve", 0x0180000F}));
}

TEST_F(Officers, ErrorsLeaveNoSessionBehind) {
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(prove_officer(*device, alice, secret("000000")));
    EXPECT_FALSE(define_officer(*device, bob, secret("000000")));
    EXPECT_FALSE(officer_state(*device, {"eve", 0x0180000F}));
    EXPECT_EQ(must(device->loaded()), 0U);
  }
}

TEST_F(Officers, TheAuthorisationValueIsTheDocumentedOne) {
  // printf 'officer\x01\x80\x00\x01123456' | sha256sum
  const auto auth = must(officer_auth(alice, secret("123456")));
  EXPECT_EQ(base::as_text(auth.reveal()), std::string_view("3497a7179dc17993599f12247743c830"));
  EXPECT_NE(base::as_text(must(officer_auth(bob, secret("123456"))).reveal()), base::as_text(auth.reveal()));
}

bool contains(const base::Bytes& in, const std::string& what) {
  return std::search(in.begin(), in.end(), what.begin(), what.end()) != in.end();
}

// Somebody for whom administrators made an index: armed, and with the empty value until the first PIN is set.
void make_empty_index(Device& device, const Officer& officer) {
  const attest::NvPublic area = attest::person_index(officer.nv_index);
  must(run_as_owner(device, attest::OwnerCommand::define(area, "a new index")));
  must(run_as_owner(device, attest::OwnerCommand::write(attest::unwritten(area), base::ByteWriter().u32be(0).u32be(kPinTries).bytes(), "arm it")));
}

TEST_F(Officers, NeitherPinNorItsAuthorisationValueCrossesTheBus) {
  const tests::TempDir folder;
  const std::string capture = (folder / "bus.pcap").string();
  ASSERT_EQ(setenv("TCTI_PCAP_FILE", capture.c_str(), 1), 0);
  const Officer eve{"eve", 0x0180000F};
  const Officer dan{"dan", 0x0180000E};
  const std::string first = "S3CRET-PIN-112233";
  const std::string second = "AN0THER-PIN-445566";
  const std::string dans = "DANS-F1RST-778899";
  const auto value_of = [](const Officer& officer, const std::string& pin) {
    return std::string(base::as_text(must(officer_auth(officer, secret(pin))).reveal()));
  };
  close();
  {
    const auto tapped = must(Device::open("pcap:" + swtpm.tcti()));
    ASSERT_OK(define_officer(*tapped, eve, secret(first)));
    ASSERT_OK(prove_officer(*tapped, eve, secret(first)));
    ASSERT_FALSE(prove_officer(*tapped, eve, secret("000000")));
    const Quorum one{1, {eve}};
    world.set_roster(*tapped, 0, one);
    const FirmwareGate gate = must(FirmwareGate::load(*tapped, world.map(), *approved_firmware));
    const KeyBlob made = must(QuorumKey::create(*tapped, gate, 0, crypto::KeyAlgorithm::ecdsa_p256)).blob;
    QuorumKey key = must(QuorumKey::load(*tapped, gate, 0, made, one));
    ASSERT_OK(key.approve(eve.name, secret(first), std::vector<crypto::Digest>{driver}));
  }
  {
    // The later ones of a life: the new value crosses as a parameter.
    const std::string later = (folder / "later.pcap").string();
    ASSERT_EQ(setenv("TCTI_PCAP_FILE", later.c_str(), 1), 0);
    const auto tapped = must(Device::open("pcap:" + swtpm.tcti()));
    ASSERT_OK(change_pin(*tapped, eve, secret(first), secret(second)));
    ASSERT_FALSE(change_pin(*tapped, eve, secret("000000"), secret(first)));
    ASSERT_OK(prove_officer(*tapped, eve, secret(second)));
    make_empty_index(*tapped, dan);
    ASSERT_OK(set_first_pin(*tapped, dan, secret(dans)));
    ASSERT_OK(prove_officer(*tapped, dan, secret(dans)));
    for (const std::string& file : {capture, later}) {
      const base::Bytes crossed = tests::read_file(file);
      EXPECT_GT(crossed.size(), 1000U) << file;
      for (const auto& [officer, pin] : {std::pair(eve, first), std::pair(eve, second), std::pair(dan, dans)}) {
        EXPECT_FALSE(contains(crossed, value_of(officer, pin))) << pin << " in " << file;
        EXPECT_FALSE(contains(crossed, pin)) << pin << " in " << file;
      }
    }
    // The captures do show what crosses in clear: the same value, given away by a password session.
    const NvIndex index = must(NvIndex::open(tapped->context(), eve.nv_index));
    const base::SecretBytes auth = must(officer_auth(eve, secret(second)));
    const WithAuth with_auth(tapped->context(), index, auth);
    TPM2B_MAX_NV_BUFFER* read = nullptr;
    EXPECT_EQ(Esys_NV_Read(tapped->context().esys(), index.handle(), index.handle(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                           ESYS_TR_NONE, attest::kPersonBytes, 0, &read),
              TSS2_RC_SUCCESS);
    Esys_Free(read);
    EXPECT_TRUE(contains(tests::read_file(later), value_of(eve, second)));
  }
}

// Occurrences in this process's writable memory of a pattern that is given masked, so as not to be found itself.
constexpr std::uint8_t kMask = 0x5a;
std::size_t occurrences(const base::Bytes& masked) {
  std::ifstream maps("/proc/self/maps");
  std::ifstream memory("/proc/self/mem", std::ios::binary);
  std::size_t found = 0;
  for (std::string line; std::getline(maps, line);) {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    char rights[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &from, &to, rights) != 3 || std::string(rights) != "rw-p") continue;
    if (to - from > (256U << 20)) continue;
    base::Bytes bytes(to - from);
    memory.clear();
    memory.seekg(static_cast<std::streamoff>(from));
    if (!memory.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()))) continue;
    // By way of memchr, which stays fast in builds that check everything else.
    const std::uint8_t first = masked.front() ^ kMask;
    const std::uint8_t* at = bytes.data();
    const std::uint8_t* const end = bytes.data() + bytes.size();
    while ((at = static_cast<const std::uint8_t*>(std::memchr(at, first, static_cast<std::size_t>(end - at)))) != nullptr) {
      if (static_cast<std::size_t>(end - at) < masked.size()) break;
      std::size_t same = 1;
      while (same < masked.size() && at[same] == (masked[same] ^ kMask)) ++same;
      if (same == masked.size()) ++found;
      ++at;
    }
    base::wipe(bytes);
  }
  return found;
}

TEST_F(Officers, NoCopyOfAPinOrItsAuthorisationValueStaysInMemory) {
  const Officer eve{"eve", 0x0180000F};
  const Officer dan{"dan", 0x0180000E};
  const auto typed = [](const base::Bytes& masked) {   // never in the heap or on the stack as a whole
    base::SecretBytes pin(masked.size());
    for (std::size_t i = 0; i < pin.size(); ++i) pin.writable()[i] = masked[i] ^ kMask;
    return pin;
  };
  const base::Bytes first = {0x09, 0x6f, 0x1a, 0x2b, 0x0b, 0x7d, 0x11, 0x77, 0x38, 0x02};
  const base::Bytes second = {0x33, 0x0c, 0x69, 0x1f, 0x2e, 0x7a, 0x6b, 0x15, 0x0d, 0x28};
  const base::Bytes dans = {0x1e, 0x62, 0x3b, 0x14, 0x77, 0x08, 0x6d, 0x29, 0x12, 0x3f};
  std::vector<std::pair<std::string, base::Bytes>> sought = {{"first PIN", first}, {"second PIN", second}, {"dan's PIN", dans}};
  for (const auto& [officer, masked] : {std::pair(eve, first), std::pair(eve, second), std::pair(dan, dans)}) {
    const base::SecretBytes auth = must(officer_auth(officer, typed(masked)));
    base::Bytes masked_auth;
    for (const std::uint8_t byte : auth.reveal()) masked_auth.push_back(byte ^ kMask);
    EXPECT_EQ(occurrences(masked_auth), 1U);   // the search does find what is there
    sought.emplace_back("authorisation value number " + std::to_string(sought.size() - 2), masked_auth);
  }
  const auto expect_none = [&](const char* after) {
    for (const auto& [what, masked] : sought) EXPECT_EQ(occurrences(masked), 0U) << what << " after " << after;
  };
  expect_none("nothing");
  ASSERT_OK(define_officer(*device, eve, typed(first)));
  expect_none("define_officer");
  ASSERT_OK(prove_officer(*device, eve, typed(first)));
  expect_none("prove_officer");
  const Quorum one{1, {eve}};
  const KeyBlob own = must(make_key(one, crypto::KeyAlgorithm::ecdsa_p256));
  {
    QuorumKey eves = must(load(own, one));
    const auto approval = eves.approve(eve.name, typed(first), std::vector<crypto::Digest>{driver});
    ASSERT_OK(approval);
    expect_none("approve");
  }
  ASSERT_OK(change_pin(*device, eve, typed(first), typed(second)));
  expect_none("change_pin");
  ASSERT_FALSE(change_pin(*device, eve, typed(first), typed(second)));
  expect_none("change_pin with a wrong PIN");
  make_empty_index(*device, dan);
  ASSERT_OK(set_first_pin(*device, dan, typed(dans)));
  expect_none("set_first_pin");
  QuorumKey eves = must(load(own, one));
  swtpm.kill();
  EXPECT_FALSE(eves.approve(eve.name, typed(second), std::vector<crypto::Digest>{driver}));
  expect_none("approve without a TPM");
  EXPECT_FALSE(change_pin(*device, eve, typed(second), typed(first)));
  expect_none("change_pin without a TPM");
}

}  // namespace
}  // namespace tpm
