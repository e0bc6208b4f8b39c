#include "crypto/digest.hpp"

#include <fmt/format.h>
#include <mbedtls/sha1.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>

#include <algorithm>
#include <variant>

#include "crypto/base/byte_writer.hpp"
#include "crypto/base/secret_bytes.hpp"
#include "crypto/base/sha1_blocks.hpp"
#include "crypto/base/sha256_blocks.hpp"
#include "crypto/base/text.hpp"

// mbedTLS 2.28 names the functions that return an error *_ret; 3.x dropped the suffix.
#if MBEDTLS_VERSION_MAJOR < 3
#define COLDSEAL_MBEDTLS_RET(name) name##_ret
#else
#define COLDSEAL_MBEDTLS_RET(name) name
#endif

namespace crypto {

std::size_t digest_size(DigestAlgorithm algorithm) {
  switch (algorithm) {
    case DigestAlgorithm::sha1:
      return 20;
    case DigestAlgorithm::sha256:
      return 32;
    case DigestAlgorithm::sha384:
      return 48;
    case DigestAlgorithm::sha512:
      return 64;
  }
  base::stop("no such digest algorithm");
}

std::string_view digest_name(DigestAlgorithm algorithm) {
  switch (algorithm) {
    case DigestAlgorithm::sha1:
      return "sha1";
    case DigestAlgorithm::sha256:
      return "sha256";
    case DigestAlgorithm::sha384:
      return "sha384";
    case DigestAlgorithm::sha512:
      return "sha512";
  }
  base::stop("no such digest algorithm");
}

Result<Digest> Digest::from_bytes(DigestAlgorithm algorithm, ByteView bytes) {
  if (bytes.size() != digest_size(algorithm))
    return base::fail(base::Errc::malformed, fmt::format("{} digest of {} bytes, {} wanted", digest_name(algorithm),
                                                         bytes.size(), digest_size(algorithm)));
  Digest digest;
  digest.algorithm_ = algorithm;
  std::copy(bytes.begin(), bytes.end(), digest.bytes_.begin());
  return digest;
}

std::string Digest::hex() const {
  return base::hex(bytes());
}

namespace {

constexpr base::Sha1State kSha1Start = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};  // FIPS 180-4, 5.3.1
constexpr base::Sha256State kSha256Start = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                            0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};  // 5.3.3

// What FIPS 180-4 section 5.1.1 appends to a message: a one bit, zeros, and the length in bits.
Bytes sha_padding(std::uint64_t length) {
  base::ByteWriter padding;
  padding.u8(0x80).zeros(static_cast<std::size_t>((119 - length % 64) % 64)).u64be(length * 8);
  return std::move(padding).bytes();
}

template <std::size_t kWords>
std::array<std::uint8_t, 4 * kWords> octets(const std::array<std::uint32_t, kWords>& state) {
  std::array<std::uint8_t, 4 * kWords> digest{};
  for (std::size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<std::uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
  return digest;
}

// SHA-1 or SHA-256 with the processor's SHA instructions: mbedTLS 2.28 does not use them on x86.
template <class State, const State& kStart, void (*kBlocks)(State&, ByteView)>
class FastSha {
 public:
  FastSha() = default;
  FastSha(const FastSha&) = delete;
  FastSha& operator=(const FastSha&) = delete;
  ~FastSha() { base::wipe(block_); }  // as mbedTLS does: the input may have been secret
  void update(ByteView bytes) {
    length_ += bytes.size();
    if (filled_ > 0) {
      const std::size_t count = std::min(bytes.size(), block_.size() - filled_);
      std::copy_n(bytes.begin(), count, block_.begin() + static_cast<std::ptrdiff_t>(filled_));
      filled_ += count;
      bytes = bytes.subspan(count);
      if (filled_ < block_.size()) return;
      kBlocks(state_, block_);
    }
    const std::size_t whole = bytes.size() / block_.size() * block_.size();
    if (whole > 0) kBlocks(state_, bytes.first(whole));
    const ByteView rest = bytes.subspan(whole);
    std::copy(rest.begin(), rest.end(), block_.begin());
    filled_ = rest.size();
  }
  // The same with whole blocks, 128 bytes or more, which go into the state of another digest too. `kTwo` takes two states
  // forward at once; the bytes that wait here make the blocks of one begin elsewhere than those of the other.
  template <void (*kTwo)(State&, ByteView, State&, ByteView)>
  void update_beside(State& other, ByteView bytes) {
    length_ += bytes.size();
    if (filled_ == 0) return kTwo(state_, bytes, other, bytes);
    const std::size_t missing = block_.size() - filled_;
    std::copy_n(bytes.begin(), missing, block_.begin() + static_cast<std::ptrdiff_t>(filled_));
    kTwo(state_, block_, other, bytes.first(block_.size()));
    const std::size_t left = bytes.size() - block_.size();
    kTwo(state_, bytes.subspan(missing, left), other, bytes.subspan(block_.size()));
    std::ranges::copy(bytes.subspan(missing + left), block_.begin());
  }
  auto finish() {
    update(sha_padding(length_));
    return octets(state_);
  }

 private:
  State state_ = kStart;
  std::array<std::uint8_t, 64> block_{};
  std::size_t filled_ = 0;  // bytes of block_ that wait for the rest
  std::uint64_t length_ = 0;
};
using FastSha1 = FastSha<base::Sha1State, kSha1Start, base::sha1_blocks>;
using FastSha256 = FastSha<base::Sha256State, kSha256Start, base::sha256_blocks>;

}  // namespace

struct Hasher::Context {
  DigestAlgorithm algorithm{};
  std::variant<mbedtls_sha1_context, mbedtls_sha256_context, mbedtls_sha512_context, FastSha1, FastSha256> state;

  Context(DigestAlgorithm wanted, HashPath path) : algorithm(wanted) {
    int error = 0;
    const bool is_fast = path == HashPath::fastest && base::has_sha256_instructions();
    switch (algorithm) {
      case DigestAlgorithm::sha1:
        if (is_fast) {
          state.emplace<FastSha1>();
          break;
        }
        mbedtls_sha1_init(&state.emplace<mbedtls_sha1_context>());
        error = COLDSEAL_MBEDTLS_RET(mbedtls_sha1_starts)(&std::get<mbedtls_sha1_context>(state));
        break;
      case DigestAlgorithm::sha256:
        if (is_fast) {
          state.emplace<FastSha256>();
          break;
        }
        mbedtls_sha256_init(&state.emplace<mbedtls_sha256_context>());
        error = COLDSEAL_MBEDTLS_RET(mbedtls_sha256_starts)(&std::get<mbedtls_sha256_context>(state), 0);
        break;
      case DigestAlgorithm::sha384:
      case DigestAlgorithm::sha512:
        mbedtls_sha512_init(&state.emplace<mbedtls_sha512_context>());
        error = COLDSEAL_MBEDTLS_RET(mbedtls_sha512_starts)(&std::get<mbedtls_sha512_context>(state),
                                                            algorithm == DigestAlgorithm::sha384 ? 1 : 0);
        break;
    }
    base::require(error == 0, "mbedTLS could not start a digest");
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() {
    if (auto* sha1 = std::get_if<mbedtls_sha1_context>(&state)) mbedtls_sha1_free(sha1);
    if (auto* sha256 = std::get_if<mbedtls_sha256_context>(&state)) mbedtls_sha256_free(sha256);
    if (auto* sha512 = std::get_if<mbedtls_sha512_context>(&state)) mbedtls_sha512_free(sha512);
  }
};

Hasher::Hasher(DigestAlgorithm algorithm, HashPath path) : context_(std::make_unique<Context>(algorithm, path)) {}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

Hasher& Hasher::update(ByteView bytes) {
  int error = 0;
  if (auto* fast = std::get_if<FastSha256>(&context_->state))
    fast->update(bytes);
  else if (auto* fast_sha1 = std::get_if<FastSha1>(&context_->state))
    fast_sha1->update(bytes);
  else if (auto* sha1 = std::get_if<mbedtls_sha1_context>(&context_->state))
    error = COLDSEAL_MBEDTLS_RET(mbedtls_sha1_update)(sha1, bytes.data(), bytes.size());
  else if (auto* sha256 = std::get_if<mbedtls_sha256_context>(&context_->state))
    error = COLDSEAL_MBEDTLS_RET(mbedtls_sha256_update)(sha256, bytes.data(), bytes.size());
  else
    error = COLDSEAL_MBEDTLS_RET(mbedtls_sha512_update)(&std::get<mbedtls_sha512_context>(context_->state),
                                                        bytes.data(), bytes.size());
  base::require(error == 0, "mbedTLS could not continue a digest");
  return *this;
}

Digest Hasher::update_beside(ByteView bytes) {
  auto* const fast = std::get_if<FastSha256>(&context_->state);
  if (fast == nullptr || bytes.size() < 128 || bytes.size() % 64 != 0) {
    update(bytes);
    return sha256(bytes);
  }
  base::Sha256State other = kSha256Start;
  fast->update_beside<base::sha256_blocks_of_two>(other, bytes);
  base::sha256_blocks(other, sha_padding(bytes.size()));
  return *Digest::from_bytes(DigestAlgorithm::sha256, octets(other));
}

Digest Hasher::finish() && {
  Digest digest;
  digest.algorithm_ = context_->algorithm;
  int error = 0;
  if (auto* fast = std::get_if<FastSha256>(&context_->state))
    std::ranges::copy(fast->finish(), digest.bytes_.begin());
  else if (auto* fast_sha1 = std::get_if<FastSha1>(&context_->state))
    std::ranges::copy(fast_sha1->finish(), digest.bytes_.begin());
  else if (auto* sha1 = std::get_if<mbedtls_sha1_context>(&context_->state))
    error = COLDSEAL_MBEDTLS_RET(mbedtls_sha1_finish)(sha1, digest.bytes_.data());
  else if (auto* sha256 = std::get_if<mbedtls_sha256_context>(&context_->state))
    error = COLDSEAL_MBEDTLS_RET(mbedtls_sha256_finish)(sha256, digest.bytes_.data());
  else
    error = COLDSEAL_MBEDTLS_RET(mbedtls_sha512_finish)(&std::get<mbedtls_sha512_context>(context_->state),
                                                        digest.bytes_.data());
  base::require(error == 0, "mbedTLS could not finish a digest");
  // SHA-384 is written as 64 bytes by some versions; only its own size counts, and == compares the whole array.
  std::fill(digest.bytes_.begin() + static_cast<std::ptrdiff_t>(digest_size(digest.algorithm_)), digest.bytes_.end(),
            std::uint8_t{0});
  return digest;
}

Digest digest_of(DigestAlgorithm algorithm, ByteView bytes) {
  Hasher hasher(algorithm);
  hasher.update(bytes);
  return std::move(hasher).finish();
}

Digest sha256(ByteView bytes) {
  return digest_of(DigestAlgorithm::sha256, bytes);
}

std::array<Digest, 2> sha256_of_two(ByteView a, ByteView b, HashPath path) {
  base::require(a.size() == b.size(), "two messages of the same length");
  if (path == HashPath::portable || !base::has_sha256_instructions())
    return {std::move(Hasher(DigestAlgorithm::sha256, path).update(a)).finish(),
            std::move(Hasher(DigestAlgorithm::sha256, path).update(b)).finish()};
  base::Sha256State state_a = kSha256Start;
  base::Sha256State state_b = kSha256Start;
  const std::size_t whole = a.size() / 64 * 64;
  base::sha256_blocks_of_two(state_a, a.first(whole), state_b, b.first(whole));
  const Bytes padding = sha_padding(a.size());
  const std::size_t rest = a.size() - whole;
  std::array<std::uint8_t, 128> end_a{};
  std::array<std::uint8_t, 128> end_b{};
  const auto fill = [&](std::array<std::uint8_t, 128>& end, ByteView message) {
    std::ranges::copy(padding, std::ranges::copy(message.subspan(whole), end.begin()).out);
    return ByteView(end).first(rest + padding.size());
  };
  base::sha256_blocks_of_two(state_a, fill(end_a, a), state_b, fill(end_b, b));
  const auto digest = [](const base::Sha256State& state) {
    return *Digest::from_bytes(DigestAlgorithm::sha256, octets(state));
  };
  return {digest(state_a), digest(state_b)};
}

Result<Digest> digest_of(DigestAlgorithm algorithm, const base::ByteSource& source) {
  Hasher hasher(algorithm);
  TRY(base::for_each_piece(source, 0, source.size(), [&](ByteView piece) -> Result<void> {
    hasher.update(piece);
    return {};
  }));
  return std::move(hasher).finish();
}

}  // namespace crypto
