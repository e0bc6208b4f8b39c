// Reading untrusted bytes. slice() is the only place where an offset and a length from a file meet;
// ByteReader is a cursor whose every step is checked. Numbers stay 64 bits wide until slice() took them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"

namespace base {

// Whether [offset, offset + length) lies inside `present` bytes. Errc::malformed if not.
Result<void> expect_region(std::uint64_t present, std::uint64_t offset, std::uint64_t length);

// That region of bytes, which must outlive the view.
Result<ByteView> slice(ByteView bytes, std::uint64_t offset, std::uint64_t length);

class ByteReader {  // a view: the bytes must outlive it
 public:
  explicit ByteReader(ByteView bytes) : all_(bytes), rest_(bytes) {}

  Result<std::uint8_t> u8();
  Result<std::uint16_t> u16le();
  Result<std::uint32_t> u32le();
  Result<std::uint64_t> u64le();
  Result<std::uint16_t> u16be();
  Result<std::uint32_t> u32be();
  Result<std::uint64_t> u64be();
  // The next count bytes.
  Result<ByteView> take(std::uint64_t count);
  // A 32-bit little-endian length, at most limit, and that many bytes.
  Result<ByteView> take_counted(std::uint64_t limit);
  Result<void> skip(std::uint64_t count);
  Result<void> expect_end() const;
  std::size_t offset() const { return all_.size() - rest_.size(); }
  std::size_t remaining() const { return rest_.size(); }
  bool at_end() const { return rest_.empty(); }

 private:
  Result<std::uint64_t> little_endian(std::size_t width);
  Result<std::uint64_t> big_endian(std::size_t width);

  ByteView all_;
  ByteView rest_;
};

}  // namespace base
