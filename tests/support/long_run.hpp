// Many requests through one coldseald that is never restarted, and what they cost it: memory, descriptors, a log that still
// verifies. Used by a short run every time and by the sweep's long one.
#pragma once

#include <cstdint>
#include <string>

namespace tests {

struct LongRun {
  std::uint64_t rss_before_kib = 0;   // after a tenth of the requests: what a start needs is no growth
  std::uint64_t rss_after_kib = 0;
  std::size_t descriptors_before = 0;
  std::size_t descriptors_after = 0;
  std::string wrong;                  // empty: all were signed, the log holds and coldseald starts with it again
};
LongRun run_many_requests(int requests);

}  // namespace tests
