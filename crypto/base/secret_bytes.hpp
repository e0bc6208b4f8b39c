// Bytes that are locked in memory and wiped when they go: PINs, pass phrases, private keys. Move-only,
// never printed, never compared with ==. The size is fixed at birth, so no copy is left behind by growth.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "crypto/base/bytes.hpp"

namespace base {

class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::size_t size);
  // A copy of bytes; the caller wipes its own.
  static SecretBytes copy_of(ByteView bytes);
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  std::span<std::uint8_t> writable() { return {bytes_, size_}; }
  ByteView reveal() const { return {bytes_, size_}; }   // greppable on purpose
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Forgets everything after the first `size` bytes, and wipes it.
  void shorten(std::size_t size);
  void wipe() noexcept;

 private:
  std::uint8_t* bytes_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// Wipes memory that is not a SecretBytes, such as a buffer of a C library.
void wipe(std::span<std::uint8_t> bytes) noexcept;

// Equal, in time that depends on the sizes only.
bool equal_secrets(ByteView a, ByteView b);

}  // namespace base
