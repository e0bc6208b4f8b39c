// A file of known size, read where we want. The formats read from here and never hold a whole image,
// so that a 4 GiB PE is digested and signed in constant memory.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"

namespace base {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::uint64_t size() const = 0;
  // Fills out from offset on. Errc::malformed when the region is not inside size(); Errc::io when the device
  // fails or the file has shrunk.
  virtual Result<void> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const = 0;
};

// Bytes already in memory, which must outlive the source.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(ByteView bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  Result<void> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override;

 private:
  ByteView bytes_;
};

// A region as bytes of our own. Errc::too_large, before allocating, when it is longer than limit.
Result<Bytes> read_region(const ByteSource& source, std::uint64_t offset, std::uint64_t length, std::uint64_t limit);

// The whole source as bytes of our own, under the same rule.
Result<Bytes> read_all(const ByteSource& source, std::uint64_t limit);

// Hands the region to `use` in order, in pieces of at most 1 MiB; stops at its first error.
Result<void> for_each_piece(const ByteSource& source, std::uint64_t offset, std::uint64_t length,
                            const std::function<Result<void>(ByteView piece)>& use);

}  // namespace base
