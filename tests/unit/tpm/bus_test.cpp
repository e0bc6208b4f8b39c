// The road to the TPM breaks, or somebody sits on it: nothing but the approved digest's signature ever comes out, nothing
// stays loaded, and the next request works, whichever command it was.
#include <algorithm>
#include <array>

#include "crypto/base/byte_writer.hpp"
#include "crypto/keys/random.hpp"
#include "tests/unit/tpm/custody_fixture.hpp"
#include "tests/unit/tpm/tampering_transport.hpp"
#include "tpm/esys.hpp"

namespace tpm {
namespace {

using base::Errc;

class Bus : public Custody {
 protected:
  Bus() {
    { const QuorumKey made = key_of_three(); }
    close();
  }
  struct Outcome {
    bool opened = false;
    Result<Bytes> signature = base::fail(Errc::tpm, "not come so far");
    std::size_t still_loaded = 0;   // with everything of ours gone; none when the TPM was killed
    int commands = 0;
    std::uint32_t faulted_command = 0;
  };
  // One request of two officers, from loading the key to the signature, over a transport with a fault.
  Outcome request(Fault fault, int at, std::function<void(base::Bytes&)> alter = {}) {
    Outcome outcome;
    TamperingTransport transport(swtpm.tcti());
    auto tapped = must(Device::open(must(Context::over(transport.context()))));
    transport.commands = 0;
    transport.fault = fault;
    transport.fault_at = at;
    transport.alter = std::move(alter);
    transport.kill = [this] { swtpm.kill(); };
    outcome.signature = ask(*tapped);
    outcome.commands = transport.commands;
    outcome.faulted_command = transport.faulted_command;
    transport.fault_at = 0;
    transport.alter = {};
    tapped.reset();
    if (!swtpm.is_running()) swtpm.start();
    outcome.still_loaded = left_in_the_tpm();
    return outcome;
  }
  Result<Bytes> ask(Device& tapped) {
    const FirmwareGate gate = TRY(FirmwareGate::load(tapped, world.map(), *approved_firmware));
    auto key = TRY(QuorumKey::load(tapped, gate, 0, blob, three));
    const std::vector<crypto::Digest> digests = {driver};
    std::vector<Approval> given;
    for (const unsigned i : {2U, 0U}) {
      const Officer& officer = three.officers[i];
      auto approval = TRY(key.approve(officer.name, secret(pin(officer)), digests));
      given.push_back(std::move(approval));
    }
    auto signature = TRY(key.sign(driver, given));
    public_key = std::make_unique<crypto::PublicKey>(key.public_key());
    return signature;
  }
  // Sessions and transient objects, seen over a connection of its own: Device::open() would flush them.
  std::size_t left_in_the_tpm() {
    const auto context = must(Context::open(swtpm.tcti()));
    std::size_t count = 0;
    for (const TPM2_HANDLE first : {TPM2_LOADED_SESSION_FIRST, TPM2_TRANSIENT_FIRST}) {
      TPMI_YES_NO more = TPM2_NO;
      count += must(answer<TPMS_CAPABILITY_DATA>(Step::other, [&](TPMS_CAPABILITY_DATA** out) {
                 return Esys_GetCapability(context->esys(), kNone, kNone, kNone, TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES, &more, out);
               }))->data.handles.count;
    }
    return count;
  }
  std::unique_ptr<crypto::PublicKey> public_key;
};

class BrokenBus : public Bus, public testing::WithParamInterface<Fault> {
 protected:
  // What may be left in the TPM: at most the one thing whose handle stood in the answer that was lost or spoiled. Nobody can flush
  // that; the next Device::open() does.
  static std::size_t most_left(std::uint32_t faulted_command) {
    const bool names_a_handle = faulted_command == TPM2_CC_StartAuthSession || faulted_command == TPM2_CC_Load || faulted_command == TPM2_CC_LoadExternal;
    const bool spoiled = GetParam() == Fault::lost_answer || GetParam() == Fault::garbled_answer || GetParam() == Fault::error_answer ||
                         GetParam() == Fault::truncated_answer || GetParam() == Fault::replayed_answer;
    return names_a_handle && spoiled ? 1 : 0;
  }
};

TEST_P(BrokenBus, NoFaultAtAnyCommandReleasesAnythingButTheRightSignature) {
  const Outcome whole = request(Fault::none, 0);
  ASSERT_OK(whole.signature);
  ASSERT_GT(whole.commands, 20);
  int failed = 0;
  for (int at = 1; at <= whole.commands; ++at) {
    const Outcome outcome = request(GetParam(), at);
    EXPECT_LE(outcome.still_loaded, most_left(outcome.faulted_command)) << at << ": " << std::hex << outcome.faulted_command;
    const Outcome next = request(Fault::none, 0);
    ASSERT_OK(next.signature);
    EXPECT_TRUE(public_key->verify(driver, *next.signature)) << at;
    EXPECT_EQ(next.still_loaded, 0U) << at;
    if (!outcome.signature) {
      ++failed;
      continue;
    }
    EXPECT_TRUE(public_key->verify(driver, *outcome.signature)) << at;
    // Tidying up may go wrong without the request going wrong, and so may a garbled or repeated answer that nothing hangs on.
    if (GetParam() != Fault::garbled_answer && GetParam() != Fault::replayed_answer && GetParam() != Fault::delayed_answer &&
        GetParam() != Fault::truncated_answer) {
      EXPECT_TRUE(outcome.faulted_command == TPM2_CC_FlushContext || outcome.faulted_command == TPM2_CC_PolicySecret) << at;
    }
  }
  if (GetParam() == Fault::delayed_answer)
    EXPECT_EQ(failed, 0);   // late is not wrong
  else
    EXPECT_GT(failed, 8);
}

// An act of administrators over the same bus: the change is made as approved, or not at all.
TEST_P(BrokenBus, NoFaultAtAnyCommandMakesAnythingButTheApprovedChange) {
  device = must(Device::open(swtpm.tcti()));
  Quorum admins{2, {}};
  for (unsigned i = 0; i < 2; ++i) admins.officers.push_back({"admin-" + std::to_string(i), attest::kFirstAdministrator + i});
  define(admins);
  world.set_administrators(*device, admins);
  must(close_hierarchies(*device, keys::fill_random));
  device.reset();
  std::size_t left = 0;
  std::uint32_t faulted_command = 0;
  const auto act = [&](std::uint64_t version, Fault fault, int at, int& commands) -> Result<void> {
    TamperingTransport transport(swtpm.tcti());
    auto tapped = must(Device::open(must(Context::over(transport.context()))));
    transport.commands = 0;
    transport.fault = fault;
    transport.fault_at = at;
    transport.kill = [this] { swtpm.kill(); };
    const Result<void> done = [&]() -> Result<void> {
      Administration administration = TRY(Administration::load(*tapped, admins));
      const std::vector<attest::OwnerCommand> wanted = {
          attest::OwnerCommand::write(attest::floor_index(), base::ByteWriter().u64be(version).bytes(), "raise the floor")};
      std::vector<Approval> given;
      for (const Officer& admin : admins.officers) {
        Approval one = TRY(administration.approve(admin.name, secret(pin(admin)), wanted));
        given.push_back(std::move(one));
      }
      return administration.run(wanted.front(), given);
    }();
    commands = transport.commands;
    faulted_command = transport.faulted_command;
    transport.fault_at = 0;
    tapped.reset();
    if (!swtpm.is_running()) swtpm.start();
    left = left_in_the_tpm();
    return done;
  };
  const auto floor = [&] {
    const auto untouched = must(Device::open(swtpm.tcti()));
    return must(read_public_index(*untouched, attest::floor_index())).back();
  };
  int commands = 0;
  ASSERT_OK(act(1, Fault::none, 0, commands));
  ASSERT_GT(commands, 20);
  int failed = 0;
  for (int at = 1; at <= commands; ++at) {
    const std::uint8_t before = floor();
    int ignored = 0;
    const Result<void> done = act(before + 1U, GetParam(), at, ignored);
    EXPECT_LE(left, most_left(faulted_command)) << at << ": " << std::hex << faulted_command;
    const std::uint8_t after = floor();
    EXPECT_TRUE(after == before || after == before + 1) << at;
    if (done) {
      EXPECT_EQ(after, before + 1) << at;
    } else {
      ++failed;
    }
    ASSERT_OK(act(before + 1U, Fault::none, 0, ignored));   // the same administrators go on
    EXPECT_EQ(floor(), before + 1) << at;
    EXPECT_EQ(left, 0U) << at;
  }
  if (GetParam() == Fault::delayed_answer)
    EXPECT_EQ(failed, 0);
  else
    EXPECT_GT(failed, 8);
  ASSERT_OK(act(200, Fault::none, 0, commands));
  EXPECT_EQ(floor(), 200);
}

std::string name_of_fault(const testing::TestParamInfo<Fault>& kind) {
  constexpr std::array kNames = {"None", "LostCommand", "LostAnswer", "GarbledAnswer", "ErrorAnswer", "TruncatedAnswer", "DelayedAnswer", "ReplayedAnswer",
                                 "KilledBefore", "KilledAfter"};
  return kNames[static_cast<std::size_t>(kind.param)];
}
INSTANTIATE_TEST_SUITE_P(Faults, BrokenBus,
                         testing::Values(Fault::lost_command, Fault::lost_answer, Fault::garbled_answer,
                                         Fault::error_answer, Fault::truncated_answer, Fault::delayed_answer, Fault::replayed_answer,
                                         Fault::killed_before, Fault::killed_after),
                         name_of_fault);

// An interposer puts his own digest into TPM2_Sign.
TEST_F(Bus, AnInterposerCannotHaveHisOwnDigestSigned) {
  bool altered = false;
  const Outcome outcome = request(Fault::none, 0, [&](base::Bytes& command) {
    if (command_code(command) != TPM2_CC_Sign) return;
    const auto wanted = driver.bytes();
    const auto at = std::search(command.begin(), command.end(), wanted.begin(), wanted.end());
    ASSERT_NE(at, command.end());
    std::copy(other.bytes().begin(), other.bytes().end(), at);
    altered = true;
  });
  EXPECT_TRUE(altered);
  expect_error(outcome.signature, Errc::refused, "approvals are not for this file and key");
  EXPECT_EQ(outcome.still_loaded, 0U);
}

// He puts another cpHash into an officer's PolicySecret. The TPM cannot tell that from a wrong PIN; no ticket results.
TEST_F(Bus, AnInterposerCannotHaveAnOfficerApproveAnotherDigest) {
  int altered = 0;
  const Outcome outcome = request(Fault::none, 0, [&](base::Bytes& command) {
    if (command_code(command) != TPM2_CC_PolicySecret || altered++ != 0) return;
    command[command.size() - 20] ^= 1;   // inside cpHashA: 2 bytes of policyRef and 4 of expiration follow it
  });
  EXPECT_GE(altered, 1);
  expect_error(outcome.signature, Errc::refused, "PIN wrong, 4 tries left");
  EXPECT_EQ(outcome.still_loaded, 0U);
}

// A chip has room for three.
TEST_F(Bus, AtMostThreeSessionsAreLoadedAtAnyCommandOfARequest) {
  int loaded = 0;
  int most = 0;
  int started = 0;
  const Outcome outcome = request(Fault::none, 0, [&](base::Bytes& command) {
    const std::uint32_t code = command_code(command);
    if (code == TPM2_CC_StartAuthSession) {
      ++started;
      most = std::max(most, ++loaded);
    }
    if (code != TPM2_CC_FlushContext) return;
    const std::uint8_t kind = command.at(10);   // the handle's first octet: an HMAC or a policy session
    if (kind == TPM2_HT_HMAC_SESSION || kind == TPM2_HT_POLICY_SESSION) --loaded;
  });
  ASSERT_OK(outcome.signature);
  EXPECT_GE(started, 4);
  EXPECT_EQ(most, 3);
  EXPECT_EQ(loaded, 0);
}

// The probe at the start: a TPM that cannot hold the promises is refused, and told which it cannot.
class StartUpProbe : public Bus {
 protected:
  // With every answer to that command, which the test may change.
  std::string complaint(std::uint32_t command, const std::function<void(base::Bytes&)>& change) {
    TamperingTransport transport(swtpm.tcti());
    bool changed = false;
    transport.alter_answer = [&](std::uint32_t code, base::Bytes& answer) {
      if (code != command) return;
      const base::Bytes before = answer;
      change(answer);
      changed = changed || answer != before;
    };
    const auto opened = Device::open(must(Context::over(transport.context())));
    if (!opened) {
      EXPECT_TRUE(changed);
      return opened.error().text();
    }
    const auto found = objections(**opened, attest::Mode::development);
    EXPECT_TRUE(changed);
    if (!found) return found.error().text();
    return found->empty() ? "" : found->front();
  }
  static base::Bytes refused_with(std::uint32_t code) { return base::ByteWriter().u16be(0x8001).u32be(10).u32be(code).bytes(); }
  // Replaces bytes that stand there.
  static void replace(base::Bytes& answer, const base::Bytes& from, const base::Bytes& to) {
    const auto at = std::search(answer.begin(), answer.end(), from.begin(), from.end());
    if (at != answer.end()) std::copy(to.begin(), to.end(), at);
  }
};

TEST_F(StartUpProbe, SaysWhatATpmLacks) {
  const auto property = [](std::uint32_t which) { return base::ByteWriter().u32be(TPM2_CAP_TPM_PROPERTIES).u32be(1).u32be(which).bytes(); };
  EXPECT_NE(complaint(TPM2_CC_GetCapability, [&](base::Bytes& answer) {
              const base::Bytes head = property(TPM2_PT_REVISION);
              const auto at = std::search(answer.begin(), answer.end(), head.begin(), head.end());
              if (at == answer.end()) return;
              const base::Bytes old = base::ByteWriter().u32be(116).bytes();
              std::copy(old.begin(), old.end(), at + static_cast<std::ptrdiff_t>(head.size()));
            }).find("TPM of library revision 1.16; 1.38 or later wanted"), std::string::npos);
  EXPECT_NE(complaint(TPM2_CC_GetCapability, [&](base::Bytes& answer) {   // the next command in its list instead
              replace(answer, base::ByteWriter().u32be(TPM2_CAP_COMMANDS).u32be(1).bytes(), base::ByteWriter().u32be(TPM2_CAP_COMMANDS).u32be(0).bytes());
            }).find("TPM has no PolicyAuthorizeNV"), std::string::npos);
  EXPECT_NE(complaint(TPM2_CC_GetCapability, [&](base::Bytes& answer) {
              const base::Bytes head = base::ByteWriter().u32be(TPM2_CAP_PCRS).bytes();
              if (std::search(answer.begin(), answer.end(), head.begin(), head.end()) == answer.end()) return;
              const base::Bytes bank = {0x00, 0x0B, 0x03, 0xff};
              replace(answer, bank, {0x00, 0x0B, 0x03, 0x00});   // allocated, with no PCR in it
            }).find("TPM has no SHA-256 PCR bank"), std::string::npos);
  EXPECT_NE(complaint(TPM2_CC_TestParms, [&](base::Bytes& answer) { answer = refused_with(0x2c4); }).find("RSA-3072: key type not supported by this TPM"),
            std::string::npos);
  EXPECT_NE(complaint(TPM2_CC_GetCapability, [&](base::Bytes& answer) {
              for (const auto& [which, value] : {std::pair<std::uint32_t, std::uint32_t>{TPM2_PT_MANUFACTURER, 0x49465800}, {TPM2_PT_FIRMWARE_VERSION_1, 0x0007003D}}) {
                const base::Bytes head = property(which);
                const auto at = std::search(answer.begin(), answer.end(), head.begin(), head.end());
                const base::Bytes said = base::ByteWriter().u32be(value).bytes();
                if (at != answer.end()) std::copy(said.begin(), said.end(), at + static_cast<std::ptrdiff_t>(head.size()));
              }
            }).find("ROCA"), std::string::npos);
  EXPECT_NE(complaint(TPM2_CC_NV_DefineSpace, [&](base::Bytes& answer) { answer = refused_with(0x182); }).find("does not make PIN_FAIL indices"),
            std::string::npos);
}

TEST_F(Bus, LosingTheTpmInTheMiddleOfARequestSaysSo) {
  const Outcome outcome = request(Fault::lost_command, 9);
  expect_error(outcome.signature, Errc::tpm, "TPM not reachable");
}

}  // namespace
}  // namespace tpm
