#include "crypto/transparency/canonical_json.hpp"

#include <gtest/gtest.h>

#include "crypto/base/limits.hpp"

namespace transparency {
namespace {

// RFC 8785 section 3.2.3's example, as far as we go: names sorted, only these escapes, everything else as it is.
TEST(CanonicalJson, EscapesAsRfc8785Does) {
  EXPECT_EQ(canonical({{"string", "\xE2\x82\xAC$\x0F\nA'B\"\\\\\"/"}, {"literals", {nullptr, true, false}}}),
            "{\"literals\":[null,true,false],\"string\":\"\xE2\x82\xAC$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
  EXPECT_EQ(canonical("\b\t\f\r\x1F\x7F"), "\"\\b\\t\\f\\r\\u001f\x7F\"");
}

TEST(CanonicalJson, SortsNamesByTheirBytes) {
  EXPECT_EQ(canonical({{"b", 1}, {"a", 2}, {"B", 3}, {"", 4}, {"aa", 5}}), R"({"":4,"B":3,"a":2,"aa":5,"b":1})");
}

TEST(CanonicalJson, ReadsBackWhatItWrote) {
  const Json value = {{"list", {1, 2, 9007199254740991ULL}}, {"nothing", nullptr}, {"text", "\xF0\x9F\x94\x92"}, {"object", Json::object()}};
  const base::Result<Json> read = parse_canonical(canonical(value), 1000);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(*read, value);
}

TEST(CanonicalJson, RefusesEveryOtherSpelling) {
  for (const char* const text : {" {}", "{} ", "{\"a\" :1}", "[1, 2]", "{\"b\":1,\"a\":2}", "{\"a\":1,\"a\":1}", "\"\\u0041\"", "\"\\/\"",
                                 "\"\\u000F\"", "\"\\u000a\"", "1.0", "1e2", "-1", "-0", "01", "9007199254740992",
                                 "18446744073709551616", "1E400", "tru", "nan", "[1,]", "{\"\xC3\xA9\":1}", "\xEF\xBB\xBF{}", "\"\xFF\"",
                                 "\"\xED\xA0\x80\"", "\"\\ud800\"", "\"a\nb\"", "", "{", "\"", "/**/1", "1 1"})
    EXPECT_FALSE(parse_canonical(text, 1000)) << text;
}

TEST(CanonicalJson, RefusesDepthAndSizeBeforeParsing) {
  const std::string deep = std::string(base::limits::kJsonDepth, '[') + std::string(base::limits::kJsonDepth, ']');
  EXPECT_TRUE(parse_canonical(deep, 1000));
  const base::Result<Json> deeper = parse_canonical("[" + deep + "]", 1000);
  ASSERT_FALSE(deeper);
  EXPECT_NE(deeper.error().text().find("nested"), std::string::npos);
  const base::Result<Json> big = parse_canonical(std::string(11, '['), 10);
  ASSERT_FALSE(big);
  EXPECT_EQ(big.error().code(), base::Errc::too_large);
  EXPECT_TRUE(parse_canonical("\"[[[[[[[[[[[[\\\"[[[\"", 1000)) << "brackets inside text are no depth";
}

TEST(CanonicalJson, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(as_utf8("good \xC3\xA9"), "good \xC3\xA9");
  EXPECT_EQ(as_utf8("bad \xFF"), "bad \\xff");
}

}  // namespace
}  // namespace transparency
