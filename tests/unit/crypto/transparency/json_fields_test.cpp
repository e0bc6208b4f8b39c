#include "crypto/transparency/json_fields.hpp"

#include <gtest/gtest.h>

namespace transparency {
namespace {

TEST(Fields, NameThePlaceOfWhatIsWrong) {
  const Json value = {{"inner", {{"size", "x"}}}, {"list", {1}}};
  base::Result<Fields> fields = Fields::of(value, "top");
  ASSERT_TRUE(fields);
  base::Result<Fields> inner = fields->object("inner");
  ASSERT_TRUE(inner);
  EXPECT_EQ(inner->number("size", 10).error().text(), "top: inner: size: not a whole number");
  EXPECT_EQ(fields->text("none", 0, 9).error().text(), "top: none: missing");
  EXPECT_EQ(fields->object("list").error().text(), "top: list: not an object");
  EXPECT_EQ(fields->list("list", 2, 3).error().text(), "top: list: empty");
  EXPECT_EQ(fields->list("list", 0, 0).error().text(), "top: list: 1 items, at most 0");
  EXPECT_FALSE(Fields::of(value["list"], "top"));
}

TEST(Fields, CountOnlyWhatWasTakenAsKnown) {
  const Json value = {{"a", "1"}, {"b", nullptr}};
  base::Result<Fields> fields = Fields::of(value, "top");
  ASSERT_TRUE(fields);
  EXPECT_TRUE(fields->text("a", 1, 1));
  EXPECT_EQ(fields->expect_no_others().error().text(), "top: unknown field \"b\"");
  const base::Result<std::optional<Fields>> absent = fields->object_or_null("b");
  ASSERT_TRUE(absent);
  EXPECT_FALSE(absent->has_value());
  EXPECT_TRUE(fields->expect_no_others());
}

TEST(Name, IsShortAndPlain) {
  EXPECT_TRUE(is_name("release-2.0_X64"));
  EXPECT_TRUE(is_name(std::string(64, 'n')));
  EXPECT_FALSE(is_name(std::string(65, 'n')));
  EXPECT_FALSE(is_name(""));
  EXPECT_FALSE(is_name("a b"));
  EXPECT_FALSE(is_name("a/b"));
  EXPECT_FALSE(is_name("\xC3\xA9"));
}

}  // namespace
}  // namespace transparency
