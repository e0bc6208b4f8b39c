#include "usb/serial/packing.hpp"

#include <gtest/gtest.h>
#include <zstd.h>

#include <algorithm>
#include <random>

namespace serial {
namespace {

using base::Bytes;
using base::Errc;

Bytes text(std::size_t bytes) {
  Bytes out;
  for (unsigned line = 0; out.size() < bytes; ++line) base::append(out, base::as_bytes("%driver.Desc% = Install, USB\\VID_1234 " + std::to_string(line) + "\r\n"));
  out.resize(bytes);
  return out;
}

Bytes random_bytes(std::size_t bytes) {
  std::mt19937 random(1);
  Bytes out(bytes);
  std::generate(out.begin(), out.end(), [&] { return static_cast<std::uint8_t>(random()); });
  return out;
}

TEST(Packing, MakesTextSmallAndGivesItBack) {
  Packer packer;
  const Bytes block = text(kBlockBytes);
  const auto packed = packer.pack(block);
  ASSERT_TRUE(packed);
  EXPECT_LT(packed->frame.size(), block.size() / 4);
  EXPECT_EQ(*unpacked(*packed), block);
}

TEST(Packing, LeavesWhatDoesNotShrinkAloneAndSoonDoesNotTry) {
  Packer packer;
  const Bytes block = random_bytes(kBlockBytes);
  for (int i = 0; i < 200; ++i) EXPECT_FALSE(packer.pack(block));
  // After a rest of at most 64 blocks it tries again, and finds that the file has changed its character.
  const Bytes easy = text(kBlockBytes);
  int in_vain = 0;
  while (!packer.pack(easy)) ASSERT_LE(++in_vain, 64);
  EXPECT_GT(in_vain, 0);
}

TEST(Packing, RefusesABombByItsDeclaredSize) {
  const auto result = unpacked({kBlockBytes + 1, {}});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), Errc::too_large);
}

// A frame that says nothing, or the wrong thing, of what is in it.
TEST(Packing, RefusesABombByItsRealSize) {
  const Bytes zeros(10'000'000, 0);
  Bytes frame(100'000);
  frame.resize(ZSTD_compress(frame.data(), frame.size(), zeros.data(), zeros.size(), 3));
  for (const std::uint32_t said : {0U, 1U, 100U, static_cast<std::uint32_t>(kBlockBytes)})
    EXPECT_EQ(unpacked({said, frame}).error().code(), Errc::malformed) << said;
  // The size in the frame's own header is changed to what the message says; the content is still ten million bytes.
  ASSERT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), zeros.size());
  const Bytes wanted = {0x80, 0x96, 0x98, 0x00};   // 10,000,000
  const auto at = std::search(frame.begin(), frame.begin() + 20, wanted.begin(), wanted.end());
  ASSERT_NE(at, frame.begin() + 20);
  std::copy_n(Bytes{0x00, 0x80, 0x00, 0x00}.begin(), 4, at);   // 32,768
  ASSERT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), kBlockBytes);
  EXPECT_EQ(unpacked({kBlockBytes, frame}).error().code(), Errc::malformed);
}

TEST(Packing, RefusesFramesThatAreCutDamagedOrTwo) {
  Packer packer;
  const Bytes block = text(5000);
  const PackedData good = *packer.pack(block);
  for (std::size_t length = 0; length < good.frame.size(); ++length) {
    PackedData cut{good.size, Bytes(good.frame.begin(), good.frame.begin() + static_cast<std::ptrdiff_t>(length))};
    EXPECT_FALSE(unpacked(cut)) << length;
  }
  PackedData two = good;
  base::append(two.frame, good.frame);
  EXPECT_FALSE(unpacked(two));
  two.size *= 2;
  EXPECT_FALSE(unpacked(two));
}

}  // namespace
}  // namespace serial
