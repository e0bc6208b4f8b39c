// coldseald is started on a log of which every line was changed, removed, doubled, moved, or is the last one left.
#include "tests/support/log_forgeries.hpp"

#include <gtest/gtest.h>

#include <iostream>

namespace tests {
namespace {

TEST(LogForgerySweep, EveryOneStopsColdsealdAndTheFirstBadLineIsNamed) {
  LogForgeries log;
  ASSERT_EQ(log.last_anchored() + 1, log.lines());   // it was stopped in order: nothing lies open
  int tried = 0;
  const auto expect = [&](const std::string& wrong) {
    EXPECT_EQ(wrong, "");
    ++tried;
  };
  for (std::size_t line = 0; line < log.lines(); ++line) {
    const bool is_last = line + 1 == log.lines();
    for (std::size_t byte = line; byte < 600; byte += 97) expect(log.change(line, byte));
    expect(log.duplicate(line));
    for (const std::size_t length : {std::size_t{1}, line * 13 % 300 + 2, std::string::npos}) expect(log.cut_inside(line, length));
    expect(log.made_anew_without(line));
    if (is_last) continue;
    expect(log.remove(line));
    expect(log.swap_with_next(line));
    expect(log.truncate_after(line));
  }
  expect(log.older_copy());
  EXPECT_EQ(log.still_signs(), "");
  std::cout << tried << " forgeries of a log of " << log.lines() << " lines" << std::endl;
}

}  // namespace
}  // namespace tests
