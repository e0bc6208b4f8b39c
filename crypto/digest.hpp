// Digests, over mbedTLS. The only header of digests that the rest of the project sees.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "crypto/base/byte_source.hpp"
#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"

namespace crypto {

using base::Bytes;
using base::ByteView;
using base::Result;

enum class DigestAlgorithm : std::uint8_t { sha1, sha256, sha384, sha512 };

std::size_t digest_size(DigestAlgorithm algorithm);   // in bytes: 20, 32, 48, 64
std::string_view digest_name(DigestAlgorithm algorithm);   // "sha1", "sha256", ...

class Digest {
 public:
  // Errc::malformed unless bytes has exactly the algorithm's size.
  static Result<Digest> from_bytes(DigestAlgorithm algorithm, ByteView bytes);
  DigestAlgorithm algorithm() const { return algorithm_; }
  ByteView bytes() const { return ByteView(bytes_).first(digest_size(algorithm_)); }
  std::string hex() const;
  friend bool operator==(const Digest&, const Digest&) = default;

 private:
  friend class Hasher;
  Digest() = default;
  DigestAlgorithm algorithm_{};
  std::array<std::uint8_t, 64> bytes_{};
};

// Which code digests: the processor's SHA instructions where it has them, or mbedTLS everywhere. The result is the same.
enum class HashPath : std::uint8_t { fastest, portable };

class Hasher {  // one digest in the making; move-only
 public:
  explicit Hasher(DigestAlgorithm algorithm, HashPath path = HashPath::fastest);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();
  Hasher& update(ByteView bytes);
  // The same, and the SHA-256 of those bytes alone, in hardly more time than one takes when this digest is SHA-256 too and
  // the bytes are whole blocks of 64.
  Digest update_beside(ByteView bytes);
  Digest finish() &&;

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Digest digest_of(DigestAlgorithm algorithm, ByteView bytes);
Digest sha256(ByteView bytes);

// The SHA-256 of two messages of the same length, in hardly more time than one takes.
std::array<Digest, 2> sha256_of_two(ByteView a, ByteView b, HashPath path = HashPath::fastest);

// The flat digest of a whole file, in constant memory.
Result<Digest> digest_of(DigestAlgorithm algorithm, const base::ByteSource& source);

}  // namespace crypto
