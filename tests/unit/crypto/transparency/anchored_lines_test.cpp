#include "crypto/transparency/anchored_lines.hpp"

#include <gtest/gtest.h>

namespace transparency {
namespace {

using base::Errc;

class AnchoredLog : public testing::Test {
 protected:
  AnchoredLog() {
    add(AuditEvent::started, "provisional");
    add(AuditEvent::approved_by, "8");
    add(AuditEvent::received, "provisional");
    add(AuditEvent::signing, "9");
    add(AuditEvent::signed_, "10");
  }
  void add(AuditEvent event, const std::string& anchor) {
    const std::string request = event == AuditEvent::started ? "" : std::string(64, 'a');
    std::map<std::string, std::string> data;
    if (!anchor.empty()) data["anchor"] = anchor;
    const auto text = chain.append(base::Time(), event, request, data);
    lines.add(*audit_line_from_json(*text), chain.head());
    heads.push_back(chain.head());
  }
  void expect_misfit(const attest::AnchorBaseline& baseline, std::string_view words) const {
    const auto expected = lines.expected(baseline);
    ASSERT_FALSE(expected) << words;
    EXPECT_EQ(static_cast<int>(expected.error().code()), static_cast<int>(Errc::mismatch));
    EXPECT_NE(expected.error().text().find(words), std::string::npos) << expected.error().text();
  }

  AuditChain chain;
  AnchoredLines lines;
  std::vector<crypto::Digest> heads;
  const crypto::Digest no_line = *crypto::Digest::from_bytes(crypto::DigestAlgorithm::sha256, base::Bytes(32));
  const crypto::Digest start = crypto::sha256(base::as_bytes("start"));
  const attest::AnchorBaseline since{7, start, no_line};
};

TEST_F(AnchoredLog, TellsWhatTheTpmMustHold) {
  const auto expected = lines.expected(since);
  ASSERT_TRUE(expected) << expected.error().text();
  EXPECT_EQ(expected->state.count, 10U);
  const crypto::Digest before = attest::extended_by(attest::extended_by(start, heads[1]), heads[3]);
  EXPECT_EQ(expected->before_last, before);
  EXPECT_EQ(expected->state.extended, attest::extended_by(before, heads[4]));
  EXPECT_EQ(expected->last->number, 5U);
}

TEST_F(AnchoredLog, BeginsAfterTheLineThatAdministratorsAccepted) {
  const auto expected = lines.expected({9, start, heads[3]});
  ASSERT_TRUE(expected) << expected.error().text();
  EXPECT_EQ(expected->state.count, 10U);
  EXPECT_EQ(expected->state.extended, attest::extended_by(start, heads[4]));
  expect_misfit({9, start, start}, "is not in it");
}

TEST_F(AnchoredLog, GapsInTheNumbersAreNamed) {
  expect_misfit({6, start, no_line}, "line 2 says it is anchored as number 8, 7 wanted");
  add(AuditEvent::rejected, "12");
  expect_misfit(since, "line 6 says it is anchored as number 12, 11 wanted");
}

TEST_F(AnchoredLog, LinesThatMatterCannotBeAddedAsProvisionalOnes) {
  for (const AuditEvent event : {AuditEvent::approved_by, AuditEvent::rejected, AuditEvent::signing, AuditEvent::signed_,
                                 AuditEvent::administration, AuditEvent::rebaselined, AuditEvent::time_changed, AuditEvent::withdrawn, AuditEvent::stopped}) {
    AnchoredLines before = lines;
    AuditChain chain_before = chain;
    add(event, "provisional");
    expect_misfit(since, "line 6 is of a kind that is always anchored");
    // What administrators accepted is accepted.
    EXPECT_TRUE(lines.expected({10, start, heads.back()}));
    lines = before;
    chain = chain_before;
    heads.pop_back();
  }
}

TEST_F(AnchoredLog, EveryLineSaysWhetherItIsAnchored) {
  for (const char* const said : {"", "0", "011", "yes", "11 "}) {
    AnchoredLines before = lines;
    AuditChain chain_before = chain;
    add(AuditEvent::received, said);
    expect_misfit(since, "line 6");
    lines = before;
    chain = chain_before;
    heads.pop_back();
  }
}

}  // namespace
}  // namespace transparency
