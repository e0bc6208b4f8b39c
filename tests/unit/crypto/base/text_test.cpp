#include "crypto/base/text.hpp"

#include <gtest/gtest.h>

namespace {

using base::Errc;

TEST(Text, HexGoesBothWaysAndRefusesWhatIsNotHex) {
  EXPECT_EQ(base::hex(base::Bytes{0x00, 0xab, 0xff}), "00abff");
  EXPECT_EQ(base::from_hex("00ABff").value(), (base::Bytes{0x00, 0xab, 0xff}));
  for (const char* const wrong : {"0", "0g", " 00", "0x00", "00 "}) EXPECT_FALSE(base::from_hex(wrong)) << wrong;
}

// RFC 4648, section 10.
TEST(Text, Base64IsThatOfTheRfcAndOnlyCanonical) {
  const std::pair<std::string_view, std::string_view> vectors[] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) {
    EXPECT_EQ(base::base64(base::as_bytes(plain)), coded);
    EXPECT_EQ(base::as_text(base::from_base64(coded).value()), plain);
  }
  for (const char* const wrong : {"Zg", "Zg=", "Zh==", "Zm9v ", "Zm\n9v", "Zg==Zg==", "Z-8=", "===="})
    EXPECT_FALSE(base::from_base64(wrong)) << wrong;
}

TEST(Text, PrintableShowsWhatWouldHideOrMoveOtherText) {
  EXPECT_EQ(base::printable("driver.sys"), "driver.sys");
  EXPECT_EQ(base::printable("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(base::printable("a\xe2\x80\xae" "b").find("\xe2\x80\xae"), std::string::npos);   // right-to-left override
  EXPECT_EQ(base::printable("\xff").find('\xff'), std::string::npos);
  EXPECT_TRUE(base::is_utf8(base::printable("\xc3\x28\xf0\x82\x82\xac")));
}

TEST(Text, Utf8RefusesOverlongFormsSurrogatesAndTooLargeNumbers) {
  EXPECT_TRUE(base::is_utf8("\xe2\x82\xac \xf0\x9f\x98\x80"));
  for (const char* const wrong : {"\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe2\x82"})
    EXPECT_FALSE(base::is_utf8(wrong));
}

TEST(Text, CasesAreFoldedInAsciiOnly) {
  EXPECT_EQ(base::lower_ascii("DRIVER.SYS \xc3\x84"), "driver.sys \xc3\x84");
  EXPECT_EQ(base::upper_ascii("driver.sys \xc3\xa4"), "DRIVER.SYS \xc3\xa4");
  EXPECT_TRUE(base::equal_ignoring_case("Driver.SYS", "driver.sys"));
  EXPECT_FALSE(base::equal_ignoring_case("\xc3\x84", "\xc3\xa4"));
  EXPECT_FALSE(base::equal_ignoring_case("a", "ab"));
}

TEST(Text, ACommaListKeepsEmptyParts) {
  EXPECT_EQ(base::comma_list("a,,b"), (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_EQ(base::comma_list(""), (std::vector<std::string_view>{""}));
  EXPECT_EQ(base::comma_list("a,"), (std::vector<std::string_view>{"a", ""}));
}

TEST(Text, Utf16GoesBothWaysWithSurrogatePairs) {
  const std::string text = "Gr\xc3\xb6\xc3\x9f" "e \xf0\x9f\x98\x80";
  const base::Bytes little = base::utf16le_from_utf8(text).value();
  EXPECT_EQ(base::hex(base::ByteView(little).last(4)), "3dd800de");
  EXPECT_EQ(base::utf8_from_utf16le(little).value(), text);
  EXPECT_EQ(base::utf8_from_utf16be(base::utf16be_from_utf8(text).value()).value(), text);
  EXPECT_EQ(base::utf8_from_utf16le(base::Bytes{0x41}).error().code(), Errc::malformed);
  EXPECT_EQ(base::utf8_from_utf16le(base::Bytes{0x00, 0xd8, 0x41, 0x00}).error().code(), Errc::malformed);
  EXPECT_EQ(base::utf8_from_utf16le(base::Bytes{0x00, 0xdc}).error().code(), Errc::malformed);
}

TEST(Text, TimesAreReadInTheThreeFormsOfTheCommandLine) {
  const base::Time time = base::time_from_rfc3339("2026-11-23T16:20:00Z").value();
  EXPECT_EQ(base::rfc3339(time), "2026-11-23T16:20:00Z");
  EXPECT_EQ(base::utc_time(time), "261123162000Z");
  for (const char* const form : {"2026-11-23T16:20:00Z", "261123162000Z", "1795450800"})
    EXPECT_EQ(base::time_from_argument(form).value(), time) << form;
  for (const char* const wrong : {"", "yesterday", "2026-02-30T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23 16:20:00",
                                  "261323162000Z", "-1", "99999999999999999999"})
    EXPECT_FALSE(base::time_from_argument(wrong)) << wrong;
}

}  // namespace
