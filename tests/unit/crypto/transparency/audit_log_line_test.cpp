#include "crypto/transparency/audit_log_line.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "crypto/base/limits.hpp"

namespace transparency {
namespace {

using base::Errc;

constexpr base::Time at(int seconds) { return base::Time(std::chrono::seconds(1795450800 + seconds)); }

std::vector<std::string> three_lines() {
  AuditChain chain;
  return {*chain.append(at(0), AuditEvent::started, "", {{"version", "0.1.0"}}),
          *chain.append(at(5), AuditEvent::received, std::string(64, 'a'), {{"submitter", "build machine"}}),
          *chain.append(at(5), AuditEvent::approved_by, std::string(64, 'a'), {{"officer", "ana"}, {"method", "PIN"}})};
}

TEST(AuditChain, WritesThePublishedForm) {
  const std::vector<std::string> lines = three_lines();
  EXPECT_EQ(lines[0], R"({"at":"2026-11-23T16:20:00Z","data":{"version":"0.1.0"},"event":"started","index":0,)"
                      R"("previous":"0000000000000000000000000000000000000000000000000000000000000000","request":""})");
  EXPECT_EQ(lines[2], R"({"at":"2026-11-23T16:20:05Z","data":{"method":"PIN","officer":"ana"},"event":"approved-by","index":2,"previous":")" +
                          crypto::sha256(base::as_bytes(lines[1])).hex() + R"(","request":")" + std::string(64, 'a') + R"("})");
}

TEST(AuditChain, AcceptsWhatItWrote) {
  AuditChain chain;
  for (const std::string& line : three_lines()) {
    const base::Result<AuditLine> accepted = chain.accept(line);
    ASSERT_TRUE(accepted) << accepted.error().text();
  }
  EXPECT_EQ(chain.lines(), 3U);
  EXPECT_EQ(chain.head(), crypto::sha256(base::as_bytes(three_lines()[2])));
  EXPECT_EQ(chain.last_at(), at(5));
}

TEST(AuditChain, SaysWhichLineBreaksAndWhy) {
  const std::vector<std::string> lines = three_lines();
  AuditChain chain;
  ASSERT_TRUE(chain.accept(lines[0]));
  const base::Result<AuditLine> skipped = chain.accept(lines[2]);
  ASSERT_FALSE(skipped);
  EXPECT_EQ(skipped.error().code(), Errc::mismatch);
  EXPECT_EQ(skipped.error().text(), "line 2: index 2, 1 wanted");
  EXPECT_EQ(chain.lines(), 1U) << "the chain is where it was";
  ASSERT_TRUE(chain.accept(lines[1]));
  const base::Result<AuditLine> repeated = chain.accept(lines[1]);
  ASSERT_FALSE(repeated);
  EXPECT_TRUE(chain.accept(lines[2]));
}

TEST(AuditChain, NoticesAnEditedLineAtTheNextOne) {
  std::vector<std::string> lines = three_lines();
  const std::size_t name = lines[1].find("build machine");
  lines[1].replace(name, 13, "build machinf");
  AuditChain chain;
  ASSERT_TRUE(chain.accept(lines[0]));
  ASSERT_TRUE(chain.accept(lines[1])) << "a line alone cannot show that it was edited";
  const base::Result<AuditLine> next = chain.accept(lines[2]);
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code(), Errc::mismatch);
  EXPECT_TRUE(next.error().text().starts_with("line 3: does not continue")) << next.error().text();
}

TEST(AuditChain, RefusesTimeRunningBackwards) {
  AuditChain chain;
  ASSERT_TRUE(chain.append(at(10), AuditEvent::started, "", {}));
  const base::Result<std::string> earlier = chain.append(at(9), AuditEvent::recovered, "", {});
  ASSERT_FALSE(earlier);
  EXPECT_EQ(earlier.error().code(), Errc::refused);
  EXPECT_EQ(chain.lines(), 1U);
}

TEST(AuditLine, RefusesEverythingButItsForm) {
  const std::string good = three_lines()[1];
  ASSERT_TRUE(audit_line_from_json(good));
  const auto edited = [&](std::string_view from, std::string_view to) {
    std::string line = good;
    const std::size_t found = line.find(from);
    EXPECT_NE(found, std::string::npos) << from;
    return line.replace(found, from.size(), to);
  };
  for (const std::string& line :
       {std::string(), std::string("{}"), good + "\n", " " + good, edited("received", "recieved"), edited(R"("index":1,)", ""),
        edited(R"("index":1)", R"("index":"1")"), edited(R"({"submitter":"build machine"})", R"(["x"])"),
        edited(R"("build machine")", "1"), edited(R"("submitter")", R"("Submitter")"), edited(R"("request":")", R"("request":"a)"),
        edited(R"("request":")", R"("request2":")"), edited("2026-11-23T16:20:05Z", "yesterday"), edited(R"("request":"aa)", R"("request":"AA)")})
    EXPECT_FALSE(audit_line_from_json(line)) << line;
  EXPECT_EQ(audit_line_from_json(std::string(base::limits::kAuditLineBytes + 1, ' ')).error().code(), Errc::too_large);
}

TEST(AuditChain, WritesNoLineThatNobodyWouldRead) {
  AuditChain chain;
  EXPECT_FALSE(chain.append(at(0), AuditEvent::refused, "", {{"reason", std::string(base::limits::kAuditLineBytes, 'x')}}));
  EXPECT_FALSE(chain.append(at(0), AuditEvent::refused, "not an id", {}));
  std::map<std::string, std::string> many;
  for (std::size_t i = 0; i <= base::limits::kAuditData; ++i) many["k" + std::to_string(i)] = "";
  EXPECT_FALSE(chain.append(at(0), AuditEvent::refused, "", many));
  EXPECT_EQ(chain.lines(), 0U);
  const base::Result<std::string> escaped = chain.append(at(0), AuditEvent::refused, "", {{"reason", "\xFF"}});
  ASSERT_TRUE(escaped);
  EXPECT_NE(escaped->find(R"("reason":"\\xff")"), std::string::npos) << *escaped;
}

TEST(AuditEvent, HasANameThatLeadsBack) {
  for (int i = 0; i <= static_cast<int>(AuditEvent::recovered); ++i) {
    const auto event = static_cast<AuditEvent>(i);
    const base::Result<AuditEvent> back = audit_event_from_name(audit_event_name(event));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, event);
  }
  EXPECT_FALSE(audit_event_from_name("unheard-of"));
}

TEST(AuditChain, OnlyALineThatSaysSoMayBeEarlierThanTheOneBefore) {
  AuditChain chain;
  ASSERT_TRUE(chain.append(at(1000), AuditEvent::started, "", {}));
  EXPECT_FALSE(chain.append(at(500), AuditEvent::time_changed, "", {}));
  EXPECT_FALSE(chain.append(at(500), AuditEvent::administration, "", {{kSetBackField, "x"}}));
  const auto back = chain.append(at(500), AuditEvent::time_changed, "", {{kSetBackField, base::rfc3339(at(1000))}});
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(chain.last_at(), at(500));
  EXPECT_TRUE(chain.append(at(501), AuditEvent::started, "", {}));
  EXPECT_FALSE(chain.append(at(500), AuditEvent::started, "", {}));
}

}  // namespace
}  // namespace transparency
