#include "crypto/formats/cab_file.hpp"

#include <gtest/gtest.h>

#include "crypto/base/byte_reader.hpp"
#include "crypto/der/writer.hpp"
#include "tests/support/cab_builder.hpp"

namespace {

using base::Bytes;
using base::ByteView;
using base::MemorySource;
using crypto::DigestAlgorithm;
using formats::CabFile;

std::uint32_t u32(const Bytes& bytes, std::size_t at) {
  return *base::ByteReader(ByteView(bytes).subspan(at, 4)).u32le();
}
void put32(Bytes& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
}

Bytes signature(std::size_t size = 21) { return der::octet_string(Bytes(size, 0x55)); }
Bytes as_signature(std::size_t size = 21) { return der::sequence({signature(size)}); }

Bytes signed_cab(const Bytes& file, const Bytes& der = as_signature()) {
  base::MemorySink out;
  const MemorySource source(file);
  EXPECT_TRUE(CabFile::parse(source)->write_signed(source, der, out));
  return out.bytes();
}

crypto::Digest digest(const Bytes& file) {
  const MemorySource source(file);
  return *CabFile::parse(source)->digest(source, DigestAlgorithm::sha256);
}

base::Errc refusal(const Bytes& file) {
  const auto cab = CabFile::parse(MemorySource(file));
  EXPECT_FALSE(cab);
  return cab ? base::Errc::usage : cab.error().code();
}

const tests::CabDescription kTwoFolders = {{{"one", "two"}, {"three"}}, 0, {}};

TEST(CabFile, SigningMovesEverythingBehindTheAreaBy24Bytes) {
  const Bytes file = tests::build_cab(kTwoFolders);
  const Bytes done = signed_cab(file);
  EXPECT_EQ(u32(done, 8), u32(file, 8) + 24);     // cbCabinet
  EXPECT_EQ(u32(done, 16), u32(file, 16) + 24);   // coffFiles
  EXPECT_EQ(u32(done, 60), u32(file, 36) + 24);   // coffCabStart of both folders
  EXPECT_EQ(u32(done, 68), u32(file, 44) + 24);
  EXPECT_EQ(u32(done, 36), 20U);                  // cbCFHeader
  EXPECT_EQ(u32(done, 40), 0x00100000U);
  EXPECT_EQ(u32(done, 44), u32(done, 8));
  EXPECT_EQ(u32(done, 48), (as_signature().size() + 7) / 8 * 8);
  EXPECT_EQ(done.size(), u32(done, 44) + u32(done, 48));
  EXPECT_TRUE(std::equal(file.begin() + 52, file.end(), done.begin() + 76));
}

TEST(CabFile, TheDigestIsTheSameBeforeAndAfterSigningAndRemoving) {
  const Bytes file = tests::build_cab(kTwoFolders);
  const Bytes done = signed_cab(file);
  EXPECT_EQ(digest(done), digest(file));
  base::MemorySink removed;
  const MemorySource source(done);
  ASSERT_TRUE(CabFile::parse(source)->write_unsigned(source, removed));
  EXPECT_EQ(removed.bytes(), file);
}

TEST(CabFile, SigningAgainWithAShorterSignatureGivesAShorterFile) {
  const Bytes file = tests::build_cab(kTwoFolders);
  EXPECT_EQ(signed_cab(signed_cab(file, as_signature(500))), signed_cab(file));
}

TEST(CabFile, AnEmptyReservedAreaOfAnySizeBecomesThePlaceOfTheSignature) {
  for (const std::size_t size : {20U, 24U, 6144U}) {
    tests::CabDescription description = kTwoFolders;
    description.reserve = Bytes(size);
    EXPECT_EQ(signed_cab(tests::build_cab(description)), signed_cab(tests::build_cab(kTwoFolders))) << size;
  }
}

TEST(CabFile, EveryByteButReserved1AndTheAreaIsDigested) {
  const Bytes done = signed_cab(tests::build_cab(kTwoFolders));
  const crypto::Digest good = digest(done);
  for (std::size_t at = 0; at < u32(done, 8); ++at) {
    Bytes bad = done;
    bad[at] ^= 1;
    const MemorySource source(bad);
    const auto cab = CabFile::parse(source);
    if (!cab) continue;
    const bool left_out = (at >= 4 && at < 8) || (at >= 34 && at < 56);
    EXPECT_EQ(*cab->digest(source, DigestAlgorithm::sha256) == good, left_out) << at;
  }
}

TEST(CabFile, RefusesWhatIsNoSingleWholeCabinet) {
  for (const std::uint16_t flags : std::initializer_list<std::uint16_t>{1, 2, 3}) {
    tests::CabDescription description;
    description.flags = flags;
    EXPECT_EQ(refusal(tests::build_cab(description)), base::Errc::unsupported);
  }
  tests::CabDescription used;
  used.reserve = Bytes(24, 0x11);
  EXPECT_EQ(refusal(tests::build_cab(used)), base::Errc::refused);
  Bytes longer = tests::build_cab();
  longer.push_back(0);
  EXPECT_EQ(refusal(longer), base::Errc::malformed);
  const Bytes whole = signed_cab(tests::build_cab(kTwoFolders));
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(CabFile::parse(MemorySource(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))))) << size;
}

TEST(CabFile, RefusesOffsetsOutsideTheFile) {
  const Bytes good = signed_cab(tests::build_cab(kTwoFolders));
  const auto with = [&](std::size_t at, std::uint32_t value) {
    Bytes bad = good;
    put32(bad, at, value);
    return bad;
  };
  EXPECT_EQ(refusal(with(8, u32(good, 8) + 8)), base::Errc::malformed);     // cbCabinet
  EXPECT_EQ(refusal(with(16, 0xFFFFFFF0)), base::Errc::malformed);          // coffFiles
  EXPECT_EQ(refusal(with(16, 40)), base::Errc::malformed);
  EXPECT_EQ(refusal(with(44, u32(good, 44) - 8)), base::Errc::malformed);   // the signature inside the data
  EXPECT_EQ(refusal(with(48, 0xFFFFFFFF)), base::Errc::malformed);          // offset + size past 32 bits
  EXPECT_EQ(refusal(with(48, 0)), base::Errc::malformed);
  EXPECT_EQ(refusal(with(60, 0xFFFFFFFF)), base::Errc::malformed);          // a folder's data
}

}  // namespace
