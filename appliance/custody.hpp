// The appliance's hold on its TPM: opened when first needed, let go when it fails, so that a TPM that comes back is used
// again without a restart. Keys are loaded from the blobs of key_store.hpp and held against what was provisioned.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "appliance/key_store.hpp"
#include "appliance/layout.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "tpm/administration.hpp"
#include "tpm/audit_anchor.hpp"
#include "tpm/device.hpp"
#include "tpm/firmware_gate.hpp"
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
  // mode: what coldseal.toml says; it must be what the ceremony made of the appliance. configuration: the digest of
  // coldseal.toml, to be the one that administrators approved; without one it is not looked at.
  Custody(Layout layout, std::string tcti, attest::Mode mode, std::optional<crypto::Digest> configuration = std::nullopt);

  // The open TPM: its storage root key is the provisioned one, its hierarchies are closed, its mode is the appliance's, and a
  // vendor signed the firmware approval in use; whether that is what runs, the gate says. Changed rosters are settled. Errc::mismatch, Errc::refused
  // for one of which any of this is not so.
  base::Result<tpm::Device*> device();
  base::Result<tpm::FirmwareGate*> gate();
  // From the next opening on, instead of the stored approval: for when that is damaged or lost.
  void use_approval(tpm::FirmwareApproval approval) { approval_ = std::move(approval); }
  base::Result<tpm::AuditAnchor> anchor();
  base::Result<tpm::Administration> administration();
  // What the TPM's clock says, once administrators have set it (coldseal-admin clock); none before. It goes on while the TPM has power.
  base::Result<std::optional<base::Time>> time();
  // Two words that only this box can show; people look for them before they enter a PIN.
  base::Result<std::string> words();
  attest::Mode mode() const { return mode_; }   // the configuration's, and once the TPM was open also the keys'
  // How often the TPM was opened: whoever holds something of it sees that it was opened anew.
  std::uint64_t openings() const { return openings_; }
  base::Result<tpm::QuorumKey> load(const KeyClass& key_class, crypto::Sha1 sha1 = crypto::Sha1::refused);
  // Signs with the receipt key.
  base::Result<tpm::ReceiptKey*> receipt_key();
  const std::string& receipt_keyid() const { return receipt_keyid_; }
  // "software", or the chip's manufacturer; "unknown" until the TPM was open once.
  const std::string& kind() const { return kind_; }
  const std::string& firmware() const { return firmware_; }   // what is known of what runs here, for receipts
  // A TPM that went away while nobody used it is let go, so that the next use opens it anew. Nothing of it may be held.
  void notice_loss();
  // After Errc::tpm: everything loaded is forgotten, and the next call opens the TPM anew.
  void let_go();

 private:
  Layout layout_;
  std::string tcti_;
  std::string kind_ = "unknown";
  std::string firmware_ = "not measured";
  std::string receipt_keyid_;
  std::optional<crypto::Digest> configuration_;
  std::optional<tpm::FirmwareApproval> approval_;
  attest::Mode mode_;
  std::uint64_t openings_ = 0;
  std::string words_;
  std::unique_ptr<tpm::Device> device_;
  std::unique_ptr<tpm::FirmwareGate> gate_;        // after device_: it goes first
  std::unique_ptr<tpm::ReceiptKey> receipt_key_;   // likewise
};

}  // namespace appliance
