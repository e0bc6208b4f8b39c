#include "crypto/base/words.hpp"

#include <gtest/gtest.h>

namespace base {
namespace {

// BIP-39's own vectors take 11 bits a word from the left, as we do: 16 bytes of 0x7f give
// "legal winner thank year wave sausage worth useful ..." (trezor/python-mnemonic vectors.json).
TEST(FingerprintWords, AgreeWithThePublishedVector) {
  EXPECT_EQ(fingerprint_words(Bytes(16, 0x7F)), "legal winner thank year wave sausage worth useful");
}

TEST(FingerprintWords, UseTheFirstAndTheLastWordOfTheList) {
  EXPECT_EQ(fingerprint_words(Bytes(11, 0x00)), "abandon abandon abandon abandon abandon abandon abandon abandon");
  EXPECT_EQ(fingerprint_words(Bytes(11, 0xFF)), "zoo zoo zoo zoo zoo zoo zoo zoo");
}

TEST(FingerprintWords, ChangeWithTheLastOfTheirBits) {
  Bytes digest(11, 0x00);
  digest.back() = 1;
  EXPECT_EQ(fingerprint_words(digest), "abandon abandon abandon abandon abandon abandon abandon ability");
}

}  // namespace
}  // namespace base
