#include "appliance/key_store.hpp"

#include <fmt/format.h>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>

#include "appliance/configuration.hpp"
#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "tpm/provisioning.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

namespace {

constexpr std::uint64_t kBlobBytes = 16U << 10;
constexpr std::uint64_t kQuorumBytes = 64U << 10;

Result<tpm::KeyBlob> load_blob(const std::filesystem::path& folder) {
  tpm::KeyBlob blob;
  blob.public_part = TRY(usb::read_file(folder / "key.public", kBlobBytes));
  blob.private_part = TRY(usb::read_file(folder / "key.private", kBlobBytes));
  return blob;
}

// A key's folder appears whole or not at all: a half-written one would neither work nor make room for another.
Result<std::filesystem::path> begin_folder(const std::filesystem::path& folder) {
  const std::filesystem::path part = folder.string() + ".part";
  std::error_code ignored;
  std::filesystem::remove_all(part, ignored);
  TRY(usb::make_folders(part));
  return part;
}

// statement and signature, each with a 32-bit little-endian length.
Result<tpm::Attestation> load_birth(const std::filesystem::path& folder) {
  const base::Bytes bytes = TRY(usb::read_file(folder / "birth", kBlobBytes));
  base::ByteReader in(bytes);
  tpm::Attestation birth;
  birth.statement = base::to_bytes(TRY(in.take_counted(kBlobBytes)));
  birth.signature = base::to_bytes(TRY(in.take_counted(kBlobBytes)));
  TRY(in.expect_end());
  return birth;
}

Result<void> save_key(const std::filesystem::path& folder, const tpm::KeyBlob& blob, const crypto::PublicKey& key,
                      const tpm::Attestation& birth) {
  TRY(usb::write_file(folder / "birth", base::ByteWriter().put_counted(birth.statement).put_counted(birth.signature).bytes()));
  TRY(usb::write_file(folder / "key.public", blob.public_part));
  TRY(usb::write_file(folder / "key.private", blob.private_part));
  TRY(usb::write_file(folder / "key.pem", base::as_bytes(key.pem())));
  return {};
}

Result<crypto::PublicKey> load_public_key(const std::filesystem::path& folder) {
  const base::Bytes pem = TRY(usb::read_file(folder / "key.pem", base::limits::kPemBytes));
  return base::within((folder / "key.pem").string(), crypto::PublicKey::parse_pem(base::as_text(pem)));
}

struct Roster {
  tpm::Quorum quorum;
  unsigned slot = 0;
};

Result<Roster> parse_roster(std::string_view text) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) return fail(Errc::malformed, base::printable(parsed.error().description()));
  const toml::table& table = parsed.table();
  tpm::Quorum quorum;
  const auto m = table["m"].value<std::int64_t>();
  const auto slot = table["slot"].value_or<std::int64_t>(0);
  if (slot < 0 || slot >= static_cast<std::int64_t>(attest::kKeyClasses)) return fail(Errc::malformed, "slot is not a key class of the TPM");
  const toml::array* const officers = table["officer"].as_array();
  if (!m || *m < 1 || officers == nullptr || officers->size() > base::limits::kOfficers ||
      *m > static_cast<std::int64_t>(officers->size()))
    return fail(Errc::malformed, "m and [[officer]] do not make a quorum");
  quorum.m = static_cast<unsigned>(*m);
  for (const toml::node& node : *officers) {
    const toml::table* const officer = node.as_table();
    if (officer == nullptr) return fail(Errc::malformed, "[[officer]] is not a table");
    const auto name = (*officer)["name"].value<std::string>();
    const auto index = (*officer)["nv_index"].value<std::int64_t>();
    if (!name || !is_plain_name(*name) || !index || *index < 0 || *index > 0x01FFFFFF ||
        !attest::is_person(static_cast<std::uint32_t>(*index)))
      return fail(Errc::malformed, "[[officer]] needs a name and the nv_index of an NV index");
    quorum.officers.push_back({*name, static_cast<std::uint32_t>(*index)});
  }
  return Roster{std::move(quorum), static_cast<unsigned>(slot)};
}

std::string roster_text(const tpm::Quorum& quorum, unsigned slot) {
  std::string text = fmt::format("# Who approves. It mirrors a roster in the TPM, which is what counts.\nm = {}\nslot = {}\n", quorum.m, slot);
  for (const tpm::Officer& officer : quorum.officers)
    text += fmt::format("\n[[officer]]\nname = \"{}\"\nnv_index = {:#010x}\n", officer.name, officer.nv_index);
  return text;
}

Result<Roster> load_roster(const std::filesystem::path& file) {
  const base::Bytes text = TRY(usb::read_file(file, kQuorumBytes));
  return base::within(file.string(), parse_roster(base::as_text(text)));
}

// An error is no answer: a staged roster must not be thrown away because the TPM could not be read.
Result<bool> in_force(tpm::Device& device, const attest::NvPublic& area, const crypto::Digest& policy) {
  const base::Bytes present = TRY(tpm::read_public_index(device, area));
  return present == attest::roster_bytes(policy);
}

Result<attest::QuorumTree> tree_of(const tpm::Quorum& quorum) {
  std::vector<attest::Name> names;
  for (const tpm::Officer& officer : quorum.officers) names.push_back(attest::name_of(attest::person_index(officer.nv_index)));
  return attest::QuorumTree::build(quorum.m, std::move(names));
}

// Which of the two files stands in the TPM; the other goes.
template <class IsInForce>
Result<void> settle(const std::filesystem::path& file, IsInForce is_in_force) {
  const std::filesystem::path next = file.string() + ".next";
  if (!is_there(next)) return {};
  const Roster staged = TRY(load_roster(next));
  const bool taken = TRY(is_in_force(staged));
  if (taken) return usb::rename_durably(next, file, usb::IfThere::replace);
  std::error_code error;
  std::filesystem::remove(next, error);
  if (error) return fail(Errc::io, fmt::format("{}: {}", next.string(), error.message()));
  return usb::sync_folder(file.parent_path());
}

}  // namespace

Result<KeyClass> KeyClass::load(const Layout& layout, const std::string& name) {
  if (!is_plain_name(name)) return fail(Errc::usage, fmt::format("\"{}\" is not the name of a key class", base::printable(name)));
  const std::filesystem::path folder = layout.key_class(name);
  if (!is_there(folder / "key.public"))
    return fail(Errc::not_found, fmt::format("there is no key class \"{}\"; the ceremony makes them", name));
  tpm::KeyBlob blob = TRY(load_blob(folder));
  crypto::PublicKey key = TRY(load_public_key(folder));
  Roster roster = TRY(load_roster(folder / "quorum.toml"));
  tpm::Attestation birth = TRY(load_birth(folder));
  const base::Bytes name_file = TRY(usb::read_file(folder / "key.name", kBlobBytes));
  base::Bytes key_name = TRY(base::from_hex(base::trim(base::as_text(name_file))));
  KeyClass key_class{name, roster.slot, std::move(blob), std::move(roster.quorum), std::move(key_name), std::move(key), {}, std::move(birth)};
  if (is_there(folder / "chain.pem")) {
    const base::Bytes pem = TRY(usb::read_file(folder / "chain.pem", base::limits::kPemBytes));
    key_class.chain = TRY(base::within((folder / "chain.pem").string(), crypto::certificates_from_pem(base::as_text(pem))));
  }
  return key_class;
}

Result<void> KeyClass::save(const Layout& layout) const {
  const std::filesystem::path folder = TRY(begin_folder(layout.key_class(name)));
  TRY(save_key(folder, blob, public_key, birth));
  TRY(usb::write_file(folder / "key.name", base::as_bytes(base::hex(key_name))));
  TRY(usb::write_file(folder / "quorum.toml", base::as_bytes(roster_text(quorum, slot))));
  return usb::rename_durably(folder, layout.key_class(name));
}

Result<crypto::SigningIdentity> KeyClass::identity() const {
  if (chain.empty())
    return fail(Errc::not_found, fmt::format("key class \"{}\" has no certificate yet: coldseal-admin csr makes a request for one, "
                                             "coldseal-admin certificate installs it", name));
  return crypto::SigningIdentity::assemble(chain, public_key);
}

Result<StoredReceiptKey> StoredReceiptKey::load(const Layout& layout) {
  tpm::KeyBlob blob = TRY(load_blob(layout.receipt_key()));
  crypto::PublicKey key = TRY(load_public_key(layout.receipt_key()));
  tpm::Attestation birth = TRY(load_birth(layout.receipt_key()));
  return StoredReceiptKey{std::move(blob), std::move(key), std::move(birth)};
}

Result<void> StoredReceiptKey::save(const Layout& layout) const {
  const std::filesystem::path folder = TRY(begin_folder(layout.receipt_key()));
  TRY(save_key(folder, blob, public_key, birth));
  return usb::rename_durably(folder, layout.receipt_key());
}

Result<crypto::SigningIdentity> identity_with_chain(const Layout& layout, const std::string& name, std::string_view pem) {
  KeyClass key_class = TRY(KeyClass::load(layout, name));
  key_class.chain = TRY(crypto::certificates_from_pem(pem));
  return key_class.identity();
}

Result<void> install_chain(const Layout& layout, const std::string& name, std::string_view pem) {
  TRY(identity_with_chain(layout, name, pem));
  TRY(usb::write_file(layout.key_class(name) / "chain.pem", base::as_bytes(pem)));
  return {};
}

Result<std::vector<std::string>> key_classes(const Layout& layout) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(layout.keys(), error)) {
    const std::string name = entry.path().filename().string();
    if (is_plain_name(name) && is_there(entry.path() / "quorum.toml")) names.push_back(name);
  }
  if (error) return fail(Errc::io, fmt::format("{}: {}", layout.keys().string(), error.message()));
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> stage_roster(const std::filesystem::path& file, const tpm::Quorum& quorum, unsigned slot) {
  TRY(usb::write_file(file.string() + ".next", base::as_bytes(roster_text(quorum, slot))));
  return {};
}

Result<void> settle_rosters(const Layout& layout, tpm::Device& device) {
  const std::vector<std::string> names = TRY(key_classes(layout));
  for (const std::string& name : names)
    TRY(settle(layout.key_class(name) / "quorum.toml", [&](const Roster& staged) -> Result<bool> {
      const attest::QuorumTree tree = TRY(tree_of(staged.quorum));
      return in_force(device, attest::roster_index(staged.slot), tree.digest());
    }));
  return settle(layout.administrators(), [&](const Roster& staged) -> Result<bool> {
    const attest::QuorumTree tree = TRY(tree_of(staged.quorum));
    return in_force(device, attest::administrators_index(), attest::owner_roster(tree));
  });
}

Result<void> save_administrators(const Layout& layout, const tpm::Quorum& administrators) {
  TRY(usb::make_folders(layout.keys()));
  TRY(usb::write_file(layout.administrators(), base::as_bytes(roster_text(administrators, 0))));
  return {};
}

Result<tpm::Quorum> load_administrators(const Layout& layout) {
  Roster roster = TRY(load_roster(layout.administrators()));
  return std::move(roster.quorum);
}

namespace {

// Vendor keys that anybody can have, because their private halves are in the source tree (tests/data/vendor-keys).
constexpr const char* kDevelopmentVendors[] = {"0b1c9bff434c10b26e68280e8dab63adf7be9b4ae646fb2d59ed8513dff63f22",
                                               "79df9bb87a281116ea078570196909578485318dfb22377ad5a20db1203714e5"};

}  // namespace

Result<void> expect_vendors_for(attest::Mode mode, const std::vector<crypto::PublicKey>& vendors) {
  if (mode == attest::Mode::development) return {};
  for (const crypto::PublicKey& vendor : vendors)
    for (const char* const known : kDevelopmentVendors)
      if (vendor.keyid() == known)
        return fail(Errc::refused, "that is a development vendor key, which anybody can sign with; production wants the vendor's own");
  return {};
}

Result<void> save_firmware_trust(const Layout& layout, attest::Mode mode, const std::vector<crypto::PublicKey>& vendors) {
  TRY(usb::make_folders(layout.firmware()));
  for (std::size_t i = 0; i < vendors.size(); ++i)
    TRY(usb::write_file(layout.firmware() / fmt::format("vendor-{}.pem", i + 1), base::as_bytes(vendors[i].pem())));
  TRY(usb::write_file(layout.firmware() / "mode", base::as_bytes(std::string(attest::mode_name(mode)) + "\n")));
  return {};
}

Result<attest::FirmwareMap> load_firmware_map(const Layout& layout) {
  attest::FirmwareTrust trust;
  const base::Bytes mode_file = TRY(usb::read_file(layout.firmware() / "mode", kBlobBytes));
  std::string_view mode_text = base::as_text(mode_file);
  if (!mode_text.empty() && mode_text.back() == '\n') mode_text.remove_suffix(1);
  const std::optional<attest::Mode> mode = attest::mode_from_name(mode_text);
  if (!mode) return fail(Errc::malformed, fmt::format("keys/firmware/mode: \"{}\"", base::printable(mode_text)));
  trust.mode = *mode;
  std::vector<crypto::PublicKey> vendors;
  for (std::size_t i = 0; i < trust.vendors.size(); ++i) {
    const std::filesystem::path file = layout.firmware() / fmt::format("vendor-{}.pem", i + 1);
    const base::Bytes pem = TRY(usb::read_file(file, base::limits::kPemBytes));
    crypto::PublicKey key = TRY(base::within(file.string(), crypto::PublicKey::parse_pem(base::as_text(pem))));
    trust.vendors[i] = TRY(base::within(file.string(), attest::ExternalKey::of(key.der())));
    vendors.push_back(std::move(key));
  }
  TRY(base::within("keys/firmware", expect_vendors_for(*mode, vendors)));
  return attest::FirmwareMap(std::move(trust));
}

std::string firmware_approval_text(std::uint64_t version, const crypto::Digest& policy, attest::Mode mode) {
  return fmt::format("# One version of the firmware, measured. The vendor signs the file .tbs beside it.\n"
                     "version = {}\nmode = \"{}\"\npolicy = \"{}\"\n", version, attest::mode_name(mode), policy.hex());
}

Result<tpm::FirmwareApproval> read_firmware_approval(const std::filesystem::path& file) {
  const base::Bytes text = TRY(usb::read_file(file, kQuorumBytes));
  const toml::parse_result parsed = toml::parse(base::as_text(text));
  if (!parsed) return fail(Errc::malformed, fmt::format("{}: {}", file.string(), base::printable(parsed.error().description())));
  const auto version = parsed.table()["version"].value<std::int64_t>();
  const auto policy = parsed.table()["policy"].value<std::string>();
  if (!version || *version < 0 || !policy)
    return fail(Errc::malformed, fmt::format("{}: a firmware approval has version, mode and policy", file.string()));
  const base::Bytes policy_bytes = TRY(base::within(file.string(), base::from_hex(*policy)));
  crypto::Digest digest = TRY(base::within(file.string(), crypto::Digest::from_bytes(crypto::DigestAlgorithm::sha256, policy_bytes)));
  base::Bytes signature;
  if (const auto inside = parsed.table()["signature"].value<std::string>(); inside) {
    signature = TRY(base::within(file.string(), base::from_hex(*inside)));
  } else {
    std::filesystem::path signature_file = file;
    signature = TRY(usb::read_file(signature_file.replace_extension(".sig"), kBlobBytes));
  }
  return tpm::FirmwareApproval{static_cast<std::uint64_t>(*version), std::move(digest), std::move(signature)};
}

Result<tpm::FirmwareApproval> load_firmware_approval(const Layout& layout) {
  return read_firmware_approval(layout.firmware() / "approval.toml");
}

Result<void> save_firmware_approval(const Layout& layout, const tpm::FirmwareApproval& approval) {
  const attest::FirmwareMap map = TRY(load_firmware_map(layout));
  // One file, so that a power cut leaves the old approval or the new one, and never halves of both.
  const std::string text = firmware_approval_text(approval.version, approval.policy, map.trust().mode) +
                           fmt::format("signature = \"{}\"\n", base::hex(approval.signature));
  TRY(usb::write_file(layout.firmware() / "approval.toml", base::as_bytes(text)));
  return {};
}

Result<base::Bytes> load_srk_name(const Layout& layout) {
  const base::Bytes text = TRY(usb::read_file(layout.keys() / "srk.name", kBlobBytes));
  return base::from_hex(base::trim(base::as_text(text)));
}

Result<void> save_srk_name(const Layout& layout, base::ByteView name) {
  TRY(usb::make_folders(layout.keys()));
  TRY(usb::write_file(layout.keys() / "srk.name", base::as_bytes(base::hex(name))));
  return {};
}

}  // namespace appliance
