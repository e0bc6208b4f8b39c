#include "appliance/custody.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

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

Custody::Custody(Layout layout, std::string tcti) : layout_(std::move(layout)), tcti_(std::move(tcti)) {}

Result<tpm::Device*> Custody::device() {
  if (device_ == nullptr) {
    const base::Bytes srk_name = TRY(load_srk_name(layout_));
    std::unique_ptr<tpm::Device> opened = TRY(tpm::Device::open(tcti_));
    TRY(opened->expect_srk(srk_name));
    kind_ = opened->is_software() ? "software" : opened->manufacturer();
    device_ = std::move(opened);
  }
  return device_.get();
}

Result<tpm::QuorumKey> Custody::load(const KeyClass& key_class) {
  tpm::Device* const open = TRY(device());
  tpm::QuorumKey key = TRY(tpm::QuorumKey::load(*open, key_class.blob, key_class.quorum));
  if (key.name() != key_class.key_name || !(key.public_key() == key_class.public_key))
    return fail(Errc::mismatch, fmt::format("key class \"{}\": key.name or key.pem is not that of key.public", key_class.name));
  return key;
}

Result<tpm::ReceiptKey*> Custody::receipt_key() {
  tpm::Device* const open = TRY(device());
  if (receipt_key_ == nullptr) {
    const StoredReceiptKey stored = TRY(StoredReceiptKey::load(layout_));
    std::unique_ptr<tpm::ReceiptKey> key = TRY(tpm::ReceiptKey::load(*open, stored.blob));
    if (!(key->public_key() == stored.public_key)) return fail(Errc::mismatch, "receipt key: key.pem is not that of key.public");
    receipt_keyid_ = key->public_key().keyid();
    receipt_key_ = std::move(key);
  }
  return receipt_key_.get();
}

void Custody::let_go() {
  receipt_key_.reset();
  device_.reset();
}

}  // namespace appliance
