#include "crypto/base/sha256_blocks.hpp"

#include "crypto/base/result.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace base {

#if defined(__x86_64__)
namespace {

// FIPS 180-4 section 4.2.2.
alignas(16) constexpr std::uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

__attribute__((target("sha,sse4.1"))) __m128i load(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}

// Sixteen bytes of a block as four big-endian words.
__attribute__((target("sha,sse4.1"))) __m128i load_words(const std::uint8_t* from) {
  return _mm_shuffle_epi8(load(from), _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
}

struct Working {
  __m128i abef;
  __m128i cdgh;
};

__attribute__((target("sha,sse4.1"))) inline void four_rounds(Working& w, __m128i message, std::size_t round) {
  const __m128i sum = _mm_add_epi32(message, load(&kRound[round]));
  w.cdgh = _mm_sha256rnds2_epu32(w.cdgh, w.abef, sum);
  w.abef = _mm_sha256rnds2_epu32(w.abef, w.cdgh, _mm_shuffle_epi32(sum, 0x0E));
}

// The next four words of the message schedule, from the sixteen before them, oldest first.
__attribute__((target("sha,sse4.1"))) inline __m128i schedule(__m128i m0, __m128i m1, __m128i m2, __m128i m3) {
  const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(m0, m1), _mm_alignr_epi8(m3, m2, 4));
  return _mm_sha256msg2_epu32(sum, m3);
}

__attribute__((target("sha,sse4.1"))) void compress(Sha256State& state, ByteView blocks) {
  // The instructions want the state as (a b e f) and (c d g h).
  const __m128i cdab = _mm_shuffle_epi32(load(&state[0]), 0xB1);
  const __m128i efgh = _mm_shuffle_epi32(load(&state[4]), 0x1B);
  Working w{_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xF0)};
  for (const std::uint8_t* block = blocks.data(); block != blocks.data() + blocks.size(); block += 64) {
    const Working before = w;
    __m128i m0 = load_words(block);
    __m128i m1 = load_words(block + 16);
    __m128i m2 = load_words(block + 32);
    __m128i m3 = load_words(block + 48);
    four_rounds(w, m0, 0);
    four_rounds(w, m1, 4);
    four_rounds(w, m2, 8);
    four_rounds(w, m3, 12);
    for (std::size_t round = 16; round < 64; round += 16) {
      m0 = schedule(m0, m1, m2, m3);
      four_rounds(w, m0, round);
      m1 = schedule(m1, m2, m3, m0);
      four_rounds(w, m1, round + 4);
      m2 = schedule(m2, m3, m0, m1);
      four_rounds(w, m2, round + 8);
      m3 = schedule(m3, m0, m1, m2);
      four_rounds(w, m3, round + 12);
    }
    w.abef = _mm_add_epi32(w.abef, before.abef);
    w.cdgh = _mm_add_epi32(w.cdgh, before.cdgh);
  }
  const __m128i feba = _mm_shuffle_epi32(w.abef, 0x1B);
  const __m128i dchg = _mm_shuffle_epi32(w.cdgh, 0xB1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(&state[0]), _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(&state[4]), _mm_alignr_epi8(dchg, feba, 8));
}

// One of two digests that advance together; its steps are written so that the compiler keeps both in registers.
struct Lane {
  Working w;
  Working before;
  __m128i m[4];
};

__attribute__((target("sha,sse4.1"))) inline void start_block(Lane& lane, const std::uint8_t* block) {
  lane.before = lane.w;
  lane.m[0] = load_words(block);
  lane.m[1] = load_words(block + 16);
  lane.m[2] = load_words(block + 32);
  lane.m[3] = load_words(block + 48);
}

__attribute__((target("sha,sse4.1"))) inline void end_block(Lane& lane) {
  lane.w.abef = _mm_add_epi32(lane.w.abef, lane.before.abef);
  lane.w.cdgh = _mm_add_epi32(lane.w.cdgh, lane.before.cdgh);
}

__attribute__((target("sha,sse4.1"))) inline Working load_state(const Sha256State& state) {
  const __m128i cdab = _mm_shuffle_epi32(load(&state[0]), 0xB1);
  const __m128i efgh = _mm_shuffle_epi32(load(&state[4]), 0x1B);
  return {_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xF0)};
}

__attribute__((target("sha,sse4.1"))) inline void store_state(const Working& w, Sha256State& state) {
  const __m128i feba = _mm_shuffle_epi32(w.abef, 0x1B);
  const __m128i dchg = _mm_shuffle_epi32(w.cdgh, 0xB1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(&state[0]), _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(&state[4]), _mm_alignr_epi8(dchg, feba, 8));
}

__attribute__((target("sha,sse4.1"))) void compress_two(Sha256State& state_a, ByteView blocks_a, Sha256State& state_b,
                                                        ByteView blocks_b) {
  Lane a{};
  Lane b{};
  a.w = load_state(state_a);
  b.w = load_state(state_b);
  for (std::size_t at = 0; at != blocks_a.size(); at += 64) {
    start_block(a, blocks_a.data() + at);
    start_block(b, blocks_b.data() + at);
    // Unrolled, the four words of each message schedule stay in registers; -O2 alone leaves them in memory.
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i) {
      four_rounds(a.w, a.m[i], 4 * i);
      four_rounds(b.w, b.m[i], 4 * i);
    }
    for (std::size_t round = 16; round < 64; round += 16)
#pragma GCC unroll 4
      for (std::size_t i = 0; i < 4; ++i) {
        a.m[i] = schedule(a.m[i], a.m[(i + 1) % 4], a.m[(i + 2) % 4], a.m[(i + 3) % 4]);
        b.m[i] = schedule(b.m[i], b.m[(i + 1) % 4], b.m[(i + 2) % 4], b.m[(i + 3) % 4]);
        four_rounds(a.w, a.m[i], round + 4 * i);
        four_rounds(b.w, b.m[i], round + 4 * i);
      }
    end_block(a);
    end_block(b);
  }
  store_state(a.w, state_a);
  store_state(b.w, state_b);
}

}  // namespace

namespace {

bool detect_sha256_instructions() {
  constexpr unsigned kSsse3 = 1U << 9;   // leaf 1, ECX
  constexpr unsigned kSse41 = 1U << 19;  // leaf 1, ECX
  constexpr unsigned kSha = 1U << 29;    // leaf 7, EBX
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kSsse3) == 0 || (c & kSse41) == 0) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & kSha) != 0;
}

}  // namespace

bool has_sha256_instructions() {
  static const bool has = detect_sha256_instructions();  // CPUID is slow, above all in a virtual machine
  return has;
}

void sha256_blocks(Sha256State& state, ByteView blocks) {
  require(blocks.size() % 64 == 0, "SHA-256 takes whole blocks here");
  require(has_sha256_instructions(), "this processor has no SHA instructions");
  compress(state, blocks);
}

void sha256_blocks_of_two(Sha256State& a, ByteView blocks_a, Sha256State& b, ByteView blocks_b) {
  require(blocks_a.size() % 64 == 0 && blocks_a.size() == blocks_b.size(), "SHA-256 takes whole blocks here");
  require(has_sha256_instructions(), "this processor has no SHA instructions");
  compress_two(a, blocks_a, b, blocks_b);
}

#else

bool has_sha256_instructions() {
  return false;
}
void sha256_blocks(Sha256State&, ByteView) {
  stop("this processor has no SHA instructions");
}
void sha256_blocks_of_two(Sha256State&, ByteView, Sha256State&, ByteView) {
  stop("this processor has no SHA instructions");
}

#endif

}  // namespace base
