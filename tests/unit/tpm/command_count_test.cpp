// How many commands of the TPM a signature takes: as many as docs/custody.md section 10 says. On a chip each costs its time, and
// one more for every digest of a large request is one that somebody must have wanted.
#include "tests/unit/tpm/custody_fixture.hpp"
#include "tests/unit/tpm/tampering_transport.hpp"

namespace tpm {
namespace {

struct Cost {
  unsigned m, n;
  int first;     // of a request of one digest, its PIN entries included
  int further;   // each further digest of the request
};

class CommandCount : public Custody, public testing::WithParamInterface<Cost> {};

TEST_P(CommandCount, OfASignatureIsTheDocumentedOne) {
  const auto [m, n, first, further] = GetParam();
  const Quorum quorum = quorum_of(m, n);
  define(quorum);
  const KeyBlob made = must(make_key(quorum, crypto::KeyAlgorithm::ecdsa_p256));
  close();
  TamperingTransport transport(swtpm.tcti());
  device = must(Device::open(must(Context::over(transport.context()))));
  {
    const FirmwareGate gate = must(FirmwareGate::load(*device, world.map(), *approved_firmware));
    QuorumKey key = must(QuorumKey::load(*device, gate, 0, made, quorum));
    const auto commands_for = [&](int digests) {
      std::vector<crypto::Digest> files;
      for (int i = 0; i < digests; ++i) files.push_back(digest("file " + std::to_string(i)));
      transport.commands = 0;
      std::vector<Approval> given;
      for (unsigned i = 0; i < m; ++i) given.push_back(must(key.approve(quorum.officers[i].name, secret(pin(quorum.officers[i])), files)));
      for (const crypto::Digest& file : files) must(key.sign(file, given));
      return transport.commands;
    };
    // The very first one reads the clock twice for a ticket and twice for a signature, and so learns the TPM's pace; and it has no
    // session of the one before to flush.
    EXPECT_EQ(commands_for(1), first + 3);
    EXPECT_EQ(commands_for(1), first);
    EXPECT_EQ(commands_for(11) - first, 10 * further);
  }
  device.reset();   // before the transport that it speaks over
}
INSTANTIATE_TEST_SUITE_P(Quorums, CommandCount, testing::Values(Cost{2, 3, 34, 20}, Cost{3, 5, 44, 24}, Cost{4, 7, 53, 27}),
                         [](const auto& cost) { return std::to_string(cost.param.m) + "of" + std::to_string(cost.param.n); });

}  // namespace
}  // namespace tpm
