// What the gates cost: TPM commands per signature, and signatures per second under one approval, held against the bare
// Esys_Sign of the same RSA-3072 key size on the same software TPM. Run by hand:  custody-speed [DIGESTS]
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "tests/support/results.hpp"
#include "tests/support/swtpm.hpp"
#include "tests/support/tpm_world.hpp"
#include "tests/unit/tpm/tampering_transport.hpp"
#include "tpm/esys.hpp"
#include "tpm/key_objects.hpp"
#include "tpm/officers.hpp"

namespace {

using Seconds = std::chrono::duration<double>;
using Clock = std::chrono::steady_clock;
using tests::must;

base::SecretBytes pin() { return base::SecretBytes::copy_of(base::as_bytes("123456")); }

// Signatures per second of a key without a policy, in one password session.
double bare(tpm::Device& device, int count) {
  tpm::Context& context = device.context();
  const tpm::NewKey made = must(tpm::create_key(
      context, {crypto::KeyAlgorithm::rsa_pkcs1, tpm::kQuorumKeyAttributes | attest::object::kUserWithAuth, {}}));
  const tpm::LoadedKey key =
      must(tpm::load_key(context, made.blob, tpm::kQuorumKeyAttributes | attest::object::kUserWithAuth, {}));
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = TPM2_ALG_RSASSA;
  scheme.details.any.hashAlg = TPM2_ALG_SHA256;
  TPMT_TK_HASHCHECK ticket{};
  ticket.tag = TPM2_ST_HASHCHECK;
  ticket.hierarchy = TPM2_RH_NULL;
  const TPM2B_DIGEST digest = tpm::to_digest(crypto::sha256(base::as_bytes("x")).bytes());
  const auto started = Clock::now();
  for (int i = 0; i < count; ++i) {
    TPMT_SIGNATURE* signature = nullptr;
    base::require(Esys_Sign(context.esys(), key.object.handle(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &digest, &scheme, &ticket,
                            &signature) == TSS2_RC_SUCCESS, "Esys_Sign");
    Esys_Free(signature);
  }
  return count / Seconds(Clock::now() - started).count();
}

struct Measured {
  int first = 0;        // commands of the first signature, its PIN entries included
  double further = 0;   // of each further one
  double per_second = 0;   // PIN entries included
  std::map<std::uint32_t, int> by_command;
};

Measured measure(tests::TpmWorld& world, const std::string& tcti, const tpm::FirmwareApproval& approval, unsigned m, unsigned n, int count) {
  tpm::TamperingTransport transport(tcti);
  const auto device = must(tpm::Device::open(must(tpm::Context::over(transport.context()))));
  tpm::Quorum quorum{m, {}};
  for (unsigned i = 0; i < n; ++i) quorum.officers.push_back({"officer-" + std::to_string(i), attest::kFirstOfficer + i});
  for (const tpm::Officer& officer : quorum.officers)
    if (!tpm::officer_state(*device, officer)) must(tpm::define_officer(*device, officer, pin()));
  world.set_roster(*device, 0, quorum);
  const tpm::FirmwareGate gate = must(tpm::FirmwareGate::load(*device, world.map(), approval));
  const tpm::KeyBlob blob = must(tpm::QuorumKey::create(*device, gate, 0, crypto::KeyAlgorithm::rsa_pkcs1)).blob;
  tpm::QuorumKey key = must(tpm::QuorumKey::load(*device, gate, 0, blob, quorum));

  Measured measured;
  const auto run = [&](int digests) {
    std::vector<crypto::Digest> files;
    for (int i = 0; i < digests; ++i) files.push_back(crypto::sha256(base::as_bytes("file " + std::to_string(i))));
    std::vector<tpm::Approval> approvals;
    for (unsigned i = 0; i < m; ++i) approvals.push_back(must(key.approve(quorum.officers[i].name, pin(), files)));
    for (const crypto::Digest& file : files) must(key.sign(file, approvals));
  };
  run(1);   // the pace is measured with it
  transport.commands = 0;
  run(1);
  measured.first = transport.commands;
  transport.commands = 0;
  transport.alter = [&](base::Bytes& command) { ++measured.by_command[tpm::command_code(command)]; };
  const auto started = Clock::now();
  run(count);
  measured.per_second = count / Seconds(Clock::now() - started).count();
  measured.further = static_cast<double>(transport.commands - measured.first) / (count - 1);
  return measured;
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::max(2, std::atoi(argv[1])) : 200;
  const tests::Swtpm swtpm;
  tests::TpmWorld world;
  double plain = 0;
  std::optional<tpm::FirmwareApproval> approval;
  {
    const auto device = must(tpm::Device::open(swtpm.tcti()));
    world.found(*device);
    approval = world.approve(*device, 1);
    plain = bare(*device, count);
  }
  fmt::print("bare Esys_Sign, RSA-3072: {:.1f} signatures a second\n", plain);
  for (const auto& [m, n] : {std::pair(2U, 3U), std::pair(3U, 5U), std::pair(4U, 7U)}) {
    const Measured measured = measure(world, swtpm.tcti(), *approval, m, n, count);
    fmt::print("{} of {}: first signature {} commands, each further {:.1f}; {} digests: {:.1f} a second, ratio {:.2f}\n", m, n, measured.first,
               measured.further, count, measured.per_second, measured.per_second / plain);
    if (m == 2)
      for (const auto& [command, times] : measured.by_command) fmt::print("   command 0x{:03x}: {}\n", command, times);
  }
  return 0;
}
