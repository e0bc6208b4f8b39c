#include "appliance/custody.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tpm/provisioning.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

Result<TpmLock> TpmLock::take(const Layout& layout) {
  TRY(usb::make_folders(layout.runtime()));
  const int descriptor = ::open(layout.tpm_lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return fail(Errc::io, fmt::format("{}: {}", layout.tpm_lock().string(), std::strerror(errno)));
  TpmLock lock(descriptor);
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0)
    return fail(Errc::unavailable, "the TPM is in use: stop coldseald (or the other coldseal-admin) first");
  return lock;
}

TpmLock::TpmLock(TpmLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

TpmLock& TpmLock::operator=(TpmLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

TpmLock::~TpmLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Custody::Custody(Layout layout, std::string tcti, attest::Mode mode, std::optional<crypto::Digest> configuration)
    : layout_(std::move(layout)), tcti_(std::move(tcti)), configuration_(std::move(configuration)), mode_(mode) {}

namespace {

Result<void> expect_as_provisioned(tpm::Device& device, const base::Bytes& srk_name, attest::Mode mode) {
  TRY(device.expect_srk(srk_name));
  const std::vector<std::string> objections = TRY(tpm::objections_at_start(device, mode));
  if (!objections.empty()) return fail(Errc::refused, objections.front());
  return tpm::expect_closed(device);
}

}  // namespace

Result<tpm::Device*> Custody::device() {
  if (device_ != nullptr) return device_.get();
  const base::Bytes srk_name = TRY(load_srk_name(layout_));
  attest::FirmwareMap map = TRY(load_firmware_map(layout_));
  tpm::FirmwareApproval approval = approval_ ? *approval_ : TRY(load_firmware_approval(layout_));
  if (map.trust().mode != mode_)
    return fail(Errc::refused, fmt::format("coldseal.toml says mode = \"{}\" and this appliance was born in {} mode, for ever: put it back",
                                           attest::mode_name(mode_), attest::mode_name(map.trust().mode)));
  std::unique_ptr<tpm::Device> opened = TRY(tpm::Device::open(tcti_));
  TRY(expect_as_provisioned(*opened, srk_name, map.trust().mode));
  firmware_ = fmt::format("version {} approved; image not measured", approval.version);
  auto gate = std::make_unique<tpm::FirmwareGate>(TRY(tpm::FirmwareGate::load(*opened, std::move(map), std::move(approval))));
  if (configuration_) {
    const base::Bytes approved = TRY(base::within("CONFIG", tpm::read_public_index(*opened, attest::config_index())));
    if (!std::equal(approved.begin(), approved.end(), configuration_->bytes().begin(), configuration_->bytes().end()))
      return fail(Errc::refused, "coldseal.toml is not the one that administrators approved; put it back, or let them approve it: "
                                 "coldseal-admin configuration approve");
  }
  // What a power cut left of a changed roster; nobody else changes one while the TPM is ours.
  TRY(settle_rosters(layout_, *opened));
  kind_ = opened->is_software() ? "software" : opened->manufacturer();
  words_.clear();
  ++openings_;
  device_ = std::move(opened);
  gate_ = std::move(gate);
  return device_.get();
}

Result<tpm::FirmwareGate*> Custody::gate() {
  TRY(device());
  return gate_.get();
}

Result<tpm::AuditAnchor> Custody::anchor() {
  tpm::Device* const open = TRY(device());
  return tpm::AuditAnchor(*open, *gate_);
}

Result<tpm::Administration> Custody::administration() {
  tpm::Device* const open = TRY(device());
  const tpm::Quorum administrators = TRY(load_administrators(layout_));
  return tpm::Administration::load(*open, administrators);
}

Result<std::optional<base::Time>> Custody::time() {
  tpm::Device* const open = TRY(device());
  const std::chrono::milliseconds clock(TRY(open->clock_ms()));
  const base::Time time(std::chrono::floor<std::chrono::seconds>(clock));
  // One that was never set counts from the TPM's first day.
  constexpr base::Time kEarliest = std::chrono::sys_days(std::chrono::year(2020) / 1 / 1);
  return time < kEarliest ? std::nullopt : std::optional(time);
}

Result<std::string> Custody::words() {
  TRY(device());
  if (words_.empty()) words_ = TRY(gate_->words());
  return words_;
}

Result<tpm::QuorumKey> Custody::load(const KeyClass& key_class, crypto::Sha1 sha1) {
  tpm::Device* const open = TRY(device());
  tpm::QuorumKey key = TRY(tpm::QuorumKey::load(*open, *gate_, key_class.slot, key_class.blob, key_class.quorum, sha1));
  if (key.name() != key_class.key_name || !(key.public_key() == key_class.public_key))
    return fail(Errc::mismatch, fmt::format("key class \"{}\": key.name or key.pem is not that of key.public", key_class.name));
  return key;
}

Result<tpm::ReceiptKey*> Custody::receipt_key() {
  tpm::Device* const open = TRY(device());
  if (receipt_key_ == nullptr) {
    const StoredReceiptKey stored = TRY(StoredReceiptKey::load(layout_));
    std::unique_ptr<tpm::ReceiptKey> key = TRY(tpm::ReceiptKey::load(*open, *gate_, stored.blob));
    if (!(key->public_key() == stored.public_key)) return fail(Errc::mismatch, "receipt key: key.pem is not that of key.public");
    receipt_keyid_ = key->public_key().keyid();
    receipt_key_ = std::move(key);
  }
  return receipt_key_.get();
}

void Custody::notice_loss() {
  if (device_ != nullptr && !device_->running_ms()) let_go();
}

void Custody::let_go() {
  receipt_key_.reset();
  gate_.reset();
  device_.reset();
}

}  // namespace appliance
