#include "crypto/der/writer.hpp"

#include <algorithm>

namespace der {
namespace {

void append_length(Bytes& to, std::size_t length) {
  if (length < 0x80) {
    to.push_back(static_cast<std::uint8_t>(length));
    return;
  }
  unsigned octets = 1;
  while (octets < sizeof(length) && (length >> (8 * octets)) != 0) ++octets;
  to.push_back(static_cast<std::uint8_t>(0x80 | octets));
  for (unsigned i = octets; i-- > 0;) to.push_back(static_cast<std::uint8_t>(length >> (8 * i)));
}

// Room for what goes around a content later on, so that this needs no other copy. A large one is wrapped in many layers, and
// copying costs most where new memory is touched.
std::size_t with_room(std::size_t size) { return size + (size < 64U * 1024 ? 48 : 16U * 1024); }

template <class Parts>
Bytes joined(const Parts& parts) {
  std::size_t size = 0;
  for (const auto& part : parts) size += part.size();
  Bytes content;
  content.reserve(with_room(size));
  for (const auto& part : parts) base::append(content, part);
  return content;
}

}  // namespace

Bytes element(std::uint8_t tag, ByteView content) {
  return element(tag, joined(std::initializer_list<ByteView>{content}));
}

Bytes element(std::uint8_t tag, Bytes&& content) {
  Bytes header = {tag};
  append_length(header, content.size());
  if (content.capacity() < content.size() + header.size()) content.reserve(with_room(content.size()));
  content.insert(content.begin(), header.begin(), header.end());
  return std::move(content);
}

Bytes concat(std::initializer_list<ByteView> parts) { return joined(parts); }

Bytes sequence(std::initializer_list<ByteView> parts) { return element(kSequence, concat(parts)); }
Bytes sequence_around(ByteView before, Bytes&& large, ByteView after) {
  if (large.capacity() < before.size() + large.size() + after.size()) large.reserve(with_room(before.size() + large.size() + after.size()));
  large.insert(large.begin(), before.begin(), before.end());
  base::append(large, after);
  return element(kSequence, std::move(large));
}
Bytes sequence(const std::vector<Bytes>& parts) { return element(kSequence, joined(parts)); }

bool set_of_less(ByteView a, ByteView b) {
  const auto octet = [](ByteView bytes, std::size_t i) { return i < bytes.size() ? bytes[i] : std::uint8_t{0}; };
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i)
    if (octet(a, i) != octet(b, i)) return octet(a, i) < octet(b, i);
  return false;
}

Bytes set_of(std::uint8_t tag, std::vector<Bytes> parts) {
  std::sort(parts.begin(), parts.end(), [](const Bytes& a, const Bytes& b) { return set_of_less(a, b); });
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
  return element(tag, joined(parts));
}

Bytes set_of(std::vector<Bytes> parts) { return set_of(kSet, std::move(parts)); }

Bytes oid(const Oid& oid) { return element(kOid, oid.octets()); }

Bytes integer(std::uint64_t value) {
  Bytes octets;
  for (unsigned i = 8; i-- > 0;) octets.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  return integer_from_octets(octets);
}

Bytes integer_from_octets(ByteView magnitude) {
  while (magnitude.size() > 1 && magnitude[0] == 0) magnitude = magnitude.subspan(1);
  Bytes octets;
  if (magnitude.empty() || (magnitude[0] & 0x80U) != 0) octets.push_back(0);
  base::append(octets, magnitude);
  return element(kInteger, octets);
}

Bytes null() { return element(kNull, ByteView()); }
Bytes octet_string(ByteView content) { return element(kOctetString, content); }

Bytes bit_string(ByteView content, unsigned unused_bits) {
  Bytes octets{static_cast<std::uint8_t>(unused_bits)};
  base::append(octets, content);
  return element(kBitString, octets);
}

Bytes utf8_string(std::string_view text) { return element(kUtf8String, base::as_bytes(text)); }
Bytes printable_string(std::string_view text) { return element(kPrintableString, base::as_bytes(text)); }
Bytes utc_time(base::Time time) { return element(kUtcTime, base::as_bytes(base::utc_time(time))); }
Bytes algorithm(const Oid& id) { return sequence({oid(id), null()}); }

const Oid& oid_of(crypto::DigestAlgorithm algorithm) {
  switch (algorithm) {
    case crypto::DigestAlgorithm::sha1:
      return oids::kSha1;
    case crypto::DigestAlgorithm::sha256:
      return oids::kSha256;
    case crypto::DigestAlgorithm::sha384:
      return oids::kSha384;
    case crypto::DigestAlgorithm::sha512:
      return oids::kSha512;
  }
  base::stop("no such digest algorithm");
}

Bytes algorithm(crypto::DigestAlgorithm digest) { return algorithm(oid_of(digest)); }

}  // namespace der
