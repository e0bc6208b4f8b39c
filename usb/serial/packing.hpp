// Blocks of a file, made smaller for a slow line: each block is one Zstandard frame (RFC 8878) of its own, so a transfer may
// go on at any block, and nothing of an earlier file is in a later one. Files that do not shrink are soon not tried any
// more. Bombs: a frame must say how much is in it, that must be what the message says and at most kBlockBytes, and no more
// room than that is given. Memory: 0.4 MiB for the sender, 0.2 MiB for the receiver.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "usb/serial/message.hpp"

namespace serial {

class Packer {
 public:
  Packer();
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;
  ~Packer();
  // A block of at most kBlockBytes, packed; nothing when that is not worth it.
  std::optional<PackedData> pack(base::ByteView block);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
  unsigned not_tried_ = 0;   // blocks still to leave alone
  unsigned in_vain_ = 0;     // tries in a row
};

// Errc::malformed for what is no frame or holds another number of bytes than was said; Errc::too_large.
base::Result<base::Bytes> unpacked(const PackedData& data);

}  // namespace serial
