#include "crypto/attest/nv_map.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"

namespace attest {
namespace {

using base::ByteWriter;
using base::Errc;
using base::fail;
using crypto::Digest;

constexpr std::uint32_t kFloor = 0x01800020;
constexpr std::uint32_t kFirmwareGate = 0x01800022;
constexpr std::uint32_t kSelf = 0x01800024;
constexpr std::uint32_t kConfig = 0x01800025;
constexpr std::uint32_t kWords = 0x01800026;
constexpr std::uint32_t kAuditExtend = 0x01800040;
constexpr std::uint32_t kAuditCount = 0x01800041;
constexpr std::uint32_t kBaseline = 0x01800042;
constexpr std::uint32_t kFirstRoster = 0x01800060;   // pairs: roster and gate of a key class
constexpr std::uint32_t kAdministrators = 0x01800110;

Bytes bytes_of(const Digest& digest) { return base::to_bytes(digest.bytes()); }

// Readable by anyone, written by the owner: administrators.
NvPublic owners_index(std::uint32_t index, std::uint16_t size) {
  return {index, nv::kOwnerWrite | nv::kOwnerRead | nv::kAuthRead | nv::kNoDictionaryAttack | nv::kWritten, {}, size};
}

// A gate has an empty authorisation value that only its policy can use. TPM2_PolicySecret with a policy session wants
// PolicyAuthValue in it (Part 3 section 23.4); without the command code a gate's session could write the index, which
// sets WRITTEN, changes its Name and makes every key behind it useless.
NvPublic gate_index(std::uint32_t index, const Policy& opens) {
  Policy policy = opens;
  policy.auth_value().command(CommandCode::policy_secret);
  return {index, nv::kPolicyRead | nv::kOwnerWrite | nv::kNoDictionaryAttack, bytes_of(policy.digest()), 1};
}

}  // namespace

std::string_view mode_name(Mode mode) { return mode == Mode::production ? "production" : "development"; }

std::optional<Mode> mode_from_name(std::string_view name) {
  for (const Mode mode : {Mode::production, Mode::development})
    if (name == mode_name(mode)) return mode;
  return std::nullopt;
}

ByteView firmware_label(Mode mode) { return base::as_bytes(mode == Mode::production ? "fw" : "fw-development"); }

Result<ExternalKey> ExternalKey::of(ByteView spki) {
  // SubjectPublicKeyInfo of P-256 with an uncompressed point is always these 26 bytes, then 04, X and Y (RFC 5480).
  constexpr std::uint8_t kPrefix[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                      0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
  base::ByteReader in(spki);
  const auto prefix = in.take(sizeof kPrefix);
  if (!prefix || !std::equal(prefix->begin(), prefix->end(), std::begin(kPrefix)))
    return fail(Errc::unsupported, "public key that is not P-256 with an uncompressed point");
  const ByteView x = TRY(in.take(32));
  const ByteView y = TRY(in.take(32));
  TRY(in.expect_end());
  constexpr std::uint16_t kEcc = 0x0023;
  constexpr std::uint16_t kSha256 = 0x000B;
  constexpr std::uint16_t kNull = 0x0010;
  constexpr std::uint16_t kP256 = 0x0003;
  ExternalKey key;
  key.area = ByteWriter()
                 .u16be(kEcc)
                 .u16be(kSha256)
                 .u32be(object::kSign | object::kUserWithAuth)
                 .u16be(0)
                 .u16be(kNull)   // symmetric
                 .u16be(kNull)   // scheme
                 .u16be(kP256)
                 .u16be(kNull)   // key derivation
                 .u16be(32)
                 .put(x)
                 .u16be(32)
                 .put(y)
                 .bytes();
  key.name = name_of_public_area(key.area);
  return key;
}

bool is_person(std::uint32_t index) {
  return (index >= kFirstOfficer && index <= kLastOfficer) || (index >= kFirstAdministrator && index <= kLastAdministrator);
}

NvPublic person_index(std::uint32_t index) {
  return {index,
          nv::kPinFail | nv::kOwnerWrite | nv::kOwnerRead | nv::kAuthRead | nv::kPolicyRead | nv::kNoDictionaryAttack | nv::kWritten,
          bytes_of(Policy().authorize_nv(name_of(self_index())).digest()), kPersonBytes};
}

NvPublic self_index() { return owners_index(kSelf, kRosterBytes); }
NvPublic floor_index() { return owners_index(kFloor, 8); }
NvPublic config_index() { return owners_index(kConfig, 32); }
NvPublic baseline_index() { return owners_index(kBaseline, kBaselineBytes); }
NvPublic administrators_index() { return owners_index(kAdministrators, kRosterBytes); }

NvPublic roster_index(unsigned key_class) {
  base::require(key_class < kKeyClasses, "a key class of the map");
  return owners_index(kFirstRoster + 2 * key_class, kRosterBytes);
}

NvPublic quorum_gate(unsigned key_class) {
  return gate_index(kFirstRoster + 2 * key_class + 1, Policy().authorize_nv(name_of(roster_index(key_class))));
}

NvPublic unwritten(NvPublic area) {
  area.attributes &= ~nv::kWritten;
  return area;
}

// The obvious policy, PolicyAuthValue and NV_ChangeAuth, would allow guessing without limit: in a policy session the
// TPM does not look at the count of wrong tries. PolicySecret does, and PolicyNameHash keeps it to the own index.
Digest self_branch(std::uint32_t person) {
  const std::vector<Name> own = {name_of(person_index(person))};
  return Policy().secret(own.front()).name_hash(own).command(CommandCode::nv_change_auth).digest();
}

std::size_t self_position(std::uint32_t person) {
  base::require(is_person(person), "a person's index");
  if (person <= kLastOfficer) return person - kFirstOfficer;
  return (kLastOfficer - kFirstOfficer + 1) + (person - kFirstAdministrator);
}

OrTree self_tree() {
  std::vector<Digest> branches;
  for (std::uint32_t index = kFirstOfficer; index <= kLastOfficer; ++index) branches.push_back(self_branch(index));
  for (std::uint32_t index = kFirstAdministrator; index <= kLastAdministrator; ++index)
    branches.push_back(self_branch(index));
  branches.push_back(Policy().command(CommandCode::nv_read).digest());
  return OrTree(branches);
}

std::size_t self_reading_position() { return self_position(kLastAdministrator) + 1; }

OrTree owner_tree(const QuorumTree& administrators) {
  std::vector<Digest> branches;
  for (const CommandCode command : kOwnerCommands)
    branches.push_back(Policy(administrators.digest()).command(command).digest());
  return OrTree(branches);
}

std::size_t owner_position(CommandCode command) {
  const auto found = std::find(kOwnerCommands.begin(), kOwnerCommands.end(), command);
  base::require(found != kOwnerCommands.end(), "a command of the owner");
  return static_cast<std::size_t>(found - kOwnerCommands.begin());
}

Digest owner_roster(const QuorumTree& administrators) { return owner_tree(administrators).digest(); }

Digest owner_policy() { return Policy().authorize_nv(name_of(administrators_index())).digest(); }

Bytes roster_bytes(const Digest& policy) {
  constexpr std::uint16_t kSha256 = 0x000B;
  return ByteWriter().u16be(kSha256).put(policy.bytes()).bytes();
}

std::vector<Digest> FirmwareMap::branches() const {
  std::vector<Digest> branches;
  for (const ExternalKey& vendor : trust_.vendors)
    branches.push_back(Policy().authorize(vendor.name, firmware_label(trust_.mode)).digest());
  return branches;
}

Digest FirmwareMap::policy() const { return Policy().any_of(branches()).digest(); }

NvPublic FirmwareMap::gate() const { return gate_index(kFirmwareGate, Policy(policy())); }

NvPublic FirmwareMap::words() const {
  return {kWords, nv::kPolicyRead | nv::kOwnerWrite | nv::kNoDictionaryAttack | nv::kWritten,
          bytes_of(Policy(policy()).command(CommandCode::nv_read).digest()), kWordsBytes};
}

// OWNERREAD lets the ceremony certify them; administrators' sessions are not for reading.
NvPublic FirmwareMap::audit_extend() const {
  return {kAuditExtend,
          nv::kExtend | nv::kPolicyWrite | nv::kAuthRead | nv::kOwnerRead | nv::kNoDictionaryAttack | nv::kWritten,
          bytes_of(Policy(policy()).command(CommandCode::nv_extend).digest()), 32};
}

NvPublic FirmwareMap::audit_count() const {
  return {kAuditCount,
          nv::kCounter | nv::kPolicyWrite | nv::kAuthRead | nv::kOwnerRead | nv::kNoDictionaryAttack | nv::kWritten,
          bytes_of(Policy(policy()).command(CommandCode::nv_increment).digest()), 8};
}

Digest FirmwareMap::signing_key_policy(unsigned key_class) const {
  return Policy()
      .secret(name_of(quorum_gate(key_class)))
      .secret(name_of(gate()))
      .command(CommandCode::sign)
      .digest();
}

Digest FirmwareMap::receipt_key_policy() const { return Policy(policy()).command(CommandCode::sign).digest(); }

Digest firmware_policy(const Digest& pcr_values, std::uint64_t version) {
  return Policy()
      .pcr(kFirmwarePcrs, pcr_values)
      .nv(name_of(floor_index()), ByteWriter().u64be(version).bytes(), Comparison::unsigned_at_most)
      .digest();
}

Bytes firmware_message(const Digest& policy, Mode mode) {
  return ByteWriter().put(policy.bytes()).put(firmware_label(mode)).bytes();
}

}  // namespace attest
