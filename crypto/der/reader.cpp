#include "crypto/der/reader.hpp"

#include <fmt/format.h>

#include "crypto/base/byte_reader.hpp"
#include "crypto/der/writer.hpp"

namespace der {

using base::Errc;
using base::fail;

bool operator==(ByteView octets, const Oid& oid) {
  return base::as_text(octets) == base::as_text(oid.octets());
}

std::string dotted(ByteView octets) {
  std::string text;
  std::uint64_t number = 0;
  for (const std::uint8_t octet : octets) {
    if (number >> 57 != 0) return "an object identifier with an oversized arc";
    number = (number << 7) | (octet & 0x7FU);
    if ((octet & 0x80U) != 0) continue;
    if (text.empty())
      text = number < 40 ? fmt::format("0.{}", number) : number < 80 ? fmt::format("1.{}", number - 40) : fmt::format("2.{}", number - 80);
    else
      text += fmt::format(".{}", number);
    number = 0;
  }
  return text.empty() ? "an empty object identifier" : text;
}

Result<Element> Reader::expect_element() {
  base::ByteReader in(rest_);
  Element element;
  element.tag = TRY(in.u8());
  if ((element.tag & 0x1F) == 0x1F) return fail(Errc::unsupported, "DER tag of more than one byte");
  const std::uint8_t first = TRY(in.u8());
  std::uint64_t length = first;
  if (first == 0x80) return fail(Errc::malformed, "DER length is indefinite");
  if (first > 0x80) {
    const unsigned octets = first & 0x7FU;
    if (octets > 4) return fail(Errc::too_large, fmt::format("DER length of {} octets", octets));
    length = 0;
    const ByteView raw = TRY(in.take(octets));
    for (const std::uint8_t octet : raw) length = (length << 8) | octet;
    if (length < 0x80 || (length >> (8 * (octets - 1))) == 0) return fail(Errc::malformed, "DER length is not minimal");
  }
  element.value = TRY(in.take(length));
  element.whole = rest_.first(in.offset());
  rest_ = rest_.subspan(in.offset());
  return element;
}

Result<Element> Reader::expect_element(std::uint8_t tag) {
  if (rest_.empty()) return fail(Errc::malformed, fmt::format("DER tag {:#04x} wanted, nothing found", tag));
  if (rest_[0] != tag) return fail(Errc::malformed, fmt::format("DER tag {:#04x} wanted, {:#04x} found", tag, rest_[0]));
  return expect_element();
}

Result<ByteView> Reader::expect(std::uint8_t tag) {
  const Element element = TRY(expect_element(tag));
  return element.value;
}

Result<Reader> Reader::expect_inside(std::uint8_t tag) {
  const ByteView value = TRY(expect(tag));
  return Reader(value);
}

Result<std::optional<Element>> Reader::match(std::uint8_t tag) {
  if (rest_.empty() || rest_[0] != tag) return std::optional<Element>();
  const Element element = TRY(expect_element());
  return std::optional<Element>(element);
}

Result<void> Reader::skip() {
  TRY(expect_element());
  return {};
}

Result<void> Reader::expect_end() const {
  if (!rest_.empty()) return fail(Errc::malformed, fmt::format("{} bytes left over in DER", rest_.size()));
  return {};
}

Result<void> Reader::expect_oid(const Oid& oid) {
  const ByteView octets = TRY(expect_any_oid());
  if (!(octets == oid))
    return fail(Errc::malformed, fmt::format("object identifier {} wanted, {} found", dotted(oid.octets()), dotted(octets)));
  return {};
}

Result<ByteView> Reader::expect_any_oid() {
  const ByteView octets = TRY(expect(kOid));
  if (octets.empty() || (octets.back() & 0x80U) != 0) return fail(Errc::malformed, "object identifier is cut short");
  return octets;
}

Result<std::uint64_t> Reader::expect_unsigned() {
  const ByteView octets = TRY(expect(kInteger));
  if (octets.empty() || (octets[0] & 0x80U) != 0) return fail(Errc::malformed, "unsigned integer wanted");
  const bool padded = octets.size() > 1 && octets[0] == 0;
  if (padded && (octets[1] & 0x80U) == 0) return fail(Errc::malformed, "integer is not minimal");
  if (octets.size() > (padded ? 9U : 8U)) return fail(Errc::too_large, fmt::format("integer of {} octets", octets.size()));
  std::uint64_t value = 0;
  for (const std::uint8_t octet : octets) value = (value << 8) | octet;
  return value;
}

Result<void> Reader::expect_null() {
  const ByteView value = TRY(expect(kNull));
  if (!value.empty()) return fail(Errc::malformed, "NULL with content");
  return {};
}

Result<crypto::DigestAlgorithm> Reader::expect_digest_algorithm() {
  Reader in = TRY(expect_inside(kSequence));
  const ByteView oid = TRY(in.expect_any_oid());
  if (!in.at_end()) TRY(in.expect_null());
  TRY(in.expect_end());
  if (oid == oids::kSha1) return crypto::DigestAlgorithm::sha1;
  if (oid == oids::kSha256) return crypto::DigestAlgorithm::sha256;
  if (oid == oids::kSha384) return crypto::DigestAlgorithm::sha384;
  if (oid == oids::kSha512) return crypto::DigestAlgorithm::sha512;
  return fail(Errc::unsupported, fmt::format("digest algorithm {}", dotted(oid)));
}

Result<Element> expect_single(ByteView bytes, std::uint8_t tag) {
  Reader in(bytes);
  const Element element = TRY(in.expect_element(tag));
  TRY(in.expect_end());
  return element;
}

Result<bool> is_der_sorted(ByteView set_content) {
  Reader in(set_content);
  ByteView previous;
  while (!in.at_end()) {
    const Element element = TRY(in.expect_element());
    if (!previous.empty() && !set_of_less(previous, element.whole)) return false;
    previous = element.whole;
  }
  return true;
}

}  // namespace der
