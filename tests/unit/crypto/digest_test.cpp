#include "crypto/digest.hpp"

#include <gtest/gtest.h>

#include "crypto/base/sha256_blocks.hpp"
#include "crypto/base/text.hpp"
#include "tests/support/plain_sha256.hpp"

namespace {

using base::Bytes;
using base::ByteView;
using crypto::Digest;
using crypto::DigestAlgorithm;

std::string hex_of(DigestAlgorithm algorithm, std::string_view text) {
  return crypto::digest_of(algorithm, base::as_bytes(text)).hex();
}

Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 167 + i / 256);
  return bytes;
}

TEST(Digest, IsThatOfTheStandardsExamples) {  // FIPS 180-2, appendices A to D
  EXPECT_EQ(hex_of(DigestAlgorithm::sha1, "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex_of(DigestAlgorithm::sha256, "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex_of(DigestAlgorithm::sha256, ""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex_of(DigestAlgorithm::sha256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex_of(DigestAlgorithm::sha256, std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(hex_of(DigestAlgorithm::sha384, "abc"),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
}

TEST(Digest, FastAndPlainSha256AgreeForEveryLength) {
  if (!base::has_sha256_instructions()) std::puts("this processor has no SHA instructions: both sides are mbedTLS");
  const Bytes all = pattern(1100);
  for (std::size_t size = 0; size <= all.size(); ++size)
    ASSERT_EQ(crypto::sha256(ByteView(all).first(size)).hex(),
              base::hex(tests::plain_sha256(ByteView(all).first(size))))
        << size;
}

TEST(Digest, FastAndPortableSha1AgreeForEveryLength) {
  const Bytes all = pattern(1100);
  for (std::size_t size = 0; size <= all.size(); ++size) {
    crypto::Hasher plain(DigestAlgorithm::sha1, crypto::HashPath::portable);   // mbedTLS
    ASSERT_EQ(crypto::digest_of(DigestAlgorithm::sha1, ByteView(all).first(size)), std::move(plain.update(ByteView(all).first(size))).finish()) << size;
  }
}

std::string hex_through(crypto::HashPath path, std::string_view text, DigestAlgorithm algorithm = DigestAlgorithm::sha256) {
  crypto::Hasher hasher(algorithm, path);
  return std::move(hasher.update(base::as_bytes(text))).finish().hex();
}

TEST(Digest, IsThatOfTheStandardsExamplesOnBothPaths) {  // FIPS 180-2, appendix B
  const bool is_fast = base::has_sha256_instructions();
  if (!is_fast) std::puts("this processor has no SHA instructions: only mbedTLS was tested");
  for (const crypto::HashPath path : {crypto::HashPath::fastest, crypto::HashPath::portable}) {
    EXPECT_EQ(hex_through(path, "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(hex_through(path, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    EXPECT_EQ(hex_through(path, std::string(1000000, 'a')),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    EXPECT_EQ(hex_through(path, "abc", DigestAlgorithm::sha1), "a9993e364706816aba3e25717850c26c9cd0d89d");   // appendix A of FIPS 180-2
    EXPECT_EQ(hex_through(path, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", DigestAlgorithm::sha1),
              "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    EXPECT_EQ(hex_through(path, std::string(1000000, 'a'), DigestAlgorithm::sha1), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    const auto two = crypto::sha256_of_two(base::as_bytes("abc"), base::as_bytes("bca"), path);
    EXPECT_EQ(two[0].hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  }
}

TEST(Digest, OfTwoMessagesAtOnceIsThatOfEachForEveryLength) {
  const Bytes a = pattern(300);
  Bytes b = a;
  for (std::uint8_t& octet : b) octet = static_cast<std::uint8_t>(octet * 3 + 1);
  for (std::size_t size = 0; size <= a.size(); ++size)
    for (const crypto::HashPath path : {crypto::HashPath::fastest, crypto::HashPath::portable}) {
      const auto two = crypto::sha256_of_two(ByteView(a).first(size), ByteView(b).first(size), path);
      ASSERT_EQ(two[0].hex(), base::hex(tests::plain_sha256(ByteView(a).first(size)))) << size;
      ASSERT_EQ(two[1].hex(), base::hex(tests::plain_sha256(ByteView(b).first(size)))) << size;
    }
}

TEST(Digest, OfAPieceBesideARunningOneIsThatOfEachForEveryLengthAndStart) {
  const Bytes all = pattern(700);
  for (const crypto::HashPath path : {crypto::HashPath::fastest, crypto::HashPath::portable})
    for (std::size_t start = 0; start <= 130; ++start)
      for (const std::size_t size : {0U, 1U, 63U, 64U, 65U, 127U, 128U, 129U, 192U, 448U, 512U}) {
        crypto::Hasher running(DigestAlgorithm::sha256, path);
        running.update(ByteView(all).first(start));
        const ByteView piece = ByteView(all).subspan(start, size);
        ASSERT_EQ(running.update_beside(piece).hex(), base::hex(tests::plain_sha256(piece))) << start << " " << size;
        const ByteView rest = ByteView(all).subspan(start + size);
        ASSERT_EQ(running.update_beside(rest).hex(), base::hex(tests::plain_sha256(rest))) << start << " " << size;
        ASSERT_EQ(std::move(running).finish().hex(), base::hex(tests::plain_sha256(all))) << start << " " << size;
      }
  crypto::Hasher other(DigestAlgorithm::sha1);
  EXPECT_EQ(other.update_beside(all), crypto::sha256(all));
  EXPECT_EQ(std::move(other).finish(), crypto::digest_of(DigestAlgorithm::sha1, all));
}

TEST(Digest, DoesNotDependOnHowTheInputIsCut) {
  const Bytes all = pattern(517);
  const Digest whole = crypto::sha256(all);
  for (std::size_t piece = 1; piece <= 130; ++piece) {
    crypto::Hasher hasher(DigestAlgorithm::sha256);
    for (std::size_t at = 0; at < all.size(); at += piece)
      hasher.update(ByteView(all).subspan(at, std::min(piece, all.size() - at)));
    hasher.update({});
    ASSERT_EQ(std::move(hasher).finish(), whole) << piece;
  }
}

TEST(Digest, HasTheSizeOfItsAlgorithmOrIsRefused) {
  for (const DigestAlgorithm algorithm :
       {DigestAlgorithm::sha1, DigestAlgorithm::sha256, DigestAlgorithm::sha384, DigestAlgorithm::sha512}) {
    const std::size_t size = crypto::digest_size(algorithm);
    EXPECT_EQ(crypto::digest_of(algorithm, ByteView{}).bytes().size(), size);
    EXPECT_TRUE(Digest::from_bytes(algorithm, Bytes(size)));
    EXPECT_FALSE(Digest::from_bytes(algorithm, Bytes(size - 1)));
    EXPECT_FALSE(Digest::from_bytes(algorithm, Bytes(size + 1)));
    EXPECT_FALSE(Digest::from_bytes(algorithm, {}));
  }
}

}  // namespace
