// The road to the TPM breaks, or somebody sits on it: nothing but the approved digest's signature ever comes out, nothing
// stays loaded, and the next request works.
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
    std::size_t still_loaded = 0;   // with the key gone; only looked at while the TPM can be reached
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
    outcome.signature = ask(*tapped);
    outcome.commands = transport.commands;
    outcome.faulted_command = transport.faulted_command;
    transport.fault_at = 0;
    transport.alter = {};
    outcome.still_loaded = tapped->loaded().value_or(0);
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
  std::unique_ptr<crypto::PublicKey> public_key;
};

class BrokenBus : public Bus, public testing::WithParamInterface<Fault> {};

TEST_P(BrokenBus, NoFaultAtAnyCommandReleasesAnythingButTheRightSignature) {
  const Outcome whole = request(Fault::none, 0);
  ASSERT_OK(whole.signature);
  ASSERT_GT(whole.commands, 20);
  int failed = 0;
  for (int at = 1; at <= whole.commands; ++at) {
    const Outcome outcome = request(GetParam(), at);
    if (!outcome.signature) {
      ++failed;
      continue;
    }
    EXPECT_TRUE(public_key->verify(driver, *outcome.signature)) << at;
    // Tidying up may go wrong without the request going wrong, and so may a garbled answer that nothing hangs on.
    if (GetParam() != Fault::garbled_answer) {
      EXPECT_TRUE(outcome.faulted_command == TPM2_CC_FlushContext || outcome.faulted_command == TPM2_CC_PolicySecret) << at;
    }
  }
  EXPECT_GT(failed, 8);
  const Outcome again = request(Fault::none, 0);
  ASSERT_OK(again.signature);
  EXPECT_EQ(again.still_loaded, 0U);
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
  const auto act = [&](std::uint64_t version, Fault fault, int at, int& commands) -> Result<void> {
    TamperingTransport transport(swtpm.tcti());
    const auto tapped = must(Device::open(must(Context::over(transport.context()))));
    transport.commands = 0;
    transport.fault = fault;
    transport.fault_at = at;
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
    transport.fault_at = 0;
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
    const std::uint8_t after = floor();
    EXPECT_TRUE(after == before || after == before + 1) << at;
    if (done) {
      EXPECT_EQ(after, before + 1) << at;
    } else {
      ++failed;
    }
  }
  EXPECT_GT(failed, 8);
  ASSERT_OK(act(200, Fault::none, 0, commands));
  EXPECT_EQ(floor(), 200);
}

std::string name_of_fault(const testing::TestParamInfo<Fault>& kind) {
  constexpr std::array kNames = {"None", "LostCommand", "LostAnswer", "GarbledAnswer", "ErrorAnswer"};
  return kNames[static_cast<std::size_t>(kind.param)];
}
INSTANTIATE_TEST_SUITE_P(Faults, BrokenBus,
                         testing::Values(Fault::lost_command, Fault::lost_answer, Fault::garbled_answer,
                                         Fault::error_answer),
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

TEST_F(Bus, LosingTheTpmInTheMiddleOfARequestSaysSo) {
  const Outcome outcome = request(Fault::lost_command, 9);
  expect_error(outcome.signature, Errc::tpm, "TPM not reachable");
}

}  // namespace
}  // namespace tpm
