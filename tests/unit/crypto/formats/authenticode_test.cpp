#include "crypto/formats/authenticode.hpp"

#include <gtest/gtest.h>

#include "crypto/base/text.hpp"

namespace {

using base::Bytes;

crypto::Digest some_digest() {
  return crypto::sha256(base::as_bytes("an image"));
}

TEST(Authenticode, WritesSpcPeImageDataAsGenuineSignaturesHaveIt) {
  const cms::Content content = formats::pe_content(some_digest());
  EXPECT_EQ(content.type, der::oids::kSpcIndirectData);
  // SEQUENCE { SEQUENCE { 1.3.6.1.4.1.311.2.1.15, SEQUENCE { BIT STRING {}, [0] { [2] { [0] "" } } } },
  //            SEQUENCE { SEQUENCE { sha256, NULL }, OCTET STRING (32) } }
  EXPECT_EQ(base::hex(content.der),
            "304c3017060a2b06010401823702010f3009030100a004a2028000"
            "3031300d060960864801650304020105000420" +
                some_digest().hex());
}

TEST(Authenticode, ReadsWhatItWrites) {
  const auto parsed = formats::IndirectData::parse(formats::pe_content(some_digest()).der);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->type == der::oids::kSpcPeImageData);
  EXPECT_EQ(base::hex(parsed->value), "3009030100a004a2028000");
  EXPECT_EQ(parsed->digest, some_digest());
}

TEST(Authenticode, RefusesDigestsOfAnotherSizeThanTheirAlgorithm) {
  // The hole of osslsigncode before 2.12: an OCTET STRING longer than any digest, copied without looking.
  for (const std::size_t size : {0U, 19U, 31U, 33U, 64U, 65U, 200U}) {
    Bytes der = formats::pe_content(some_digest()).der;
    Bytes body(der.begin() + 2, der.begin() + 2 + 0x19);  // the data part
    const Bytes digest_info = {0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                               0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00};
    Bytes octets = {0x04, 0x81, static_cast<std::uint8_t>(size)};
    if (size < 128) octets = {0x04, static_cast<std::uint8_t>(size)};
    octets.resize(octets.size() + size, 0x55);
    const auto wrap = [](Bytes content) {
      Bytes whole = {0x30};
      if (content.size() >= 128) whole.push_back(content.size() > 255 ? 0x82 : 0x81);
      if (content.size() > 255) whole.push_back(static_cast<std::uint8_t>(content.size() >> 8));
      whole.push_back(static_cast<std::uint8_t>(content.size()));
      base::append(whole, content);
      return whole;
    };
    Bytes info = digest_info;
    base::append(info, octets);
    base::append(body, wrap(info));
    EXPECT_FALSE(formats::IndirectData::parse(wrap(body))) << size;
  }
}

TEST(Authenticode, RefusesBytesLeftOver) {
  Bytes der = formats::pe_content(some_digest()).der;
  der.push_back(0);
  EXPECT_FALSE(formats::IndirectData::parse(der));
  EXPECT_FALSE(formats::IndirectData::parse({}));
}

}  // namespace
