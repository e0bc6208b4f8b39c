#include "crypto/base/byte_source.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/byte_reader.hpp"

namespace base {

Result<void> MemorySource::read_at(std::uint64_t offset, std::span<std::uint8_t> out) const {
  const ByteView region = TRY(slice(bytes_, offset, out.size()));
  std::copy(region.begin(), region.end(), out.begin());
  return {};
}

Result<Bytes> read_region(const ByteSource& source, std::uint64_t offset, std::uint64_t length, std::uint64_t limit) {
  TRY(expect_region(source.size(), offset, length));
  if (length > limit)
    return fail(Errc::too_large, fmt::format("{} bytes at {} are over the limit of {}", length, offset, limit));
  Bytes bytes(static_cast<std::size_t>(length));
  TRY(source.read_at(offset, bytes));
  return bytes;
}

Result<Bytes> read_all(const ByteSource& source, std::uint64_t limit) {
  return read_region(source, 0, source.size(), limit);
}

Result<void> for_each_piece(const ByteSource& source, std::uint64_t offset, std::uint64_t length,
                            const std::function<Result<void>(ByteView piece)>& use) {
  constexpr std::uint64_t kPiece = 128U << 10;
  TRY(expect_region(source.size(), offset, length));
  Bytes buffer(static_cast<std::size_t>(std::min(length, kPiece)));
  while (length > 0) {
    const std::span<std::uint8_t> piece(buffer.data(), static_cast<std::size_t>(std::min(length, kPiece)));
    TRY(source.read_at(offset, piece));
    TRY(use(piece));
    offset += piece.size();
    length -= piece.size();
  }
  return {};
}

}  // namespace base
