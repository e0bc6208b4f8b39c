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
constexpr std::size_t kPieceBytes = kStuffedBytes + 5;   // and the repair check

// Table n gives what a byte does to the check when n more bytes follow it ("slicing by eight").
using CrcTables = std::array<std::array<std::uint32_t, 256>, 8>;
constexpr CrcTables crc_tables(std::uint32_t polynomial) {
  CrcTables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1U) != 0 ? polynomial : 0U);
    tables[0][byte] = value;
  }
  for (std::size_t n = 1; n < tables.size(); ++n)
    for (std::size_t byte = 0; byte < 256; ++byte)
      tables[n][byte] = (tables[n - 1][byte] >> 8) ^ tables[0][tables[n - 1][byte] & 0xFFU];
  return tables;
}
constexpr CrcTables kCheck = crc_tables(0x82F63B78U);    // Castagnoli: whether a frame is whole
constexpr CrcTables kRepair = crc_tables(0xEDB88320U);   // IEEE 802.3: another one, so that no error fools both

std::uint32_t crc(const CrcTables& tables, ByteView bytes) {
  std::uint32_t value = 0xFFFFFFFFU;
  while (bytes.size() >= 8) {
    const auto low = [&](std::size_t i) { return (value >> (8 * i) & 0xFFU) ^ bytes[i]; };
    value = tables[7][low(0)] ^ tables[6][low(1)] ^ tables[5][low(2)] ^ tables[4][low(3)] ^
            tables[3][bytes[4]] ^ tables[2][bytes[5]] ^ tables[1][bytes[6]] ^ tables[0][bytes[7]];
    bytes = bytes.subspan(8);
  }
  for (const std::uint8_t byte : bytes) value = (value >> 8) ^ tables[0][(value ^ byte) & 0xFFU];
  return ~value;
}

// ---- one wrong or missing byte ------------------------------------------------------------------------------------
//
// The register of a CRC can be run forwards from the start of a frame and backwards from its end. Where a single byte is
// wrong or missing, exactly one value of it leads from what the bytes before it gave to what the bytes behind it need.

constexpr std::size_t kRepairBytes = 5;   // the repair check on the line, 7 bits in each byte, so that none is a delimiter

void put_repair_check(std::uint32_t value, Bytes& line) {
  for (std::size_t i = 0; i < kRepairBytes; ++i) line.push_back(static_cast<std::uint8_t>(0x80U | (value >> (7 * i) & 0x7FU)));
}

std::uint32_t repair_check_from(ByteView bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < kRepairBytes; ++i) value |= static_cast<std::uint32_t>(bytes[i] & 0x7FU) << (7 * i);
  return value;
}

std::uint32_t one_on(std::uint32_t value, std::uint8_t byte) { return (value >> 8) ^ kRepair[0][(value ^ byte) & 0xFFU]; }

// Which entry of the table has this upper byte; there is one of each.
constexpr std::array<std::uint8_t, 256> upper_bytes() {
  std::array<std::uint8_t, 256> entries{};
  for (std::size_t i = 0; i < 256; ++i) entries[kRepair[0][i] >> 24] = static_cast<std::uint8_t>(i);
  return entries;
}
constexpr std::array<std::uint8_t, 256> kEntryWithUpperByte = upper_bytes();

std::uint32_t one_back(std::uint32_t value, std::uint8_t byte) {
  const std::uint8_t entry = kEntryWithUpperByte[value >> 24];
  return ((value ^ kRepair[0][entry]) << 8) | static_cast<std::uint32_t>(entry ^ byte);
}

// The byte that leads from one value to the other, if any does; a delimiter never stood there.
std::optional<std::uint8_t> byte_between(std::uint32_t before, std::uint32_t behind) {
  const std::uint8_t entry = kEntryWithUpperByte[behind >> 24];
  const auto byte = static_cast<std::uint8_t>(entry ^ (before & 0xFFU));
  if (((before >> 8) ^ kRepair[0][entry]) != behind || byte == kDelimiter) return std::nullopt;
  return byte;
}

struct Repair {
  std::size_t at = 0;
  bool is_missing = false;   // put in before `at`, instead of in place of it
  std::uint8_t byte = 0;
};

// Everything that one byte could mend; in a frame with more errors, now and then something that it could not.
std::vector<Repair> repairs(ByteView stuffed, std::uint32_t check) {
  constexpr std::size_t kMost = 8;
  std::vector<std::uint32_t> needed(stuffed.size() + 1);   // before byte i, so that the rest gives the check
  needed.back() = ~check;
  for (std::size_t i = stuffed.size(); i > 0; --i) needed[i - 1] = one_back(needed[i], stuffed[i - 1]);
  std::vector<Repair> found;
  std::uint32_t value = 0xFFFFFFFFU;
  for (std::size_t i = 0; i <= stuffed.size() && found.size() < kMost; ++i) {
    if (const auto byte = byte_between(value, needed[i])) found.push_back({i, true, *byte});
    if (i == stuffed.size()) break;
    if (const auto byte = byte_between(value, needed[i + 1])) found.push_back({i, false, *byte});
    value = one_on(value, stuffed[i]);
  }
  return found;
}

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
  if (first >> 4 != kFramingVersion || !is_known(type) || crc(kCheck, checked) != check)
    return base::fail(base::Errc::malformed, "a frame that is damaged or of another version");
  frame.type = static_cast<FrameType>(type);
  frame.payload = base::to_bytes(payload);
  return frame;
}

struct Read {
  Frame frame;
  bool was_repaired = false;
};

Result<Read> read_piece(ByteView piece) {
  if (piece.size() <= kRepairBytes) return base::fail(base::Errc::malformed, "a piece that is too short");
  const ByteView stuffed = piece.first(piece.size() - kRepairBytes);
  Result<Frame> as_it_came = frame_from(stuffed);
  if (as_it_came) return Read{std::move(*as_it_came), false};
  for (const Repair& repair : repairs(stuffed, repair_check_from(piece.last(kRepairBytes)))) {
    Bytes mended = base::to_bytes(stuffed);
    const auto at = mended.begin() + static_cast<std::ptrdiff_t>(repair.at);
    if (repair.is_missing) mended.insert(at, repair.byte);
    else *at = repair.byte;
    if (Result<Frame> frame = frame_from(mended)) return Read{std::move(*frame), true};   // the other check decides
  }
  return base::fail(base::Errc::malformed, "a frame that is damaged or of another version");
}

}  // namespace

std::uint32_t crc32c(ByteView bytes) { return crc(kCheck, bytes); }

Bytes encode_frame(const Frame& frame) {
  base::require(frame.payload.size() <= kPayloadBytes, "a frame's payload fits it");
  base::ByteWriter writer;
  writer.u8(static_cast<std::uint8_t>(kFramingVersion << 4 | static_cast<std::uint8_t>(frame.type)));
  writer.u32le(frame.link).u32le(frame.number).put(frame.payload);
  writer.u32le(crc32c(writer.bytes()));
  Bytes line;
  line.reserve(writer.size() + writer.size() / 254 + kRepairBytes + 4);
  line.push_back(kDelimiter);   // ends whatever noise came before
  stuff(writer.bytes(), line);
  put_repair_check(crc(kRepair, ByteView(line).subspan(1)), line);
  line.push_back(kDelimiter);
  return line;
}

void FrameDecoder::feed(ByteView bytes, std::vector<Frame>& frames) {
  while (!bytes.empty()) {
    const auto end = std::find(bytes.begin(), bytes.end(), kDelimiter);
    const ByteView run = bytes.first(static_cast<std::size_t>(end - bytes.begin()));
    const std::size_t room = kPieceBytes - piece_.size();
    base::append(piece_, run.first(std::min(run.size(), room)));
    skipping_ = skipping_ || run.size() > room;
    if (end == bytes.end()) return;
    bytes = bytes.subspan(run.size() + 1);
    if (piece_.empty()) continue;
    Result<Read> read = skipping_ ? base::fail(base::Errc::too_large, "a frame without an end") : read_piece(piece_);
    if (read) {
      repaired_ += read->was_repaired ? 1U : 0U;
      frames.push_back(std::move(read->frame));
    } else {
      ++dropped_;
      noise_ += piece_.size();
    }
    piece_.clear();
    skipping_ = false;
  }
}

}  // namespace serial
