// The mirror of ByteReader: appends numbers and bytes to a growing buffer.
#pragma once

#include <cstdint>

#include "crypto/base/bytes.hpp"

namespace base {

class ByteWriter {
 public:
  ByteWriter& reserve(std::size_t size) { return bytes_.reserve(size), *this; }   // before much is put
  ByteWriter& u8(std::uint8_t value);
  ByteWriter& u16le(std::uint16_t value);
  ByteWriter& u32le(std::uint32_t value);
  ByteWriter& u64le(std::uint64_t value);
  ByteWriter& u16be(std::uint16_t value);
  ByteWriter& u32be(std::uint32_t value);
  ByteWriter& u64be(std::uint64_t value);
  ByteWriter& put(ByteView bytes);
  // A 32-bit little-endian length and the bytes, as ByteReader::take_counted reads them.
  ByteWriter& put_counted(ByteView bytes);
  ByteWriter& zeros(std::size_t count);
  const Bytes& bytes() const& { return bytes_; }
  Bytes bytes() && { return std::move(bytes_); }
  std::size_t size() const { return bytes_.size(); }

 private:
  ByteWriter& little_endian(std::uint64_t value, unsigned width);
  ByteWriter& big_endian(std::uint64_t value, unsigned width);
  Bytes bytes_;
};

}  // namespace base
