// What lies on disk of the appliance's keys: blobs that only this TPM can load, who the officers are, and the certificate
// chain that was brought in. No secrets.
//   keys/<class>/  key.public key.private key.pem key.name quorum.toml chain.pem
//   keys/receipt/  key.public key.private key.pem
//   keys/srk.name
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appliance/layout.hpp"
#include "crypto/base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/verify_signature.hpp"
#include "tpm/key_blob.hpp"
#include "tpm/quorum.hpp"

namespace appliance {

struct KeyClass {
  static base::Result<KeyClass> load(const Layout& layout, const std::string& name);
  base::Result<void> save(const Layout& layout) const;   // without the chain

  std::string name;
  tpm::KeyBlob blob;
  tpm::Quorum quorum;
  base::Bytes key_name;   // TPM Name
  crypto::PublicKey public_key;
  // Errc::not_found, saying how to get one, until a chain was installed.
  base::Result<crypto::SigningIdentity> identity() const;
  std::vector<crypto::Certificate> chain;   // leaf first; may be empty
};

struct StoredReceiptKey {
  static base::Result<StoredReceiptKey> load(const Layout& layout);
  base::Result<void> save(const Layout& layout) const;

  tpm::KeyBlob blob;
  crypto::PublicKey public_key;
};

base::Result<void> install_chain(const Layout& layout, const std::string& key_class, std::string_view pem);

base::Result<base::Bytes> load_srk_name(const Layout& layout);
base::Result<void> save_srk_name(const Layout& layout, base::ByteView name);

}  // namespace appliance
