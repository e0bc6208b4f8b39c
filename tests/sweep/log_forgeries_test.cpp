// coldseald is started on a log of which every line was changed, removed, doubled, moved, or is the last one left.
#include "tests/support/log_forgeries.hpp"

#include <gtest/gtest.h>

#include <iostream>

namespace tests {
namespace {

TEST(LogForgerySweep, EveryOneStopsColdsealdAndTheFirstBadLineIsNamed) {
  LogForgeries log;
  const std::size_t last = log.last_anchored();
  int tried = 0;
  const auto expect = [&](const std::string& wrong) {
    EXPECT_EQ(wrong, "");
    ++tried;
  };
  for (std::size_t line = 0; line < log.lines(); ++line) {
    const bool is_last = line + 1 == log.lines();
    if (!is_last) {
      for (std::size_t byte = line; byte < 600; byte += 97) expect(log.change(line, byte));
      expect(log.remove(line));
      expect(log.swap_with_next(line));
    }
    expect(log.duplicate(line));
    if (line < last) expect(log.truncate_after(line));
    if (line < last) expect(log.made_anew_without(line));
  }
  expect(log.older_copy());
  EXPECT_EQ(log.still_signs(), "");
  std::cout << tried << " forgeries of a log of " << log.lines() << " lines" << std::endl;
}

}  // namespace
}  // namespace tests
