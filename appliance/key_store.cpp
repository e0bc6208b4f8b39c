#include "appliance/key_store.hpp"

#include <fmt/format.h>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "appliance/configuration.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
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

Result<void> save_key(const std::filesystem::path& folder, const tpm::KeyBlob& blob, const crypto::PublicKey& key) {
  TRY(usb::write_file(folder / "key.public", blob.public_part));
  TRY(usb::write_file(folder / "key.private", blob.private_part));
  TRY(usb::write_file(folder / "key.pem", base::as_bytes(key.pem())));
  return {};
}

Result<crypto::PublicKey> load_public_key(const std::filesystem::path& folder) {
  const base::Bytes pem = TRY(usb::read_file(folder / "key.pem", base::limits::kPemBytes));
  return base::within((folder / "key.pem").string(), crypto::PublicKey::parse_pem(base::as_text(pem)));
}

Result<tpm::Quorum> parse_quorum(std::string_view text) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) return fail(Errc::malformed, base::printable(parsed.error().description()));
  const toml::table& table = parsed.table();
  tpm::Quorum quorum;
  const auto m = table["m"].value<std::int64_t>();
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
    if (!name || !is_plain_name(*name) || !index || *index < 0x01000000 || *index > 0x01FFFFFF)
      return fail(Errc::malformed, "[[officer]] needs a name and the nv_index of an NV index");
    quorum.officers.push_back({*name, static_cast<std::uint32_t>(*index)});
  }
  return quorum;
}

std::string quorum_text(const tpm::Quorum& quorum) {
  std::string text = fmt::format("# Who approves with this key. It mirrors the key's policy in the TPM, which is what counts.\nm = {}\n", quorum.m);
  for (const tpm::Officer& officer : quorum.officers)
    text += fmt::format("\n[[officer]]\nname = \"{}\"\nnv_index = {:#010x}\n", officer.name, officer.nv_index);
  return text;
}

}  // namespace

Result<KeyClass> KeyClass::load(const Layout& layout, const std::string& name) {
  if (!is_plain_name(name)) return fail(Errc::usage, fmt::format("\"{}\" is not the name of a key class", base::printable(name)));
  const std::filesystem::path folder = layout.key_class(name);
  if (!is_there(folder / "key.public"))
    return fail(Errc::not_found, fmt::format("there is no key class \"{}\"; coldseal-admin provision makes one", name));
  tpm::KeyBlob blob = TRY(load_blob(folder));
  crypto::PublicKey key = TRY(load_public_key(folder));
  const base::Bytes quorum_file = TRY(usb::read_file(folder / "quorum.toml", kQuorumBytes));
  tpm::Quorum quorum = TRY(base::within((folder / "quorum.toml").string(), parse_quorum(base::as_text(quorum_file))));
  const base::Bytes name_file = TRY(usb::read_file(folder / "key.name", kBlobBytes));
  base::Bytes key_name = TRY(base::from_hex(base::trim(base::as_text(name_file))));
  KeyClass key_class{name, std::move(blob), std::move(quorum), std::move(key_name), std::move(key), {}};
  if (is_there(folder / "chain.pem")) {
    const base::Bytes pem = TRY(usb::read_file(folder / "chain.pem", base::limits::kPemBytes));
    key_class.chain = TRY(base::within((folder / "chain.pem").string(), crypto::certificates_from_pem(base::as_text(pem))));
  }
  return key_class;
}

Result<void> KeyClass::save(const Layout& layout) const {
  const std::filesystem::path folder = TRY(begin_folder(layout.key_class(name)));
  TRY(save_key(folder, blob, public_key));
  TRY(usb::write_file(folder / "key.name", base::as_bytes(base::hex(key_name))));
  TRY(usb::write_file(folder / "quorum.toml", base::as_bytes(quorum_text(quorum))));
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
  return StoredReceiptKey{std::move(blob), std::move(key)};
}

Result<void> StoredReceiptKey::save(const Layout& layout) const {
  const std::filesystem::path folder = TRY(begin_folder(layout.receipt_key()));
  TRY(save_key(folder, blob, public_key));
  return usb::rename_durably(folder, layout.receipt_key());
}

Result<void> install_chain(const Layout& layout, const std::string& name, std::string_view pem) {
  KeyClass key_class = TRY(KeyClass::load(layout, name));
  key_class.chain = TRY(crypto::certificates_from_pem(pem));
  TRY(key_class.identity());
  TRY(usb::write_file(layout.key_class(name) / "chain.pem", base::as_bytes(pem)));
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
