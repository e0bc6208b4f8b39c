#include "usb/serial/frame.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/support/parcels.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::ByteView;

std::vector<Frame> decoded(ByteView line, std::size_t step) {
  FrameDecoder decoder;
  std::vector<Frame> frames;
  for (std::size_t at = 0; at < line.size(); at += step)
    decoder.feed(line.subspan(at, std::min(step, line.size() - at)), frames);
  return frames;
}

Frame some_frame(std::size_t payload, unsigned seed) {
  return {FrameType::data, 0x12345678, seed, tests::some_bytes(payload, seed)};
}

TEST(Crc32c, GivesTheCheckValueOfItsDefinition) {
  EXPECT_EQ(crc32c(base::as_bytes("123456789")), 0xE3069283U);   // Castagnoli, RFC 3720 appendix B.4 uses the same polynomial
  EXPECT_EQ(crc32c(Bytes(32, 0x00)), 0x8A9136AAU);               // RFC 3720 appendix B.4: 32 bytes of zeroes
  EXPECT_EQ(crc32c(Bytes(32, 0xFF)), 0x62A8AB43U);               // and of ones
}

TEST(Frame, HasTheBytesOfTheDocument) {
  // delimiter | COBS: 3 bytes follow, then a zero ... | delimiter
  const Bytes line = encode_frame({FrameType::ping, 0x11223344, 5, {}});
  const Bytes start = {0x00, 0x07, 0x25, 0x44, 0x33, 0x22, 0x11, 0x05,   // version 2, type 5 (ping); link; number 5
                       0x01, 0x01};                                      // and its zeros
  ASSERT_GE(line.size(), start.size());
  EXPECT_EQ(Bytes(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(start.size())), start);
  EXPECT_EQ(line.back(), 0x00);
}

TEST(Frame, ComesBackWhateverItsLength) {
  for (const std::size_t size : {0U, 1U, 2U, 237U, 238U, 239U, 240U, 253U, 254U, 255U, 508U, 509U, 5000U}) {
    for (const Bytes& payload : {tests::some_bytes(size, 1), Bytes(size, 0x00), Bytes(size, 0xFF)}) {
      const Frame frame{FrameType::data, 7, 8, payload};
      const std::vector<Frame> frames = decoded(encode_frame(frame), 1000000);
      ASSERT_EQ(frames.size(), 1U) << size;
      EXPECT_EQ(frames[0], frame) << size;
    }
  }
}

TEST(Frame, OfTheLongestPayloadComesBack) {
  const Frame frame = some_frame(kPayloadBytes, 3);
  const std::vector<Frame> frames = decoded(encode_frame(frame), 1000000);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0], frame);
}

TEST(FrameDecoder, GivesTheSameFramesHoweverTheBytesArrive) {
  Bytes line = tests::some_bytes(100, 9);   // noise before, between and behind
  for (unsigned seed = 0; seed < 20; ++seed) {
    base::append(line, encode_frame(some_frame(seed * 37, seed)));
    if (seed % 3 == 0) base::append(line, tests::some_bytes(seed, seed));
  }
  const std::vector<Frame> all = decoded(line, line.size());
  EXPECT_EQ(all.size(), 20U);
  for (const std::size_t step : {1U, 2U, 4U, 7U}) EXPECT_EQ(decoded(line, step), all) << step;
}

TEST(FrameDecoder, RepairsAFrameWithAnyOneBitChanged) {
  const Frame frame = some_frame(300, 5);   // more than one run of COBS
  const Bytes line = encode_frame(frame);
  for (std::size_t bit = 8; bit < (line.size() - 1) * 8; ++bit) {   // all but the delimiters
    Bytes damaged = line;
    damaged[bit / 8] = static_cast<std::uint8_t>(damaged[bit / 8] ^ (1U << (bit % 8)));
    if (damaged[bit / 8] == 0) continue;   // a delimiter in the middle: two halves, and nothing to be done
    const std::vector<Frame> frames = decoded(damaged, damaged.size());
    ASSERT_EQ(frames.size(), 1U) << "bit " << bit;
    EXPECT_EQ(frames[0], frame) << "bit " << bit;
  }
}

TEST(FrameDecoder, RepairsAFrameWithAnyOneByteMissing) {
  const Frame frame = some_frame(300, 5);
  const Bytes line = encode_frame(frame);
  for (std::size_t at = 1; at + 6 < line.size(); ++at) {   // all but the delimiters and the repair check
    Bytes damaged = line;
    damaged.erase(damaged.begin() + static_cast<std::ptrdiff_t>(at));
    FrameDecoder decoder;
    std::vector<Frame> frames;
    decoder.feed(damaged, frames);
    ASSERT_EQ(frames.size(), 1U) << at;
    EXPECT_EQ(frames[0], frame) << at;
    EXPECT_EQ(decoder.repaired(), 1U);
  }
}

TEST(FrameDecoder, NeverTakesAFrameWithMoreErrorsForAnotherOne) {
  const Frame frame = some_frame(1000, 5);
  const Bytes line = encode_frame(frame);
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    Bytes damaged = line;
    for (std::size_t errors = 2 + random() % 4; errors > 0; --errors) {
      const std::size_t at = 1 + random() % (damaged.size() - 2);
      if (random() % 2 == 0) damaged.erase(damaged.begin() + static_cast<std::ptrdiff_t>(at));
      else damaged[at] = static_cast<std::uint8_t>(1 + random() % 255);
    }
    for (const Frame& one : decoded(damaged, damaged.size())) ASSERT_EQ(one, frame) << i;
  }
}

TEST(FrameDecoder, FindsTheNextFrameAfterOneWithoutAnEnd) {
  Bytes line = {0};
  base::append(line, Bytes(100000, 0x55));   // longer than any frame
  const Frame frame = some_frame(10, 1);
  base::append(line, encode_frame(frame));
  FrameDecoder decoder;
  std::vector<Frame> frames;
  decoder.feed(line, frames);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0], frame);
  EXPECT_EQ(decoder.dropped(), 1U);
}

// A frame without a zero in it, stuffed by hand, with a right check.
Bytes line_with(std::uint8_t first) {
  Bytes frame = {first};
  frame.insert(frame.end(), 8, 0x01);            // link and number
  frame.insert(frame.end(), 0x0101, 0x55);       // payload
  std::uint32_t check = 0;
  do {
    frame.back() = static_cast<std::uint8_t>(frame.back() + 1);
    check = crc32c(frame);
  } while ((check & 0xFF) == 0 || (check >> 8 & 0xFF) == 0 || (check >> 16 & 0xFF) == 0 || check >> 24 == 0);
  for (int shift = 0; shift < 32; shift += 8) frame.push_back(static_cast<std::uint8_t>(check >> shift));
  Bytes line = {0x00, 0xFF};                     // 254 bytes that are not zero
  line.insert(line.end(), frame.begin(), frame.begin() + 254);
  line.push_back(static_cast<std::uint8_t>(frame.size() - 254 + 1));   // and the rest
  line.insert(line.end(), frame.begin() + 254, frame.end());
  line.insert(line.end(), {0x81, 0x82, 0x83, 0x84, 0x80});             // a repair check that is not looked at when all is well
  line.push_back(0x00);
  return line;
}

TEST(FrameDecoder, DropsAnotherFramingVersionAndUnknownTypes) {
  EXPECT_EQ(decoded(line_with(0x23), 1000).size(), 1U);
  for (const int first : {0x13, 0x33, 0x03, 0x20, 0x27, 0x2F, 0xFF})
    EXPECT_TRUE(decoded(line_with(static_cast<std::uint8_t>(first)), 1000).empty()) << first;
}

}  // namespace
}  // namespace serial
