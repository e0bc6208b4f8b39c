#include "crypto/base/byte_writer.hpp"

#include <limits>

#include "crypto/base/result.hpp"

namespace base {

ByteWriter& ByteWriter::little_endian(std::uint64_t value, unsigned width) {
  for (unsigned i = 0; i < width; ++i) bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  return *this;
}

ByteWriter& ByteWriter::big_endian(std::uint64_t value, unsigned width) {
  for (unsigned i = width; i-- > 0;) bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  return *this;
}

ByteWriter& ByteWriter::u8(std::uint8_t value) { return little_endian(value, 1); }
ByteWriter& ByteWriter::u16le(std::uint16_t value) { return little_endian(value, 2); }
ByteWriter& ByteWriter::u32le(std::uint32_t value) { return little_endian(value, 4); }
ByteWriter& ByteWriter::u64le(std::uint64_t value) { return little_endian(value, 8); }
ByteWriter& ByteWriter::u16be(std::uint16_t value) { return big_endian(value, 2); }
ByteWriter& ByteWriter::u32be(std::uint32_t value) { return big_endian(value, 4); }
ByteWriter& ByteWriter::u64be(std::uint64_t value) { return big_endian(value, 8); }

ByteWriter& ByteWriter::put(ByteView bytes) {
  append(bytes_, bytes);
  return *this;
}

ByteWriter& ByteWriter::put_counted(ByteView bytes) {
  require(bytes.size() <= std::numeric_limits<std::uint32_t>::max(), "counted field over 4 GiB");
  return u32le(static_cast<std::uint32_t>(bytes.size())).put(bytes);
}

ByteWriter& ByteWriter::zeros(std::size_t count) {
  bytes_.resize(bytes_.size() + count);
  return *this;
}

}  // namespace base
