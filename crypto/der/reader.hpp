// A cursor over DER (X.690): definite, minimal lengths and one-byte tags only; everything else is refused.
// expect_ must match, match_ tests and moves only on success, skip_ moves. The mirror is der/writer.hpp.
// No function recurses, so depth is the caller's.
#pragma once

#include <cstdint>
#include <optional>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/der/oids.hpp"
#include "crypto/digest.hpp"

namespace der {

using base::Bytes;
using base::ByteView;
using base::Result;

inline constexpr std::uint8_t kBoolean = 0x01;
inline constexpr std::uint8_t kInteger = 0x02;
inline constexpr std::uint8_t kBitString = 0x03;
inline constexpr std::uint8_t kOctetString = 0x04;
inline constexpr std::uint8_t kNull = 0x05;
inline constexpr std::uint8_t kOid = 0x06;
inline constexpr std::uint8_t kUtf8String = 0x0C;
inline constexpr std::uint8_t kPrintableString = 0x13;
inline constexpr std::uint8_t kIa5String = 0x16;
inline constexpr std::uint8_t kUtcTime = 0x17;
inline constexpr std::uint8_t kGeneralizedTime = 0x18;
inline constexpr std::uint8_t kBmpString = 0x1E;
inline constexpr std::uint8_t kSequence = 0x30;
inline constexpr std::uint8_t kSet = 0x31;
constexpr std::uint8_t context_primitive(unsigned number) { return static_cast<std::uint8_t>(0x80 | number); }
constexpr std::uint8_t context(unsigned number) { return static_cast<std::uint8_t>(0xA0 | number); }   // constructed

struct Element {
  std::uint8_t tag = 0;
  ByteView value;   // content octets
  ByteView whole;   // tag, length and content
};

class Reader {  // a view: the bytes must outlive it
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  Result<Element> expect_element();                    // any tag
  Result<Element> expect_element(std::uint8_t tag);
  Result<ByteView> expect(std::uint8_t tag);           // its content
  Result<Reader> expect_inside(std::uint8_t tag);      // a reader over its content
  // The content when the next element has that tag; nothing (and no move) when it has another or there is none.
  Result<std::optional<Element>> match(std::uint8_t tag);
  Result<void> skip();
  Result<void> expect_end() const;
  bool at_end() const { return rest_.empty(); }
  ByteView rest() const { return rest_; }

  Result<void> expect_oid(const Oid& oid);
  Result<ByteView> expect_any_oid();                   // content octets
  Result<std::uint64_t> expect_unsigned();             // INTEGER of 0 to 2^64-1, minimal
  Result<void> expect_null();
  Result<crypto::DigestAlgorithm> expect_digest_algorithm();   // AlgorithmIdentifier; parameters NULL or absent

 private:
  ByteView rest_;
};

// The one element that makes up all the bytes, with that tag.
Result<Element> expect_single(ByteView bytes, std::uint8_t tag);

// Whether the elements inside a SET OF stand in DER order (X.690 section 11.6) without duplicates.
Result<bool> is_der_sorted(ByteView set_content);

}  // namespace der
