#include "crypto/attest/names.hpp"

#include <gtest/gtest.h>

#include "crypto/base/text.hpp"
#include "crypto/verify_signature.hpp"
#include "tests/support/plain_index.hpp"

namespace attest {
namespace {

using base::Errc;

// tpm2_create -G ecc256 -a 'fixedtpm|fixedparent|sensitivedataorigin|sign|userwithauth' on swtpm, and the Name that
// tpm2_load reported for it.
constexpr std::string_view kX = "440bfb586a8f8c93c6b518804ee13eb3556e8bcf6a4a5397f8c44e5d5727ae92";
constexpr std::string_view kY = "c462fff732ad3f856ad874e28a062160119fed2061d8ecd8aeb8364e5e8e0dde";
constexpr std::string_view kName = "000b2fb7d13d4c5eee63d46b5d44d93af496ee1019fc38a2a333c446af971d211ab2";

Bytes public_area(std::string_view type = "0023", std::string_view name_algorithm = "000b",
                  std::string_view policy = "0000", std::string_view symmetric = "0010", std::string_view scheme = "0010",
                  std::string_view curve = "0003", std::string_view kdf = "0010", std::string_view x_size = "0020") {
  std::string text;
  for (const std::string_view part : {type, name_algorithm, std::string_view("00040072"), policy, symmetric, scheme, curve,
                                      kdf, x_size, kX, std::string_view("0020"), kY})
    text += part;
  return *base::from_hex(text);
}

Bytes sized(const Bytes& area) {
  Bytes blob = {static_cast<std::uint8_t>(area.size() >> 8), static_cast<std::uint8_t>(area.size() & 0xff)};
  base::append(blob, area);
  return blob;
}

void expect_refused(const Bytes& area, Errc code, const char* words) {
  const auto key = ObjectPublic::parse(area);
  ASSERT_FALSE(key) << words;
  EXPECT_EQ(static_cast<int>(key.error().code()), static_cast<int>(code)) << key.error().text();
  EXPECT_NE(key.error().text().find(words), std::string::npos) << key.error().text();
}

TEST(Names, OfAnOfficersIndexIsTheOneAnotherCalculatorMakes) {
  EXPECT_EQ(base::hex(name_of(tests::plain_index(0x01800001))),
            "000b006cfef0811dab13450f4c237b8c5688bbedb1ad31a02825192c3e4536beff3a");
}

TEST(ObjectPublic, HasTheNameThatTheTpmGaveIt) {
  const auto key = ObjectPublic::parse_sized(sized(public_area()));
  ASSERT_TRUE(key) << key.error().text();
  EXPECT_EQ(base::hex(key->name()), kName);
  EXPECT_EQ(key->bits(), 256U);
  EXPECT_EQ(key->attributes(), 0x00040072U);
  EXPECT_TRUE(key->policy().empty());
  EXPECT_EQ(base::hex(key->spki()), "3059301306072a8648ce3d020106082a8648ce3d03010703420004" + std::string(kX) +
                                        std::string(kY));
  EXPECT_TRUE(crypto::PublicKey::parse(key->spki()));
}

TEST(ObjectPublic, PadsCoordinatesThatATpmShortened) {
  Bytes area = public_area("0023", "000b", "0000", "0010", "0010", "0003", "0010", "001f");
  area.erase(area.begin() + 20);   // x loses its first byte, 0x44
  const auto key = ObjectPublic::parse(area);
  ASSERT_TRUE(key) << key.error().text();
  EXPECT_EQ(base::hex(ByteView(key->spki()).subspan(27, 32)), "00" + std::string(kX.substr(2)));
}

TEST(ObjectPublic, RefusesEveryPrefixAndAnythingBehind) {
  const Bytes whole = public_area();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(ObjectPublic::parse(ByteView(whole).first(length))) << length;
    EXPECT_FALSE(ObjectPublic::parse_sized(ByteView(sized(whole)).first(length + 2))) << length;
  }
  Bytes longer = whole;
  longer.push_back(0);
  EXPECT_FALSE(ObjectPublic::parse(longer));
  EXPECT_FALSE(ObjectPublic::parse_sized(longer));
}

TEST(ObjectPublic, RefusesWhatItDoesNotKnow) {
  expect_refused(public_area("0008"), Errc::unsupported, "type 0x0008");   // keyed hash
  expect_refused(public_area("0023", "0004"), Errc::unsupported, "name algorithm 0x0004");   // SHA-1
  expect_refused(public_area("0023", "000b", "000100"), Errc::malformed, "policy of 1 bytes");
  expect_refused(public_area("0023", "000b", "0000", "0013"), Errc::unsupported, "symmetric algorithm 0x0013");
  expect_refused(public_area("0023", "000b", "0000", "0010", "001a"), Errc::unsupported, "scheme 0x001a");
  expect_refused(public_area("0023", "000b", "0000", "0010", "0010", "0005"), Errc::unsupported, "curve 0x0005");
  expect_refused(public_area("0023", "000b", "0000", "0010", "0010", "0003", "0020"), Errc::unsupported, "key derivation");
  expect_refused(public_area("0023", "000b", "0000", "0010", "0010", "0003", "0010", "0021"), Errc::malformed,
                 "coordinate of 33 bytes");
}

TEST(ObjectPublic, RefusesRsaKeysOfOtherSizesThanTheySay) {
  const auto rsa = [](std::string_view bits, std::size_t bytes, std::uint8_t first) {
    Bytes area = *base::from_hex("0001000b00040072000000100010" + std::string(bits) + "00000000");
    area.push_back(static_cast<std::uint8_t>(bytes >> 8));
    area.push_back(static_cast<std::uint8_t>(bytes & 0xff));
    Bytes modulus(bytes, 0xA5);
    if (bytes != 0) modulus[0] = first;
    base::append(area, modulus);
    return area;
  };
  const auto good = ObjectPublic::parse(rsa("0c00", 384, 0xA5));
  ASSERT_TRUE(good) << good.error().text();
  EXPECT_EQ(good->bits(), 3072U);
  EXPECT_TRUE(crypto::PublicKey::parse(good->spki()));
  expect_refused(rsa("0400", 128, 0xA5), Errc::unsupported, "1024 bits");
  expect_refused(rsa("2000", 1024, 0xA5), Errc::unsupported, "8192 bits");
  expect_refused(rsa("0c00", 383, 0xA5), Errc::malformed, "modulus of 383 bytes");
  expect_refused(rsa("0c00", 384, 0x25), Errc::malformed, "modulus of 384 bytes");
  expect_refused(rsa("0c00", 0, 0), Errc::malformed, "modulus of 0 bytes");
}

}  // namespace
}  // namespace attest
