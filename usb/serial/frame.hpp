// Frames on a serial line: what survives a line that loses, damages and repeats bytes, because the receiver finds the
// start of the next frame again. Byte stuffing is COBS with 00 as the delimiter. docs/serial-protocol.md has the table.
// No I/O. A frame in which one byte is wrong or missing is repaired: its line form carries a second check for that, and the
// first one, of another polynomial, decides whether the repair is right. Frames that are damaged more, too long or of another framing version are dropped and counted, never reported as errors.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/limits.hpp"

namespace serial {

inline constexpr std::uint8_t kFramingVersion = 2;   // the upper half of a frame's first byte
inline constexpr std::size_t kFrameHeaderBytes = 9;
inline constexpr std::size_t kFrameCheckBytes = 4;
// The longest payload, so that a frame before stuffing is at most limits::kFrameBytes.
inline constexpr std::size_t kPayloadBytes = base::limits::kFrameBytes - kFrameHeaderBytes - kFrameCheckBytes;

enum class FrameType : std::uint8_t {   // the lower half of the first byte
  hello = 1,    // host: I want a link with this number, and speak these versions
  welcome = 2,  // appliance: you have it, in this version
  data = 3,     // a piece of the stream: its offset (4 bytes) and bytes
  ack = 4,      // which frame was heard last, how far the stream has come, how far it may go, what lies beyond a gap
  ping = 5,     // answer with an ack, now
  reset = 6,    // this link is over; payload = reason, UTF-8
};

struct Frame {
  FrameType type{};
  std::uint32_t link = 0;     // chosen by the host; frames of another link are not ours
  std::uint32_t number = 0;   // data and ping: how many of them this end has sent, no number twice
  base::Bytes payload;
  friend bool operator==(const Frame&, const Frame&) = default;
};

// As it goes on the line, delimiters included. The payload must be at most kPayloadBytes (our own bug otherwise).
base::Bytes encode_frame(const Frame& frame);

class FrameDecoder {  // holds at most one frame's bytes, whatever comes
 public:
  // Appends the frames completed by these bytes to `frames`; the same whether bytes come one by one or all at once.
  void feed(base::ByteView bytes, std::vector<Frame>& frames);
  std::uint64_t dropped() const { return dropped_; }   // pieces between delimiters that were no frame
  std::uint64_t noise() const { return noise_; }       // their bytes
  std::uint64_t repaired() const { return repaired_; }

 private:
  base::Bytes piece_;
  bool skipping_ = false;   // the piece is already too long
  std::uint64_t dropped_ = 0;
  std::uint64_t noise_ = 0;
  std::uint64_t repaired_ = 0;
};

std::uint32_t crc32c(base::ByteView bytes);   // Castagnoli, as in RFC 3720

}  // namespace serial
