#include "crypto/base/secret_bytes.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "crypto/base/result.hpp"

namespace base {

// A secret has pages of its own, so that unlocking one never unlocks another, and it is left out of core dumps.
SecretBytes::SecretBytes(std::size_t size) : size_(size), capacity_(size) {
  if (size == 0) return;
  void* const pages = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require(pages != MAP_FAILED, "no memory for a secret");
  bytes_ = static_cast<std::uint8_t*>(pages);
  // Locking may be refused by RLIMIT_MEMLOCK where an ordinary user runs the host tool; the appliance's
  // units raise the limit. The secret is wiped either way.
  (void)mlock(pages, size);
  (void)madvise(pages, size, MADV_DONTDUMP);
}

SecretBytes SecretBytes::copy_of(ByteView bytes) {
  SecretBytes copy(bytes.size());
  std::copy(bytes.begin(), bytes.end(), copy.writable().begin());
  return copy;
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : bytes_(std::exchange(other.bytes_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    wipe();
    bytes_ = std::exchange(other.bytes_, nullptr);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
  }
  return *this;
}

SecretBytes::~SecretBytes() { wipe(); }

void SecretBytes::shorten(std::size_t size) {
  require(size <= size_, "shorten() cannot grow a secret");
  base::wipe(writable().subspan(size));
  size_ = size;
}

void SecretBytes::wipe() noexcept {
  if (bytes_ != nullptr) {
    explicit_bzero(bytes_, capacity_);
    (void)munmap(bytes_, capacity_);
  }
  bytes_ = nullptr;
  size_ = 0;
  capacity_ = 0;
}

void wipe(std::span<std::uint8_t> bytes) noexcept { explicit_bzero(bytes.data(), bytes.size()); }

bool equal_secrets(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace base
