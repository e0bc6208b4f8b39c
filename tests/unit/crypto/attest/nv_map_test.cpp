// The map by itself; tests/unit/tpm holds its policies against a TPM.
#include "crypto/attest/nv_map.hpp"

#include <gtest/gtest.h>

#include <set>

#include "crypto/attest/attestation.hpp"
#include "crypto/attest/owner_command.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/keys/submitter_key.hpp"

namespace attest {
namespace {

FirmwareTrust trust_of(const keys::SubmitterKey& a, const keys::SubmitterKey& b, Mode mode) {
  return {mode, {*ExternalKey::of(a.public_key_der()), *ExternalKey::of(b.public_key_der())}};
}

TEST(NvMap, GivesEveryIndexItsOwnPlaceAndName) {
  const keys::SubmitterKey a = keys::SubmitterKey::generate();
  const keys::SubmitterKey b = keys::SubmitterKey::generate();
  const FirmwareMap map(trust_of(a, b, Mode::development));
  std::vector<NvPublic> all = {floor_index(), config_index(), self_index(), baseline_index(), administrators_index(),
                               map.gate(), map.words(), map.audit_extend(), map.audit_count()};
  for (unsigned k = 0; k < kKeyClasses; ++k) {
    all.push_back(roster_index(k));
    all.push_back(quorum_gate(k));
  }
  for (std::uint32_t index = kFirstOfficer; index <= kLastOfficer; ++index) all.push_back(person_index(index));
  for (std::uint32_t index = kFirstAdministrator; index <= kLastAdministrator; ++index) all.push_back(person_index(index));
  std::set<std::uint32_t> places;
  std::set<Name> names;
  for (const NvPublic& area : all) {
    places.insert(area.index);
    names.insert(name_of(area));
    EXPECT_NE(area.attributes & nv::kNoDictionaryAttack, 0U) << std::hex << area.index;   // one shared count would lock out all
    EXPECT_EQ(encode(*parse_nv_public(encode(area))), encode(area));
  }
  EXPECT_EQ(places.size(), all.size());
  EXPECT_EQ(names.size(), all.size());
}

TEST(NvMap, AModeOrAVendorChangesEveryKeysPolicy) {
  const keys::SubmitterKey a = keys::SubmitterKey::generate();
  const keys::SubmitterKey b = keys::SubmitterKey::generate();
  const FirmwareMap development(trust_of(a, b, Mode::development));
  const FirmwareMap production(trust_of(a, b, Mode::production));
  const FirmwareMap swapped(trust_of(b, a, Mode::development));
  std::set<std::string> policies;
  for (const FirmwareMap* map : {&development, &production, &swapped}) {
    policies.insert(map->signing_key_policy(0).hex());
    policies.insert(map->signing_key_policy(1).hex());
    policies.insert(map->receipt_key_policy().hex());
  }
  EXPECT_EQ(policies.size(), 9U);
  EXPECT_NE(firmware_message(development.policy(), Mode::development), firmware_message(development.policy(), Mode::production));
}

TEST(NvMap, KnowsItsModes) {
  EXPECT_EQ(mode_from_name("production"), Mode::production);
  EXPECT_EQ(mode_from_name(mode_name(Mode::development)), Mode::development);
  EXPECT_FALSE(mode_from_name("Production"));
  EXPECT_FALSE(mode_from_name(""));
}

TEST(ExternalKey, IsP256OrNothing) {
  const keys::SubmitterKey key = keys::SubmitterKey::generate();
  const Bytes spki = base::to_bytes(key.public_key_der());
  const ExternalKey external = *ExternalKey::of(spki);
  EXPECT_EQ(external.name, name_of_public_area(external.area));
  EXPECT_EQ(ObjectPublic::parse(external.area)->spki(), spki);   // our reader of TPM areas gives the key back
  Bytes longer = spki;
  longer.push_back(0);
  EXPECT_FALSE(ExternalKey::of(longer));
  Bytes other_curve = spki;
  other_curve[22] ^= 1;
  EXPECT_FALSE(ExternalKey::of(other_curve));
  for (std::size_t size = 0; size < spki.size(); ++size) EXPECT_FALSE(ExternalKey::of(ByteView(spki).first(size))) << size;
}

TEST(NvPublic, RefusesWhatIsNotOne) {
  const Bytes sound = encode(person_index(kFirstOfficer));
  for (std::size_t size = 0; size < sound.size(); ++size) EXPECT_FALSE(parse_nv_public(ByteView(sound).first(size))) << size;
  Bytes sha1 = sound;
  sha1[5] = 0x04;
  EXPECT_FALSE(parse_nv_public(sha1));
}

TEST(OwnerCommand, EveryDifferenceGivesAnotherCpHash) {
  std::set<std::string> seen;
  const auto add = [&](const OwnerCommand& command) { EXPECT_TRUE(seen.insert(command.cp_hash().hex()).second) << command.purpose; };
  add(OwnerCommand::write(floor_index(), Bytes(8, 1), "a"));
  add(OwnerCommand::write(floor_index(), Bytes(8, 2), "b"));
  add(OwnerCommand::write(config_index(), Bytes(8, 1), "c"));
  add(OwnerCommand::write(unwritten(floor_index()), Bytes(8, 1), "d"));
  add(OwnerCommand::define(person_index(kFirstOfficer), "e"));
  add(OwnerCommand::define(person_index(kFirstOfficer + 1), "f"));
  add(OwnerCommand::undefine(person_index(kFirstOfficer), "g"));
  add(OwnerCommand::clear("h"));
  add(OwnerCommand::reset_lockout("i"));
  add(OwnerCommand::set_clock(1, "j"));
  add(OwnerCommand::set_clock(2, "k"));
  // What people read is not part of it.
  EXPECT_EQ(OwnerCommand::clear("x").cp_hash(), OwnerCommand::clear("y").cp_hash());
}

TEST(OpenGate, IsBoundToGateSessionNonceAndCommand) {
  const crypto::Digest inner = crypto::sha256({});
  const crypto::Digest other = crypto::sha256(Bytes(1, 1));
  std::set<std::string> seen;
  for (const unsigned k : {0U, 1U})
    for (const std::uint32_t session : {0x03000000U, 0x03000001U})
      for (const Bytes& nonce : {Bytes(), Bytes(32, 7)})
        for (const crypto::Digest& command : {inner, other})
          seen.insert(open_gate_cp_hash(name_of(quorum_gate(k)), session, nonce, command).hex());
  EXPECT_EQ(seen.size(), 16U);
}

Bytes statement(std::uint16_t type, ByteView rest) {
  return base::ByteWriter()
      .u32be(0xFF544347)
      .u16be(type)
      .u16be(0)          // no qualified signer
      .u16be(3)
      .put(base::as_bytes("ask"))
      .u64be(1000)
      .u32be(2)
      .u32be(0)
      .u8(1)
      .u64be(7)
      .put(rest)
      .bytes();
}

TEST(Attestation, IsReadFieldByField) {
  const Bytes name = name_of(floor_index());
  const Bytes rest = base::ByteWriter().u16be(34).put(name).u16be(0).u16be(2).put(Bytes{1, 2}).bytes();
  const Attested read = *parse_attestation(statement(0x8014, rest));
  EXPECT_EQ(base::as_text(read.extra_data), "ask");
  EXPECT_EQ(read.clock, 1000U);
  EXPECT_EQ(read.resets, 2U);
  EXPECT_EQ(read.firmware, 7U);
  const IndexContent& index = std::get<IndexContent>(read.says);
  EXPECT_EQ(index.index, name);
  EXPECT_EQ(index.content, (Bytes{1, 2}));
}

TEST(Attestation, RefusesForeignBytesShortOnesAndLongOnes) {
  const Bytes rest = base::ByteWriter().u16be(34).put(name_of(floor_index())).u16be(0).u16be(2).put(Bytes{1, 2}).bytes();
  const Bytes sound = statement(0x8014, rest);
  ASSERT_TRUE(parse_attestation(sound));
  for (std::size_t size = 0; size < sound.size(); ++size) EXPECT_FALSE(parse_attestation(ByteView(sound).first(size))) << size;
  Bytes longer = sound;
  longer.push_back(0);
  EXPECT_FALSE(parse_attestation(longer));
  Bytes foreign = sound;
  foreign[0] = 0;
  EXPECT_FALSE(parse_attestation(foreign));
  EXPECT_FALSE(parse_attestation(statement(0x8019, rest)));   // a time attestation: not ours to read
}

TEST(Attestation, IsWorthNothingWithoutTheIdentityKeysSignature) {
  keys::SubmitterKey identity = keys::SubmitterKey::generate();
  const crypto::PublicKey key = *crypto::PublicKey::parse(identity.public_key_der());
  const Bytes rest = base::ByteWriter().u16be(34).put(name_of(floor_index())).u16be(32).put(Bytes(32, 1)).bytes();
  const Bytes sound = statement(0x801A, rest);
  const Bytes signature = *identity.sign(crypto::sha256(sound));
  ASSERT_TRUE(verified_attestation(key, sound, signature));
  Bytes changed = sound;
  changed.back() ^= 1;
  EXPECT_FALSE(verified_attestation(key, changed, signature));
  EXPECT_FALSE(verified_attestation(key, sound, {}));
}

}  // namespace
}  // namespace attest
