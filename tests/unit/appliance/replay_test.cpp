// Everything that coldseald knows is made from a long log. How long that takes: tests/end_to_end/long_log_time_test.cpp, with the
// program as it is shipped.
#include "appliance/anchored_log.hpp"
#include "appliance/request_book.hpp"
#include "tests/support/long_log.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

TEST(Replay, OfALongLogKnowsEveryRequest) {
  const tests::TempDir folder;
  const std::filesystem::path file = folder / "log/audit.jsonl";
  ASSERT_EQ(tests::write_long_log(file, 2'000, UINT64_MAX), 2'000U);
  const StillClock clock;
  RequestBook book;
  const AnchoredLog::Opened opened = must(AnchoredLog::open(file, clock, [&book](const transparency::AuditLine& line) { return book.apply(line); }));
  EXPECT_EQ(opened.log.lines(), 1 + 9U * 1'997 + 2U * 3);
  EXPECT_EQ(book.in_state(RequestState::answered).size(), 1'997U);
  EXPECT_EQ(book.in_state(RequestState::waiting).size(), 3U);
  EXPECT_EQ(book.unanswered(), 3U);
}

}  // namespace
}  // namespace appliance
