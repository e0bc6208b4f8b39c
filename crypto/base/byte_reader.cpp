#include "crypto/base/byte_reader.hpp"

#include <fmt/format.h>

namespace base {

Result<void> expect_region(std::uint64_t present, std::uint64_t offset, std::uint64_t length) {
  if (offset > present || length > present - offset)
    return fail(Errc::malformed,
                fmt::format("region of {} bytes at {} is outside the {} bytes present", length, offset, present));
  return {};
}

Result<ByteView> slice(ByteView bytes, std::uint64_t offset, std::uint64_t length) {
  TRY(expect_region(bytes.size(), offset, length));
  return bytes.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
}

Result<ByteView> ByteReader::take(std::uint64_t count) {
  if (count > rest_.size())
    return fail(Errc::malformed,
                fmt::format("{} bytes wanted at offset {}, {} present", count, offset(), rest_.size()));
  const ByteView taken = rest_.first(static_cast<std::size_t>(count));
  rest_ = rest_.subspan(static_cast<std::size_t>(count));
  return taken;
}

Result<ByteView> ByteReader::take_counted(std::uint64_t limit) {
  const std::size_t at = offset();
  const std::uint32_t length = TRY(u32le());
  if (length > limit)
    return fail(Errc::too_large, fmt::format("length {} at offset {} is over the limit of {}", length, at, limit));
  return take(length);
}

Result<void> ByteReader::skip(std::uint64_t count) {
  TRY(take(count));
  return {};
}

Result<void> ByteReader::expect_end() const {
  if (!rest_.empty())
    return fail(Errc::malformed, fmt::format("{} bytes left over at offset {}", rest_.size(), offset()));
  return {};
}

Result<std::uint64_t> ByteReader::little_endian(std::size_t width) {
  const ByteView raw = TRY(take(width));
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- > 0;) value = (value << 8) | raw[i];
  return value;
}

Result<std::uint64_t> ByteReader::big_endian(std::size_t width) {
  const ByteView raw = TRY(take(width));
  std::uint64_t value = 0;
  for (const std::uint8_t octet : raw) value = (value << 8) | octet;
  return value;
}

Result<std::uint8_t> ByteReader::u8() {
  const std::uint64_t value = TRY(little_endian(1));
  return static_cast<std::uint8_t>(value);
}
Result<std::uint16_t> ByteReader::u16le() {
  const std::uint64_t value = TRY(little_endian(2));
  return static_cast<std::uint16_t>(value);
}
Result<std::uint32_t> ByteReader::u32le() {
  const std::uint64_t value = TRY(little_endian(4));
  return static_cast<std::uint32_t>(value);
}
Result<std::uint64_t> ByteReader::u64le() { return little_endian(8); }
Result<std::uint16_t> ByteReader::u16be() {
  const std::uint64_t value = TRY(big_endian(2));
  return static_cast<std::uint16_t>(value);
}
Result<std::uint32_t> ByteReader::u32be() {
  const std::uint64_t value = TRY(big_endian(4));
  return static_cast<std::uint32_t>(value);
}
Result<std::uint64_t> ByteReader::u64be() { return big_endian(8); }

}  // namespace base
