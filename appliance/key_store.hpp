// What lies on disk of the appliance's keys: blobs that only this TPM can load, who the officers are, and the certificate
// chain that was brought in. No secrets.
//   keys/<class>/  key.public key.private key.pem key.name birth quorum.toml chain.pem
//   keys/receipt/  key.public key.private key.pem birth
//   keys/srk.name  administrators.toml
//   keys/firmware/ mode vendor-1.pem vendor-2.pem approval.toml approval.sig
// A roster that is about to be written into the TPM stands beside as <file>.next; whichever the TPM holds is the one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appliance/layout.hpp"
#include "crypto/base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/verify_signature.hpp"
#include "tpm/firmware_gate.hpp"
#include "tpm/key_blob.hpp"
#include "tpm/quorum.hpp"

namespace appliance {

struct KeyClass {
  static base::Result<KeyClass> load(const Layout& layout, const std::string& name);
  base::Result<void> save(const Layout& layout) const;   // without the chain

  std::string name;
  unsigned slot = 0;   // its number in the TPM's map: ROSTER_k, GATE_k
  tpm::KeyBlob blob;
  tpm::Quorum quorum;
  base::Bytes key_name;   // TPM Name
  crypto::PublicKey public_key;
  // Errc::not_found, saying how to get one, until a chain was installed.
  base::Result<crypto::SigningIdentity> identity() const;
  std::vector<crypto::Certificate> chain;   // leaf first; may be empty
  tpm::Attestation birth{};                 // by the identity key
};

struct StoredReceiptKey {
  static base::Result<StoredReceiptKey> load(const Layout& layout);
  base::Result<void> save(const Layout& layout) const;

  tpm::KeyBlob blob;
  crypto::PublicKey public_key;
  tpm::Attestation birth{};
};

// What the key class would sign with, were that its chain; nothing is written. Errors as KeyClass::identity().
base::Result<crypto::SigningIdentity> identity_with_chain(const Layout& layout, const std::string& key_class, std::string_view pem);
base::Result<void> install_chain(const Layout& layout, const std::string& key_class, std::string_view pem);

// Every key class there is, by name.
base::Result<std::vector<std::string>> key_classes(const Layout& layout);

// A changed roster, in three steps: stage it, have the TPM take it, settle. What a power cut leaves between is put right by
// settling again: Errc::mismatch when the TPM holds neither.
base::Result<void> stage_roster(const std::filesystem::path& file, const tpm::Quorum& quorum, unsigned slot);
base::Result<void> settle_rosters(const Layout& layout, tpm::Device& device);
base::Result<void> save_administrators(const Layout& layout, const tpm::Quorum& administrators);
base::Result<tpm::Quorum> load_administrators(const Layout& layout);

// Whose firmware may run, and what they approved last.
// Errc::refused in production for the development vendor keys, whose private halves anybody can have.
base::Result<void> expect_vendors_for(attest::Mode mode, const std::vector<crypto::PublicKey>& vendors);
base::Result<void> save_firmware_trust(const Layout& layout, attest::Mode mode, const std::vector<crypto::PublicKey>& vendors);
base::Result<attest::FirmwareMap> load_firmware_map(const Layout& layout);
base::Result<tpm::FirmwareApproval> read_firmware_approval(const std::filesystem::path& file);   // .toml, with .sig beside it
base::Result<tpm::FirmwareApproval> load_firmware_approval(const Layout& layout);
base::Result<void> save_firmware_approval(const Layout& layout, const tpm::FirmwareApproval& approval);
std::string firmware_approval_text(std::uint64_t version, const crypto::Digest& policy, attest::Mode mode);

base::Result<base::Bytes> load_srk_name(const Layout& layout);
base::Result<void> save_srk_name(const Layout& layout, base::ByteView name);

}  // namespace appliance
