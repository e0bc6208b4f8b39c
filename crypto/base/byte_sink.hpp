// Where a format writes its output, in order: a file of usb/files, or memory.
#pragma once

#include <algorithm>
#include <cstdint>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"

namespace base {

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual Result<void> write(ByteView bytes) = 0;   // Errc::no_space, Errc::io
};

// One that also takes back what it has: a field is filled in when the rest of the file is known.
class PatchableSink : public ByteSink {
 public:
  // Replaces bytes already written; stops the program when they are not inside those.
  virtual Result<void> overwrite(std::uint64_t offset, ByteView bytes) = 0;
};

class MemorySink final : public PatchableSink {
 public:
  Result<void> write(ByteView bytes) override {
    append(bytes_, bytes);
    return {};
  }
  Result<void> overwrite(std::uint64_t offset, ByteView bytes) override {
    require(offset <= bytes_.size() && bytes.size() <= bytes_.size() - offset, "overwriting bytes not written yet");
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

}  // namespace base
