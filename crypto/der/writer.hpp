// DER (X.690) built inside out: each function returns one whole element. The mirror of der/reader.hpp.
//   sequence({oid(oids::kSha256), null()})
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/text.hpp"
#include "crypto/der/oids.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/digest.hpp"

namespace der {

Bytes element(std::uint8_t tag, ByteView content);
Bytes element(std::uint8_t tag, Bytes&& content);   // in the same memory: contents can be megabytes
Bytes concat(std::initializer_list<ByteView> parts);
Bytes sequence(std::initializer_list<ByteView> parts);
Bytes sequence(const std::vector<Bytes>& parts);
Bytes sequence_around(ByteView before, Bytes&& large, ByteView after = {});   // likewise in the memory of `large`
// The order of X.690 section 11.6: encodings compared as octet strings, the shorter padded with zeros.
bool set_of_less(ByteView a, ByteView b);
// SET OF in that order; equal elements are kept once.
Bytes set_of(std::vector<Bytes> parts);
// The content of a SET OF, sorted, under another tag ([0] IMPLICIT).
Bytes set_of(std::uint8_t tag, std::vector<Bytes> parts);
Bytes oid(const Oid& oid);
Bytes integer(std::uint64_t value);
Bytes integer_from_octets(ByteView magnitude);   // an unsigned big-endian number of any length
Bytes null();
Bytes octet_string(ByteView content);
Bytes bit_string(ByteView content, unsigned unused_bits = 0);
Bytes utf8_string(std::string_view text);
Bytes printable_string(std::string_view text);
Bytes utc_time(base::Time time);
Bytes algorithm(const Oid& oid);                 // AlgorithmIdentifier with NULL parameters
Bytes algorithm(crypto::DigestAlgorithm algorithm);
const Oid& oid_of(crypto::DigestAlgorithm algorithm);

}  // namespace der
