// A log of more than 1 GiB: it streams, so that memory grows with the requests it tells of and not with its bytes.
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <string>

#include "appliance/anchored_log.hpp"
#include "appliance/request_book.hpp"
#include "tests/support/long_log.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

std::uint64_t kib_of(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field)) return std::stoull(line.substr(field.size() + 1));
  return 0;
}

TEST(LongLog, OfMoreThanAGibibyteIsReplayedInALittleMemoryForEachRequestAndAppendedTo) {
  const TempDir folder;
  const std::filesystem::path file = folder / "log/audit.jsonl";
  const std::uint64_t requests = write_long_log(file, UINT64_MAX, (1ULL << 30) + 1);
  ASSERT_GT(std::filesystem::file_size(file), 1ULL << 30);
  const appliance::SystemClock clock;
  appliance::RequestBook book;
  const std::uint64_t before = kib_of("VmRSS");
  auto opened = appliance::AnchoredLog::open(file, clock, [&book](const transparency::AuditLine& line) { return book.apply(line); });
  ASSERT_TRUE(opened.has_value()) << opened.error().text();
  const std::uint64_t most = kib_of("VmHWM");
  std::cout << requests << " requests, " << opened->log.lines() << " lines, " << std::filesystem::file_size(file) << " bytes: " << before
            << " KiB before, at most " << most << " KiB" << std::endl;
  // Of each answered request its id, its receipt's digest and two times stay, and of each line a digest.
  EXPECT_LT((most - before) * 1024, requests * 1200);
  EXPECT_EQ(book.unanswered(), 0U);
  const std::uint64_t lines = opened->log.lines();
  ASSERT_TRUE(opened->log.append(transparency::AuditEvent::started, "", {}).has_value());
  EXPECT_EQ(opened->log.lines(), lines + 1);
}

TEST(LongLog, OfMoreThanAGibibyteIsShownInConstantMemory) {
  const TempDir folder;
  const std::filesystem::path file = folder / "audit.jsonl";
  write_long_log(file, UINT64_MAX, (1ULL << 30) + 1);
  // A limit on the address space: what would hold the log, or its lines, ends.
  const Finished shown = run({"sh", "-c", "ulimit -v 400000; exec \"$0\" audit show \"$1\" >\"$2\"", program("coldseal"), file, folder / "shown.txt"});
  EXPECT_EQ(shown.status, 0) << shown.output;
  EXPECT_GT(std::filesystem::file_size(folder / "shown.txt"), 1U << 20);
}

}  // namespace
}  // namespace tests
