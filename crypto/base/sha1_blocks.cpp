#include "crypto/base/sha1_blocks.hpp"

#include "crypto/base/result.hpp"
#include "crypto/base/sha256_blocks.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace base {

#if defined(__x86_64__)
namespace {

// The instructions want the words of a group highest first.
__attribute__((target("sha,sse4.1"))) inline __m128i load_words(const std::uint8_t* from) {
  return _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)), _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f));
}

// The state between groups of four rounds: abcd, and the abcd of four rounds before, whose a is the e of now but for a rotation.
struct Working {
  __m128i abcd;
  __m128i before;
};

// kFunction: which of the four functions and constants of section 4.1.1 these rounds use.
template <int kFunction>
__attribute__((target("sha,sse4.1"))) inline void four_rounds(Working& w, __m128i message) {
  const __m128i e = _mm_sha1nexte_epu32(w.before, message);
  w.before = w.abcd;
  w.abcd = _mm_sha1rnds4_epu32(w.abcd, e, kFunction);
}

// The next four words of the message schedule, from the sixteen before them, oldest first.
__attribute__((target("sha,sse4.1"))) inline __m128i schedule(__m128i m0, __m128i m1, __m128i m2, __m128i m3) {
  return _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32(m0, m1), m2), m3);
}

__attribute__((target("sha,sse4.1"))) void compress(Sha1State& state, ByteView blocks) {
  __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(&state[0])), 0x1B);
  __m128i e = _mm_set_epi32(static_cast<int>(state[4]), 0, 0, 0);
  for (const std::uint8_t* block = blocks.data(); block != blocks.data() + blocks.size(); block += 64) {
    const __m128i abcd_before = abcd;
    const __m128i e_before = e;
    __m128i m0 = load_words(block);
    __m128i m1 = load_words(block + 16);
    __m128i m2 = load_words(block + 32);
    __m128i m3 = load_words(block + 48);
    // The first group's e is not rotated any more.
    Working w{_mm_sha1rnds4_epu32(abcd, _mm_add_epi32(e, m0), 0), abcd};
    four_rounds<0>(w, m1);
    four_rounds<0>(w, m2);
    four_rounds<0>(w, m3);
    m0 = schedule(m0, m1, m2, m3);
    four_rounds<0>(w, m0);
    m1 = schedule(m1, m2, m3, m0);
    four_rounds<1>(w, m1);
    m2 = schedule(m2, m3, m0, m1);
    four_rounds<1>(w, m2);
    m3 = schedule(m3, m0, m1, m2);
    four_rounds<1>(w, m3);
    m0 = schedule(m0, m1, m2, m3);
    four_rounds<1>(w, m0);
    m1 = schedule(m1, m2, m3, m0);
    four_rounds<1>(w, m1);
    m2 = schedule(m2, m3, m0, m1);
    four_rounds<2>(w, m2);
    m3 = schedule(m3, m0, m1, m2);
    four_rounds<2>(w, m3);
    m0 = schedule(m0, m1, m2, m3);
    four_rounds<2>(w, m0);
    m1 = schedule(m1, m2, m3, m0);
    four_rounds<2>(w, m1);
    m2 = schedule(m2, m3, m0, m1);
    four_rounds<2>(w, m2);
    m3 = schedule(m3, m0, m1, m2);
    four_rounds<3>(w, m3);
    m0 = schedule(m0, m1, m2, m3);
    four_rounds<3>(w, m0);
    m1 = schedule(m1, m2, m3, m0);
    four_rounds<3>(w, m1);
    m2 = schedule(m2, m3, m0, m1);
    four_rounds<3>(w, m2);
    m3 = schedule(m3, m0, m1, m2);
    four_rounds<3>(w, m3);
    e = _mm_sha1nexte_epu32(w.before, e_before);
    abcd = _mm_add_epi32(w.abcd, abcd_before);
  }
  _mm_storeu_si128(reinterpret_cast<__m128i*>(&state[0]), _mm_shuffle_epi32(abcd, 0x1B));
  state[4] = static_cast<std::uint32_t>(_mm_extract_epi32(e, 3));
}

}  // namespace

void sha1_blocks(Sha1State& state, ByteView blocks) {
  require(blocks.size() % 64 == 0, "SHA-1 takes whole blocks here");
  require(has_sha256_instructions(), "this processor has no SHA instructions");
  compress(state, blocks);
}

#else

void sha1_blocks(Sha1State&, ByteView) { stop("this processor has no SHA instructions"); }

#endif

}  // namespace base
