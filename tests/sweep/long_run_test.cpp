// A thousand requests through one coldseald.
#include "tests/support/long_run.hpp"

#include <gtest/gtest.h>

#include <iostream>

namespace tests {
namespace {

TEST(LongRunSweep, AThousandRequestsLeaveMemoryFlatAndLeakNoDescriptor) {
  const LongRun run = run_many_requests(1000);
  std::cout << "resident " << run.rss_before_kib << " to " << run.rss_after_kib << " KiB, descriptors " << run.descriptors_before << " to "
            << run.descriptors_after << std::endl;
  EXPECT_EQ(run.wrong, "");
  EXPECT_EQ(run.descriptors_after, run.descriptors_before);
  // What is known of a request that was answered stays in memory: some two KiB.
  EXPECT_LT(run.rss_after_kib, run.rss_before_kib + 4096);
}

}  // namespace
}  // namespace tests
