// What the gates cost: TPM commands per signature, and signatures per second under one approval, held against the bare
// Esys_Sign of another RSA-3072 key in the same software TPM, in turns. Run by hand:  custody-speed [DIGESTS [ROUNDS]]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "tests/bench/side_by_side.hpp"
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

// A key without a policy: another one than the gated key, which cannot sign bare, but of the same algorithm and in the same TPM.
class BareKey {
 public:
  explicit BareKey(tpm::Context& context) : context_(context), key_(made(context)) {}
  // Signatures per second, in a password session.
  double speed(int count) const {
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
      base::require(Esys_Sign(context_.esys(), key_.object.handle(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &digest, &scheme, &ticket,
                              &signature) == TSS2_RC_SUCCESS, "Esys_Sign");
      Esys_Free(signature);
    }
    return count / Seconds(Clock::now() - started).count();
  }

 private:
  static tpm::LoadedKey made(tpm::Context& context) {
    constexpr std::uint32_t kAttributes = tpm::kQuorumKeyAttributes | attest::object::kUserWithAuth;
    const tpm::NewKey key = must(tpm::create_key(context, {crypto::KeyAlgorithm::rsa_pkcs1, kAttributes, {}}));
    return must(tpm::load_key(context, key.blob, kAttributes, {}));
  }
  tpm::Context& context_;
  tpm::LoadedKey key_;
};

struct Spent {
  int times = 0;
  double seconds = 0;   // from the command to its answer
};

struct Measured {
  int first = 0;        // commands of the first signature, its PIN entries included
  double further = 0;   // of each further one
  std::vector<double> bare;    // signatures per second, round by round
  std::vector<double> gated;   // the same, PIN entries included
  std::vector<double> ratio;
  std::map<std::uint32_t, Spent> by_command;
  double seconds = 0;   // of all rounds' gated signatures
};

// Bare and gated signatures take turns, so that whatever else the machine does slows down both.
Measured measure(tests::TpmWorld& world, tpm::Device& device, tpm::TamperingTransport& transport, const tpm::FirmwareGate& gate, const BareKey& bare,
                 unsigned m, unsigned n, int count, int rounds) {
  tpm::Quorum quorum{m, {}};
  for (unsigned i = 0; i < n; ++i) quorum.officers.push_back({"officer-" + std::to_string(i), attest::kFirstOfficer + i});
  for (const tpm::Officer& officer : quorum.officers)
    if (!tpm::officer_state(device, officer)) must(tpm::define_officer(device, officer, pin()));
  world.set_roster(device, 0, quorum);
  const tpm::KeyBlob blob = must(tpm::QuorumKey::create(device, gate, 0, crypto::KeyAlgorithm::rsa_pkcs1)).blob;
  tpm::QuorumKey key = must(tpm::QuorumKey::load(device, gate, 0, blob, quorum));

  const auto run = [&](int digests) {
    std::vector<crypto::Digest> files;
    for (int i = 0; i < digests; ++i) files.push_back(crypto::sha256(base::as_bytes("file " + std::to_string(i))));
    std::vector<tpm::Approval> approvals;
    for (unsigned i = 0; i < m; ++i) approvals.push_back(must(key.approve(quorum.officers[i].name, pin(), files)));
    for (const crypto::Digest& file : files) must(key.sign(file, approvals));
  };
  Measured measured;
  run(1);   // the pace is measured with it
  transport.commands = 0;
  run(1);
  measured.first = transport.commands;
  for (int round = 0; round < rounds; ++round) {
    measured.bare.push_back(bare.speed(count));
    Clock::time_point sent;
    transport.alter = [&](base::Bytes&) { sent = Clock::now(); };
    transport.alter_answer = [&](std::uint32_t code, base::Bytes&) {
      Spent& spent = measured.by_command[code];
      ++spent.times;
      spent.seconds += Seconds(Clock::now() - sent).count();
    };
    transport.commands = 0;
    const auto started = Clock::now();
    run(count);
    const double seconds = Seconds(Clock::now() - started).count();
    transport.alter = {};
    transport.alter_answer = {};
    measured.seconds += seconds;
    measured.further = static_cast<double>(transport.commands - measured.first) / (count - 1);
    measured.gated.push_back(count / seconds);
    measured.ratio.push_back(measured.gated.back() / measured.bare.back());
  }
  return measured;
}

std::string name_of(std::uint32_t command) {
  static const std::map<std::uint32_t, std::string> kNames = {
      {TPM2_CC_PolicyAuthorizeNV, "PolicyAuthorizeNV"}, {TPM2_CC_PolicySecret, "PolicySecret"},     {TPM2_CC_Sign, "Sign"},
      {TPM2_CC_PolicyNV, "PolicyNV"},                   {TPM2_CC_FlushContext, "FlushContext"},     {TPM2_CC_PolicyAuthorize, "PolicyAuthorize"},
      {TPM2_CC_PolicyAuthValue, "PolicyAuthValue"},     {TPM2_CC_PolicyCommandCode, "PolicyCommandCode"},
      {TPM2_CC_PolicyOR, "PolicyOR"},                   {TPM2_CC_PolicyTicket, "PolicyTicket"},     {TPM2_CC_StartAuthSession, "StartAuthSession"},
      {TPM2_CC_PolicyPCR, "PolicyPCR"},                 {TPM2_CC_PolicyRestart, "PolicyRestart"},   {TPM2_CC_NV_ReadPublic, "NV_ReadPublic"}};
  const auto named = kNames.find(command);
  return named == kNames.end() ? fmt::format("command 0x{:03x}", command) : named->second;
}

void print(const Measured& measured, unsigned m, unsigned n, int count, bool with_commands) {
  const auto [lowest, highest] = std::minmax_element(measured.ratio.begin(), measured.ratio.end());
  fmt::print("{} of {}: first signature {} commands, each further {:.1f}; bare {:.1f} a second, gated {:.1f}; ratio {:.2f} ({:.2f} to {:.2f})\n", m, n,
             measured.first, measured.further, bench::median(measured.bare), bench::median(measured.gated), bench::median(measured.ratio), *lowest, *highest);
  if (!with_commands) return;
  const double digests = static_cast<double>(count) * static_cast<double>(measured.ratio.size());
  double in_tpm = 0;
  for (const auto& [command, spent] : measured.by_command) {
    in_tpm += spent.seconds;
    fmt::print("   {:<18} {:5.2f} a digest, {:6.3f} ms each, {:6.3f} ms a digest\n", name_of(command), spent.times / digests,
               1000 * spent.seconds / spent.times, 1000 * spent.seconds / digests);
  }
  fmt::print("   {:<18} {:38.3f} ms a digest\n", "outside the TPM", 1000 * (measured.seconds - in_tpm) / digests);
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::max(2, std::atoi(argv[1])) : 200;
  const int rounds = argc > 2 ? std::max(1, std::atoi(argv[2])) : 5;
  const tests::Swtpm swtpm;
  tests::TpmWorld world;
  tpm::TamperingTransport transport(swtpm.tcti());
  const auto device = must(tpm::Device::open(must(tpm::Context::over(transport.context()))));
  world.found(*device);
  const tpm::FirmwareGate gate = must(tpm::FirmwareGate::load(*device, world.map(), world.approve(*device, 1)));
  const BareKey bare(device->context());
  fmt::print("{} digests under one approval, {} rounds; medians, and the ratio's range. Bare: another RSA-3072 key of the same TPM.\n", count, rounds);
  for (const auto& [m, n] : {std::pair(2U, 3U), std::pair(3U, 5U), std::pair(4U, 7U)})
    print(measure(world, *device, transport, gate, bare, m, n, count, rounds), m, n, count, m == 2);
  return 0;
}
