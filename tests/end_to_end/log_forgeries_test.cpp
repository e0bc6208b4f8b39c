// A few of the forgeries of tests/sweep/log_forgeries_test.cpp, of other lines every day; every byte is tried by AuditLogFile.
#include "tests/support/log_forgeries.hpp"

#include <gtest/gtest.h>

#include "tests/support/tpm_kills.hpp"

namespace tests {
namespace {

TEST(LogForgeries, OnTheAppliancesDiskStopItAndTheFirstBadLineIsNamed) {
  LogForgeries log;
  const std::size_t last = log.lines() - 1;
  ASSERT_GT(last, 10U);
  ASSERT_EQ(log.last_anchored(), last);   // it was stopped in order: nothing lies open
  for (const int number : todays_points(static_cast<int>(last), 4)) {
    const std::size_t line = static_cast<std::size_t>(number) - 1;
    EXPECT_EQ(log.change(line, line * 31), "");
    EXPECT_EQ(log.remove(line), "");
    EXPECT_EQ(log.duplicate(line), "");
    EXPECT_EQ(log.cut_inside(line, line * 13 % 300 + 1), "");
    EXPECT_EQ(log.swap_with_next(line), "");
    EXPECT_EQ(log.truncate_after(line), "");
    EXPECT_EQ(log.made_anew_without(line), "");
  }
  EXPECT_EQ(log.change(last, 31), "");
  EXPECT_EQ(log.made_anew_without(last), "");
  EXPECT_EQ(log.truncate_after(last - 1), "");
  EXPECT_EQ(log.cut_inside(last, std::string::npos), "");   // the last newline
  EXPECT_EQ(log.older_copy(), "");
  EXPECT_EQ(log.still_signs(), "");
}

}  // namespace
}  // namespace tests
