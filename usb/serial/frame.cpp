#include "usb/serial/frame.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/result.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::ByteView;
using base::Result;

constexpr std::uint8_t kDelimiter = 0;
// COBS adds one byte for every 254 and one at the start.
constexpr std::size_t kStuffedBytes = base::limits::kFrameBytes + base::limits::kFrameBytes / 254 + 2;

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1U) != 0 ? 0x82F63B78U : 0U);
    table[byte] = value;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kCrcTable = crc_table();

// Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999): no 00 in the result, which follows the delimiter in `out`.
void stuff(ByteView bytes, Bytes& out) {
  constexpr std::size_t kLongestRun = 254;
  while (true) {
    const ByteView window = bytes.first(std::min(bytes.size(), kLongestRun));
    const auto zero = std::find(window.begin(), window.end(), kDelimiter);
    const auto run = static_cast<std::size_t>(zero - window.begin());
    out.push_back(static_cast<std::uint8_t>(run + 1));
    base::append(out, window.first(run));
    // A full run stands for itself; a shorter one for itself and the zero behind it, or for the end.
    const bool has_zero = zero != window.end();
    if (!has_zero && run < kLongestRun) return;
    bytes = bytes.subspan(run + (has_zero ? 1U : 0U));
  }
}

Result<Bytes> unstuffed(ByteView stuffed) {
  Bytes out;
  out.reserve(stuffed.size());
  base::ByteReader reader(stuffed);
  while (!reader.at_end()) {
    const std::uint8_t code = TRY(reader.u8());
    if (code == kDelimiter) return base::fail(base::Errc::malformed, "a delimiter inside a frame");
    const ByteView run = TRY(reader.take(code - 1U));
    base::append(out, run);
    if (code != 0xFF && !reader.at_end()) out.push_back(kDelimiter);
  }
  return out;
}

bool is_known(std::uint8_t type) {
  return type >= static_cast<std::uint8_t>(FrameType::hello) && type <= static_cast<std::uint8_t>(FrameType::reset);
}

Result<Frame> frame_from(ByteView stuffed) {
  const Bytes bytes = TRY(unstuffed(stuffed));
  base::ByteReader reader(bytes);
  const std::uint8_t version = TRY(reader.u8());
  const std::uint8_t type = TRY(reader.u8());
  const std::uint16_t length = TRY(reader.u16le());
  Frame frame;
  frame.link = TRY(reader.u32le());
  frame.sequence = TRY(reader.u32le());
  const ByteView payload = TRY(reader.take(length));
  const std::size_t checked = reader.offset();
  const std::uint32_t check = TRY(reader.u32le());
  TRY(reader.expect_end());
  if (crc32c(ByteView(bytes).first(checked)) != check || version != kFramingVersion || !is_known(type) ||
      length > kPayloadBytes)
    return base::fail(base::Errc::malformed, "a frame that is damaged or of another version");
  frame.type = static_cast<FrameType>(type);
  frame.payload = base::to_bytes(payload);
  return frame;
}

}  // namespace

std::uint32_t crc32c(ByteView bytes) {
  std::uint32_t value = 0xFFFFFFFFU;
  for (const std::uint8_t byte : bytes) value = (value >> 8) ^ kCrcTable[(value ^ byte) & 0xFFU];
  return ~value;
}

Bytes encode_frame(const Frame& frame) {
  base::require(frame.payload.size() <= kPayloadBytes, "a frame's payload fits it");
  base::ByteWriter writer;
  writer.u8(kFramingVersion).u8(static_cast<std::uint8_t>(frame.type));
  writer.u16le(static_cast<std::uint16_t>(frame.payload.size())).u32le(frame.link).u32le(frame.sequence);
  writer.put(frame.payload);
  writer.u32le(crc32c(writer.bytes()));
  Bytes line;
  line.reserve(kStuffedBytes + 2);
  line.push_back(kDelimiter);   // ends whatever noise came before
  stuff(writer.bytes(), line);
  line.push_back(kDelimiter);
  return line;
}

void FrameDecoder::feed(ByteView bytes, std::vector<Frame>& frames) {
  while (!bytes.empty()) {
    const auto end = std::find(bytes.begin(), bytes.end(), kDelimiter);
    const ByteView run = bytes.first(static_cast<std::size_t>(end - bytes.begin()));
    const std::size_t room = kStuffedBytes - piece_.size();
    base::append(piece_, run.first(std::min(run.size(), room)));
    skipping_ = skipping_ || run.size() > room;
    if (end == bytes.end()) return;
    bytes = bytes.subspan(run.size() + 1);
    if (piece_.empty()) continue;
    Result<Frame> frame = skipping_ ? base::fail(base::Errc::too_large, "a frame without an end") : frame_from(piece_);
    if (frame) frames.push_back(std::move(*frame));
    else ++dropped_;
    piece_.clear();
    skipping_ = false;
  }
}

}  // namespace serial
