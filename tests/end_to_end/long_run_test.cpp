// A short run of tests/sweep/long_run_test.cpp.
#include "tests/support/long_run.hpp"

#include <gtest/gtest.h>

#include <iostream>

namespace tests {
namespace {

TEST(LongRun, OfFiftyRequestsLeaksNoDescriptorAndTheLogVerifies) {
  const LongRun run = run_many_requests(50);
  std::cout << "resident " << run.rss_before_kib << " to " << run.rss_after_kib << " KiB, descriptors " << run.descriptors_before << " to "
            << run.descriptors_after << std::endl;
  EXPECT_EQ(run.wrong, "");
  EXPECT_EQ(run.descriptors_after, run.descriptors_before);
  EXPECT_LT(run.rss_after_kib, run.rss_before_kib + 2048);
}

}  // namespace
}  // namespace tests
