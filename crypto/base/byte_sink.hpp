// Where a format writes its output, in order: a file of usb/files, or memory.
#pragma once

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"

namespace base {

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual Result<void> write(ByteView bytes) = 0;   // Errc::no_space, Errc::io
};

class MemorySink final : public ByteSink {
 public:
  Result<void> write(ByteView bytes) override {
    append(bytes_, bytes);
    return {};
  }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

}  // namespace base
