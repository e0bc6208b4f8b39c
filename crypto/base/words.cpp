#include "crypto/base/words.hpp"

#include <array>
#include <cstdint>
#include <string_view>

#include "crypto/base/result.hpp"

namespace base {
namespace {
constexpr std::array<std::string_view, 2048> kWords = {
#include "crypto/base/words_english.inc"
};
}  // namespace

std::string fingerprint_words(ByteView digest) {
  constexpr std::size_t kCount = 8;
  constexpr unsigned kBitsPerWord = 11;
  require(digest.size() * 8 >= kCount * kBitsPerWord, "a fingerprint needs 88 bits");
  std::string words;
  for (std::size_t word = 0; word < kCount; ++word) {
    std::uint32_t index = 0;
    for (std::size_t bit = word * kBitsPerWord; bit < (word + 1) * kBitsPerWord; ++bit)
      index = (index << 1) | ((std::uint32_t{digest[bit / 8]} >> (7 - bit % 8)) & 1U);
    if (word > 0) words += ' ';
    words += kWords.at(index);
  }
  return words;
}

}  // namespace base
