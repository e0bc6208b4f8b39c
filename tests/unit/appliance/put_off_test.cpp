#include "appliance/put_off.hpp"

#include <gtest/gtest.h>

#include "crypto/base/limits.hpp"

namespace appliance {
namespace {

using std::chrono::seconds;

TEST(PutOff, WaitsLongerEachTimeButNotForEver) {
  PutOff put_off;
  PutOff::Moment now{};
  EXPECT_FALSE(put_off.holds("a", now));
  EXPECT_EQ(put_off.put_off("a", now), seconds(5));
  EXPECT_TRUE(put_off.holds("a", now + seconds(4)));
  EXPECT_FALSE(put_off.holds("a", now + seconds(5)));
  EXPECT_FALSE(put_off.holds("b", now));   // each by itself
  EXPECT_EQ(put_off.put_off("a", now), seconds(10));
  seconds last{0};
  for (int i = 0; i < 100; ++i) last = put_off.put_off("a", now);
  EXPECT_EQ(last, seconds(300));
}

TEST(PutOff, ForgetsWhatIsNotThereAnyMore) {
  PutOff put_off;
  put_off.put_off("a", {});
  put_off.remember_answered("b");
  put_off.keep_only({"b", "c"});
  EXPECT_FALSE(put_off.holds("a", {}));
  EXPECT_TRUE(put_off.was_answered("b"));
  put_off.keep_only({});
  EXPECT_FALSE(put_off.was_answered("b"));
}

TEST(PutOff, HoldsNoMoreThanALimit) {
  PutOff put_off;
  for (std::size_t i = 0; i < base::limits::kRequestsOnAStick; ++i) EXPECT_GT(put_off.put_off(std::to_string(i), {}).count(), 0);
  EXPECT_EQ(put_off.put_off("one more", {}).count(), 0);
  EXPECT_GT(put_off.put_off("0", {}).count(), 0);   // known already
}

}  // namespace
}  // namespace appliance
