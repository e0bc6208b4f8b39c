#include "appliance/request_book.hpp"

#include <algorithm>
#include <random>
#include <set>

#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Errc;
using transparency::AuditEvent;
using transparency::AuditLine;

const std::string kId(64, 'a');

AuditLine line(AuditEvent event, std::map<std::string, std::string> data = {}, const std::string& id = kId,
               base::Time at = base::Time(std::chrono::seconds(1000))) {
  return AuditLine{.index = 0, .previous = crypto::sha256({}), .at = at, .event = event, .request = id, .data = std::move(data)};
}

// The shortest way to each state.
const std::map<RequestState, std::vector<AuditEvent>>& ways() {
  using enum AuditEvent;
  static const std::map<RequestState, std::vector<AuditEvent>> kWays{
      {RequestState::received, {received}},
      {RequestState::waiting, {received, inspected}},
      {RequestState::in_approval, {received, inspected, approval_started}},
      {RequestState::signing, {received, inspected, approval_started, signing}},
      {RequestState::rejected, {received, inspected, rejected}},
      {RequestState::withdrawn, {received, inspected, withdrawn}},
      {RequestState::expired, {received, inspected, request_expired}},
      {RequestState::answered, {received, refused, delivered_to_outbox}},
      {RequestState::delivered, {received, refused, delivered_to_outbox, delivered}},
      {RequestState::removed, {received, refused, delivered_to_outbox, delivered, removed}},
  };
  return kWays;
}

constexpr AuditEvent kAll[] = {
    AuditEvent::started,       AuditEvent::stopped,       AuditEvent::received,      AuditEvent::intake_refused,  AuditEvent::inspected,
    AuditEvent::refused,       AuditEvent::review_opened, AuditEvent::approval_started, AuditEvent::approved_by,
    AuditEvent::approval_failed, AuditEvent::rejected,    AuditEvent::signing,         AuditEvent::signed_,
    AuditEvent::delivered_to_outbox, AuditEvent::expired, AuditEvent::returned_to_waiting, AuditEvent::recovered,
    AuditEvent::withdrawn,     AuditEvent::request_expired, AuditEvent::delivered,      AuditEvent::removed};

RequestBook book_in(RequestState state) {
  RequestBook book;
  for (const AuditEvent event : ways().at(state)) must(book.apply(line(event)));
  EXPECT_EQ(book.find(kId)->state, state);
  return book;
}

TEST(RequestBook, EachStateAllowsTheseEventsAndNoOthers) {
  using enum AuditEvent;
  // What follows, and the state after it.
  const std::map<RequestState, std::map<AuditEvent, RequestState>> allowed{
      {RequestState::received,
       {{inspected, RequestState::waiting}, {refused, RequestState::received}, {delivered_to_outbox, RequestState::answered},
        {withdrawn, RequestState::withdrawn}}},
      {RequestState::waiting,
       {{review_opened, RequestState::waiting}, {approval_started, RequestState::in_approval},
        {approval_failed, RequestState::waiting}, {rejected, RequestState::rejected}, {withdrawn, RequestState::withdrawn},
        {request_expired, RequestState::expired}}},
      {RequestState::in_approval,
       {{approved_by, RequestState::in_approval}, {approval_failed, RequestState::in_approval},
        {signing, RequestState::signing}, {rejected, RequestState::rejected}, {expired, RequestState::waiting},
        {returned_to_waiting, RequestState::waiting}}},
      {RequestState::signing,
       {{signed_, RequestState::signing}, {delivered_to_outbox, RequestState::answered}, {expired, RequestState::waiting},
        {returned_to_waiting, RequestState::waiting}}},
      {RequestState::rejected, {{delivered_to_outbox, RequestState::answered}}},
      {RequestState::withdrawn, {{delivered_to_outbox, RequestState::answered}}},
      {RequestState::expired, {{delivered_to_outbox, RequestState::answered}}},
      {RequestState::answered, {{delivered, RequestState::delivered}}},
      {RequestState::delivered, {{removed, RequestState::removed}}},
      {RequestState::removed, {}},
  };
  for (const auto& [state, follows] : allowed) {
    for (const AuditEvent event : kAll) {
      SCOPED_TRACE(std::string(request_state_name(state)) + ", then " + std::string(transparency::audit_event_name(event)));
      RequestBook book = book_in(state);
      const auto expected = follows.find(event);
      const bool may = expected != follows.end() || event == intake_refused;
      EXPECT_EQ(book.expect_can_follow(event, kId).has_value(), may);
      const auto applied = book.apply(line(event));
      EXPECT_EQ(applied.has_value(), may);
      if (!applied) {
        EXPECT_EQ(applied.error().code(), Errc::mismatch);
      }
      EXPECT_EQ(book.find(kId)->state, expected == follows.end() ? state : expected->second);
    }
  }
}

TEST(RequestBook, NothingFollowsForARequestThatWasNeverReceived) {
  for (const AuditEvent event : kAll) {
    RequestBook book;
    const bool may = event == AuditEvent::received || event == AuditEvent::intake_refused;
    EXPECT_EQ(book.apply(line(event)).has_value(), may) << transparency::audit_event_name(event);
  }
  RequestBook book;
  expect_error(book.apply(line(AuditEvent::inspected)), Errc::mismatch, "line 1: request " + kId + " was never received");
}

TEST(RequestBook, LinesAboutNoRequestChangeNothing) {
  RequestBook book = book_in(RequestState::waiting);
  must(book.apply(line(AuditEvent::started, {}, "")));
  must(book.apply(line(AuditEvent::recovered, {}, "")));
  EXPECT_EQ(book.unanswered(), 1U);
}

TEST(RequestBook, KeepsWhatTheLinesSay) {
  RequestBook book;
  must(book.apply(line(AuditEvent::received, {{"submitter", "build-1"}, {"profile", "release"}})));
  must(book.apply(line(AuditEvent::inspected, {{"inspection", "aa"}, {"signing-set", "bb"}})));
  const RequestRecord* const record = book.find(kId);
  EXPECT_EQ(record->submitter, "build-1");
  EXPECT_EQ(record->profile, "release");
  EXPECT_EQ(record->inspection_digest, "aa");
  EXPECT_EQ(record->signing_set, "bb");
  must(book.apply(line(AuditEvent::approval_started)));
  must(book.apply(line(AuditEvent::approved_by, {{"officer", "ada"}})));
  ASSERT_EQ(record->approvals.size(), 1U);
  EXPECT_EQ(record->approvals[0].officer, "ada");
  must(book.apply(line(AuditEvent::rejected, {{"officer", "ben"}, {"reason", "old"}})));
  ASSERT_NE(record->rejection, nullptr);
  EXPECT_EQ(record->rejection->officer, "ben");
  EXPECT_EQ(record->rejection->reason, "old");
  must(book.apply(line(AuditEvent::delivered_to_outbox, {{"receipt", "cc"}})));
  EXPECT_EQ(record->receipt_digest, "cc");   // where it was found before is where it is
  EXPECT_EQ(record, book.find(kId));
  EXPECT_EQ(book.unanswered(), 0U);
}

TEST(RequestBook, OfAnAnsweredRequestKeepsWhatIsStillAskedAndNoMore) {
  RequestBook book;
  must(book.apply(line(AuditEvent::received, {{"submitter", "build-1"}, {"profile", "release"}})));
  must(book.apply(line(AuditEvent::refused, {{"reason", "x"}})));
  EXPECT_NE(book.find(kId)->decision, nullptr);
  must(book.apply(line(AuditEvent::delivered_to_outbox, {{"receipt", "cc"}})));
  const RequestRecord* const record = book.find(kId);
  EXPECT_EQ(record->state, RequestState::answered);
  EXPECT_EQ(record->profile, "release");
  EXPECT_EQ(record->decision, nullptr);
  EXPECT_EQ(record->submitter, "");
  EXPECT_EQ(book.in_state(RequestState::answered).size(), 1U);
  expect_error(book.apply(line(AuditEvent::received)), Errc::mismatch, "is received twice");
}

TEST(RequestBook, CountsTheSignaturesOfADayByProfile) {
  RequestBook book;
  const auto at = [](int hours) { return base::Time(std::chrono::hours(hours)); };
  for (int day = 0; day < 100; ++day) {
    const std::string id = crypto::sha256(base::as_bytes(std::to_string(day))).hex();
    const base::Time time = at(1000 + day * 24);
    for (const AuditEvent event : {AuditEvent::received, AuditEvent::inspected, AuditEvent::approval_started, AuditEvent::signing, AuditEvent::signed_})
      must(book.apply(line(event, {{"profile", day % 2 == 0 ? "release" : "test"}, {"signatures", "3"}}, id, time)));
  }
  const base::Time last = at(1000 + 99 * 24);
  EXPECT_EQ(book.signatures_since("test", last - std::chrono::hours(24)), 3U);
  EXPECT_EQ(book.signatures_since("release", last - std::chrono::hours(25)), 3U);
  EXPECT_EQ(book.signatures_since("release", last - std::chrono::hours(24)), 0U);
}

TEST(RequestBook, KeepsNoTimeAfterTheOneThatAdministratorsSetTheClockBackTo) {
  const auto at = [](int day) { return base::Time(std::chrono::hours(24 * day)); };
  const std::string delivered_id(64, 'd');
  const std::string waiting_id(64, 'e');
  RequestBook book;
  for (const AuditEvent event : {AuditEvent::received, AuditEvent::inspected, AuditEvent::approval_started, AuditEvent::signing, AuditEvent::signed_,
                                 AuditEvent::delivered_to_outbox, AuditEvent::delivered})
    must(book.apply(line(event, {{"profile", "release"}, {"signatures", "3"}}, delivered_id, at(900))));
  for (const AuditEvent event : {AuditEvent::received, AuditEvent::inspected}) must(book.apply(line(event, {}, waiting_id, at(900))));
  must(book.apply(line(AuditEvent::received, {}, kId, at(5))));
  must(book.apply(line(AuditEvent::time_changed, {}, "", at(900))));   // it is right as it is
  EXPECT_EQ(book.find(waiting_id)->received_at, at(900));
  must(book.apply(line(AuditEvent::time_changed, {{transparency::kSetBackField, base::rfc3339(at(900))}}, "", at(10))));
  EXPECT_EQ(book.find(waiting_id)->received_at, at(10));     // waiting_days begin to count
  EXPECT_EQ(book.find(delivered_id)->delivered_at, at(10));  // and keep_days
  EXPECT_EQ(book.find(kId)->received_at, at(5));
  EXPECT_EQ(book.signatures_since("release", at(9)), 3U);
  EXPECT_EQ(book.signatures_since("release", at(11)), 0U);   // signatures_a_day: over after a day
}

TEST(RequestBook, ApprovalsOfASittingThatEndedAreForgotten) {
  for (const AuditEvent end : {AuditEvent::expired, AuditEvent::returned_to_waiting}) {
    RequestBook book = book_in(RequestState::in_approval);
    must(book.apply(line(AuditEvent::approved_by, {{"officer", "ada"}})));
    must(book.apply(line(end)));
    EXPECT_TRUE(book.find(kId)->approvals.empty());
    must(book.apply(line(AuditEvent::approval_started)));
    EXPECT_TRUE(book.find(kId)->approvals.empty());
  }
}

TEST(RequestBook, ListsARequestsStateOldestFirst) {
  RequestBook book;
  const auto at = [](int seconds) { return base::Time(std::chrono::seconds(seconds)); };
  must(book.apply(line(AuditEvent::received, {}, std::string(64, 'c'), at(1))));
  must(book.apply(line(AuditEvent::received, {}, std::string(64, 'b'), at(2))));
  must(book.apply(line(AuditEvent::received, {}, std::string(64, 'a'), at(2))));
  std::string order;
  for (const RequestRecord* const record : book.in_state(RequestState::received)) order += record->id[0];
  EXPECT_EQ(order, "cab");
}

std::string picture(const RequestBook& book, const std::vector<std::string>& ids) {
  std::string text;
  for (const std::string& id : ids) {
    const RequestRecord* const record = book.find(id);
    if (record == nullptr) continue;
    text += id.substr(0, 2) + std::string(request_state_name(record->state)) + record->submitter + record->inspection_digest +
            record->signing_set + record->receipt_digest + base::rfc3339(record->received_at);
    for (const RecordedApproval& approval : record->approvals) text += approval.officer + base::rfc3339(approval.at);
    if (record->rejection) text += record->rejection->officer + record->rejection->reason;
    text += "\n";
  }
  return text + std::to_string(book.unanswered());
}

TEST(RequestBook, ReplayingAHistoryGivesWhatLivingThroughItGave) {
  std::mt19937 dice(20261123);   // the same histories every time
  const std::vector<std::string> ids{std::string(64, '1'), std::string(64, '2'), std::string(64, '3')};
  std::set<RequestState> seen;
  for (int history = 0; history < 1000; ++history) {
    RequestBook live;
    std::vector<AuditLine> log;
    for (int step = 0; step < 60; ++step) {
      const AuditLine next = line(kAll[dice() % std::size(kAll)],
                                  {{"officer", std::to_string(dice() % 3)}, {"submitter", std::to_string(step)}, {"receipt", std::to_string(step)}},
                                  ids[dice() % ids.size()], base::Time(std::chrono::seconds(step)));
      if (!live.expect_can_follow(next.event, next.request)) {
        const std::string before = picture(live, ids);
        EXPECT_FALSE(live.apply(next).has_value());
        EXPECT_EQ(picture(live, ids), before);   // a refused line changes nothing
        continue;
      }
      must(live.apply(next));
      log.push_back(next);
      if (const RequestRecord* const reached = live.find(next.request); reached != nullptr) seen.insert(reached->state);
    }
    RequestBook replayed;
    for (const AuditLine& entry : log) must(replayed.apply(entry));
    EXPECT_EQ(picture(replayed, ids), picture(live, ids));
  }
  EXPECT_EQ(seen.size(), ways().size());   // the histories were long enough to reach every state
}

}  // namespace
}  // namespace appliance
