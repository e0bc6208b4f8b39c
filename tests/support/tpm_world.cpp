#include "tests/support/tpm_world.hpp"

#include "crypto/base/byte_writer.hpp"
#include "crypto/keys/random.hpp"
#include "tests/support/results.hpp"

namespace tests {
namespace {

attest::QuorumTree tree_of(const tpm::Quorum& quorum) {
  std::vector<attest::Name> names;
  for (const tpm::Officer& officer : quorum.officers) names.push_back(attest::name_of(attest::person_index(officer.nv_index)));
  return must(attest::QuorumTree::build(quorum.m, names));
}

}  // namespace

TpmWorld::TpmWorld(attest::Mode wanted)
    : mode(wanted), vendors{keys::SubmitterKey::generate(), keys::SubmitterKey::generate()} {}

attest::FirmwareMap TpmWorld::map() const {
  attest::FirmwareTrust trust;
  trust.mode = mode;
  for (std::size_t i = 0; i < vendors.size(); ++i) trust.vendors[i] = must(attest::ExternalKey::of(vendors[i].public_key_der()));
  return attest::FirmwareMap(trust);
}

void TpmWorld::found(tpm::Device& device) {
  const base::Bytes zeros(32, 0);
  must(tpm::make_identity_keys(device));
  must(tpm::establish(device, attest::floor_index(), base::ByteWriter().u64be(1).bytes()));
  must(tpm::establish(device, attest::config_index(), zeros));
  must(tpm::establish(device, attest::self_index(), attest::roster_bytes(attest::self_tree().digest())));
  base::Bytes words(attest::kWordsBytes);
  keys::fill_random(words);
  must(tpm::establish(device, map().words(), words));
  must(tpm::establish(device, map().gate()));
  must(tpm::establish(device, attest::unwritten(map().audit_extend())));
  must(tpm::establish(device, attest::unwritten(map().audit_count())));
}

void TpmWorld::set_roster(tpm::Device& device, unsigned key_class, const tpm::Quorum& quorum) {
  must(tpm::establish(device, attest::roster_index(key_class), attest::roster_bytes(tree_of(quorum).digest())));
  must(tpm::establish(device, attest::quorum_gate(key_class)));
}

void TpmWorld::set_administrators(tpm::Device& device, const tpm::Quorum& quorum) {
  must(tpm::establish(device, attest::administrators_index(), attest::roster_bytes(attest::owner_roster(tree_of(quorum)))));
}

tpm::FirmwareApproval TpmWorld::approve(const crypto::Digest& policy, std::uint64_t version, keys::SubmitterKey& vendor) const {
  return {version, policy, must(vendor.sign(crypto::sha256(attest::firmware_message(policy, mode))))};
}

tpm::FirmwareApproval TpmWorld::approve(tpm::Device& device, std::uint64_t version, unsigned vendor) {
  const crypto::Digest values = must(tpm::firmware_measurements(device));
  return approve(attest::firmware_policy(values, version), version, vendors.at(vendor));
}

}  // namespace tests
