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

// Table n gives what a byte does to the check when n more bytes follow it ("slicing by eight").
using CrcTables = std::array<std::array<std::uint32_t, 256>, 8>;
constexpr CrcTables crc_tables() {
  CrcTables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1U) != 0 ? 0x82F63B78U : 0U);
    tables[0][byte] = value;
  }
  for (std::size_t n = 1; n < tables.size(); ++n)
    for (std::size_t byte = 0; byte < 256; ++byte)
      tables[n][byte] = (tables[n - 1][byte] >> 8) ^ tables[0][tables[n - 1][byte] & 0xFFU];
  return tables;
}
constexpr CrcTables kCrcTables = crc_tables();

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
  if (bytes.size() < kFrameHeaderBytes + kFrameCheckBytes || bytes.size() > base::limits::kFrameBytes)
    return base::fail(base::Errc::malformed, "a piece of another length than frames have");
  base::ByteReader reader(bytes);
  const std::uint8_t first = TRY(reader.u8());
  Frame frame;
  frame.link = TRY(reader.u32le());
  frame.number = TRY(reader.u32le());
  const ByteView payload = TRY(reader.take(bytes.size() - kFrameHeaderBytes - kFrameCheckBytes));
  const ByteView checked = TRY(base::slice(bytes, 0, reader.offset()));
  const std::uint32_t check = TRY(reader.u32le());
  const auto type = static_cast<std::uint8_t>(first & 0x0FU);
  if (first >> 4 != kFramingVersion || !is_known(type) || crc32c(checked) != check)
    return base::fail(base::Errc::malformed, "a frame that is damaged or of another version");
  frame.type = static_cast<FrameType>(type);
  frame.payload = base::to_bytes(payload);
  return frame;
}

}  // namespace

std::uint32_t crc32c(ByteView bytes) {
  std::uint32_t value = 0xFFFFFFFFU;
  while (bytes.size() >= 8) {
    const auto low = [&](std::size_t i) { return (value >> (8 * i) & 0xFFU) ^ bytes[i]; };
    value = kCrcTables[7][low(0)] ^ kCrcTables[6][low(1)] ^ kCrcTables[5][low(2)] ^ kCrcTables[4][low(3)] ^
            kCrcTables[3][bytes[4]] ^ kCrcTables[2][bytes[5]] ^ kCrcTables[1][bytes[6]] ^ kCrcTables[0][bytes[7]];
    bytes = bytes.subspan(8);
  }
  for (const std::uint8_t byte : bytes) value = (value >> 8) ^ kCrcTables[0][(value ^ byte) & 0xFFU];
  return ~value;
}

Bytes encode_frame(const Frame& frame) {
  base::require(frame.payload.size() <= kPayloadBytes, "a frame's payload fits it");
  base::ByteWriter writer;
  writer.u8(static_cast<std::uint8_t>(kFramingVersion << 4 | static_cast<std::uint8_t>(frame.type)));
  writer.u32le(frame.link).u32le(frame.number).put(frame.payload);
  writer.u32le(crc32c(writer.bytes()));
  Bytes line;
  line.reserve(writer.size() + writer.size() / 254 + 4);
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
    if (frame) {
      frames.push_back(std::move(*frame));
    } else {
      ++dropped_;
      noise_ += piece_.size();
    }
    piece_.clear();
    skipping_ = false;
  }
}

}  // namespace serial
