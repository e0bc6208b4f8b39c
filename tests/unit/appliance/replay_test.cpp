// What a start costs when the log is long: everything that coldseald knows is made from it.
#include <algorithm>
#include <ctime>
#include <iostream>

#include "appliance/anchored_log.hpp"
#include "appliance/request_book.hpp"
#include "tests/support/long_log.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

double seconds_of_this_process() {   // others may be busy on this machine, too
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

TEST(Replay, OfTenThousandRequestsTakesLessThanTwoSeconds) {
  const tests::TempDir folder;
  const std::filesystem::path file = folder / "log/audit.jsonl";
  ASSERT_EQ(tests::write_long_log(file, 10'000, UINT64_MAX), 10'000U);
  const StillClock clock;
  double took = 1e9;
  // The quickest of a few: even processor time is longer where others share the core.
  for (int attempt = 0; attempt < 3 && took > 2.0; ++attempt) {
    RequestBook book;
    const double before = seconds_of_this_process();
    const AnchoredLog::Opened opened = must(AnchoredLog::open(file, clock, [&book](const transparency::AuditLine& line) { return book.apply(line); }));
    took = std::min(took, seconds_of_this_process() - before);
    std::cout << opened.log.lines() << " lines, " << std::filesystem::file_size(file) << " bytes, " << took << " s" << std::endl;
    EXPECT_EQ(opened.log.lines(), 1 + 9U * 9'997 + 2U * 3);
    EXPECT_EQ(book.in_state(RequestState::answered).size(), 9'997U);
    EXPECT_EQ(book.in_state(RequestState::waiting).size(), 3U);
    EXPECT_EQ(book.unanswered(), 3U);
#if !defined(NDEBUG) || defined(__SANITIZE_ADDRESS__)
    return;   // not what is shipped
#endif
  }
  EXPECT_LT(took, 2.0);
}

}  // namespace
}  // namespace appliance
