// The appliance's hold on its TPM: opened when first needed, let go when it fails, so that a TPM that comes back is used
// again without a restart. Keys are loaded from the blobs of key_store.hpp and held against what was provisioned.
#pragma once

#include <memory>
#include <string>

#include "appliance/key_store.hpp"
#include "appliance/layout.hpp"
#include "crypto/base/result.hpp"
#include "tpm/device.hpp"
#include "tpm/quorum.hpp"
#include "tpm/receipt_key.hpp"

namespace appliance {

// Only one program at a time uses the TPM: coldseald or coldseal-admin. Errc::unavailable, naming the other.
class TpmLock {
 public:
  static base::Result<TpmLock> take(const Layout& layout);
  TpmLock(TpmLock&& other) noexcept;
  TpmLock& operator=(TpmLock&& other) noexcept;
  ~TpmLock();

 private:
  explicit TpmLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

class Custody {
 public:
  Custody(Layout layout, std::string tcti);

  // The open TPM, its storage root key held against the provisioned one.
  base::Result<tpm::Device*> device();
  base::Result<tpm::QuorumKey> load(const KeyClass& key_class);
  // Signs with the receipt key.
  base::Result<tpm::ReceiptKey*> receipt_key();
  const std::string& receipt_keyid() const { return receipt_keyid_; }
  // "software", or the chip's manufacturer; "unknown" until the TPM was open once.
  const std::string& kind() const { return kind_; }
  // After Errc::tpm: everything loaded is forgotten, and the next call opens the TPM anew.
  void let_go();

 private:
  Layout layout_;
  std::string tcti_;
  std::string kind_ = "unknown";
  std::string receipt_keyid_;
  std::unique_ptr<tpm::Device> device_;
  std::unique_ptr<tpm::ReceiptKey> receipt_key_;   // after device_: it goes first
};

}  // namespace appliance
