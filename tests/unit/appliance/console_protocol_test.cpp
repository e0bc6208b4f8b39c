#include "appliance/console_protocol.hpp"

#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Bytes;
using base::ByteView;
using base::ByteWriter;
using base::Errc;

base::SecretBytes pin(std::string_view text) { return base::SecretBytes::copy_of(base::as_bytes(text)); }

// Without the frame header, which must be right.
Bytes payload_of(ByteView frame) {
  const std::size_t size = must(payload_size(frame.first(kFrameHeaderBytes), frame.size()));
  EXPECT_EQ(size, frame.size() - kFrameHeaderBytes);
  return base::to_bytes(frame.subspan(kFrameHeaderBytes));
}
Bytes payload_of(const ConsoleQuestion& question) {
  const base::SecretBytes frame = encode(question);
  return payload_of(frame.reveal());
}
Bytes payload_of(const ConsoleAnswer& answer) {
  const Bytes frame = encode(answer);
  return payload_of(ByteView(frame));
}

template <class Question>
Question through_the_socket(Question question) {
  ConsoleQuestion decoded = must(decode_question(payload_of(ConsoleQuestion(std::move(question)))));
  EXPECT_TRUE(std::holds_alternative<Question>(decoded));
  return std::get<Question>(std::move(decoded));
}
template <class Answer>
Answer answered(const Answer& answer) {
  ConsoleAnswer decoded = must(decode_answer(payload_of(ConsoleAnswer(answer))));
  EXPECT_TRUE(std::holds_alternative<Answer>(decoded));
  return std::get<Answer>(std::move(decoded));
}

std::vector<Bytes> every_question() {
  std::vector<Bytes> all;
  all.push_back(payload_of(ConsoleQuestion(AskList{})));
  all.push_back(payload_of(ConsoleQuestion(AskRequest{"id"})));
  all.push_back(payload_of(ConsoleQuestion(BeginApproval{"id"})));
  all.push_back(payload_of(ConsoleQuestion(EnterPin{"ada", pin("314159")})));
  all.push_back(payload_of(ConsoleQuestion(RejectRequest{"id", "ada", pin("314159"), "last year's version"})));
  all.push_back(payload_of(ConsoleQuestion(CancelApproval{})));
  all.push_back(payload_of(ConsoleQuestion(LookAtTpm{})));
  all.push_back(payload_of(ConsoleQuestion(BeginRemedy{"ada"})));
  return all;
}

std::vector<Bytes> every_answer() {
  return {payload_of(ConsoleAnswer(WaitingList{"vault-1", {{"id", "summary", "words"}, {"id2", "s", "w"}}})),
          payload_of(ConsoleAnswer(Document{{{"Request", {"one", "two"}}, {"Findings", {}}}})),
          payload_of(ConsoleAnswer(Approval{{"ada"}, 1, {"ben", "cay"}, 299, 4, "two words", {"unlock ada"}})),
          payload_of(ConsoleAnswer(Progress{3, 7, "signing"})),
          payload_of(ConsoleAnswer(Done{"signed"})),
          payload_of(ConsoleAnswer(Refusal{"no", false}))};
}

TEST(ConsoleProtocol, QuestionsArriveAsTheyWereAsked) {
  (void)through_the_socket(AskList{});
  (void)through_the_socket(CancelApproval{});
  (void)through_the_socket(LookAtTpm{});
  EXPECT_EQ(through_the_socket(AskRequest{"0123"}).id, "0123");
  EXPECT_EQ(through_the_socket(BeginApproval{"4567"}).id, "4567");
  const EnterPin entered = through_the_socket(EnterPin{"ada", pin("31")});
  EXPECT_EQ(entered.officer, "ada");
  EXPECT_EQ(base::as_text(entered.pin.reveal()), std::string_view("31"));
  const RejectRequest rejected = through_the_socket(RejectRequest{"89ab", "ben", pin("271828"), "no\nway"});
  EXPECT_EQ(rejected.id, "89ab");
  EXPECT_EQ(rejected.officer, "ben");
  EXPECT_EQ(base::as_text(rejected.pin.reveal()), "271828");
  EXPECT_EQ(rejected.reason, "no\nway");
}

TEST(ConsoleProtocol, AnswersArriveAsTheyWereGiven) {
  const WaitingList list = answered(WaitingList{"banner", {{"id", "summary", "words"}, {"id2", "", "w"}}});
  EXPECT_EQ(list.banner, "banner");
  ASSERT_EQ(list.requests.size(), 2U);
  EXPECT_EQ(list.requests[0].id, "id");
  EXPECT_EQ(list.requests[0].summary, "summary");
  EXPECT_EQ(list.requests[0].words, "words");
  EXPECT_EQ(list.requests[1].id, "id2");
  const Document document = answered(Document{{{"Request", {"one", "two"}}, {"Findings", {}}}});
  ASSERT_EQ(document.sections.size(), 2U);
  EXPECT_EQ(document.sections[0].heading, "Request");
  EXPECT_EQ(document.sections[0].lines, (std::vector<std::string>{"one", "two"}));
  EXPECT_TRUE(document.sections[1].lines.empty());
  const Approval approval = answered(Approval{{"ada"}, 1, {"ben", "cay"}, 299, 4, "two words", {"unlock ada"}});
  EXPECT_EQ(approval.signing_seconds, 4U);
  EXPECT_EQ(approval.words, "two words");
  EXPECT_EQ(approval.approved, std::vector<std::string>{"ada"});
  EXPECT_EQ(approval.needed, 1U);
  EXPECT_EQ(approval.officers, (std::vector<std::string>{"ben", "cay"}));
  EXPECT_EQ(approval.seconds_left, 299U);
  const Progress progress = answered(Progress{3, 7, "signing"});
  EXPECT_EQ(progress.done, 3U);
  EXPECT_EQ(progress.total, 7U);
  EXPECT_EQ(progress.what, "signing");
  EXPECT_EQ(answered(Done{"signed"}).text, "signed");
  EXPECT_EQ(answered(Refusal{"no", true}).text, "no");
  EXPECT_TRUE(answered(Refusal{"no", true}).sitting_is_over);
  EXPECT_FALSE(answered(Refusal{"no", false}).sitting_is_over);
}

TEST(ConsoleProtocol, RefusesMessagesCutShortAnywhere) {
  for (const Bytes& question : every_question())
    for (std::size_t length = 0; length < question.size(); ++length)
      EXPECT_FALSE(decode_question(ByteView(question).first(length)).has_value()) << int{question[0]} << " at " << length;
  for (const Bytes& answer : every_answer())
    for (std::size_t length = 0; length < answer.size(); ++length)
      EXPECT_FALSE(decode_answer(ByteView(answer).first(length)).has_value()) << int{answer[0]} << " at " << length;
}

TEST(ConsoleProtocol, RefusesBytesAfterTheMessage) {
  for (Bytes question : every_question()) {
    question.push_back(0);
    EXPECT_FALSE(decode_question(question).has_value()) << int{question[0]};
  }
  for (Bytes answer : every_answer()) {
    answer.push_back(0);
    EXPECT_FALSE(decode_answer(answer).has_value()) << int{answer[0]};
  }
}

TEST(ConsoleProtocol, RefusesUnknownKindsAndTheOtherSidesMessages) {
  for (unsigned kind = 0; kind < 256; ++kind) {
    const Bytes only_kind{static_cast<std::uint8_t>(kind)};
    if (kind != 1 && kind != 6 && kind != 7) {   // the three questions without fields
      EXPECT_FALSE(decode_question(only_kind).has_value()) << kind;
    }
    EXPECT_FALSE(decode_answer(only_kind).has_value()) << kind;
  }
  for (const Bytes& answer : every_answer()) expect_error(decode_question(answer), Errc::malformed, "unknown kind");
  for (const Bytes& question : every_question()) expect_error(decode_answer(question), Errc::malformed, "unknown kind");
}

TEST(ConsoleProtocol, RefusesFieldsOverTheirLimits) {
  const std::string long_name(base::limits::kNameBytes + 1, 'a');
  expect_error(decode_question(payload_of(ConsoleQuestion(AskRequest{long_name}))), Errc::too_large, "65");
  expect_error(decode_question(payload_of(ConsoleQuestion(BeginApproval{long_name}))), Errc::too_large, "65");
  expect_error(decode_question(payload_of(ConsoleQuestion(EnterPin{long_name, pin("1")}))), Errc::too_large, "65");
  const std::string long_pin(base::limits::kPinBytes + 1, '1');
  expect_error(decode_question(payload_of(ConsoleQuestion(EnterPin{"ada", pin(long_pin)}))), Errc::too_large, "33");
  const std::string long_reason(base::limits::kNoteBytes + 1, 'x');
  expect_error(decode_question(payload_of(ConsoleQuestion(RejectRequest{"id", "ada", pin("1"), long_reason}))),
               Errc::too_large, "2001");
}

TEST(ConsoleProtocol, RefusesCountsOverTheLimitBeforeReadingOn) {
  ByteWriter list;
  list.u8(65).put_counted({}).u32le(0xFFFFFFFF);
  expect_error(decode_answer(list.bytes()), Errc::too_large, "4294967295");
  ByteWriter document;
  document.u8(66).u32le(1).put_counted({}).u32le(5001);
  expect_error(decode_answer(document.bytes()), Errc::too_large, "5001");
  ByteWriter text;
  text.u8(69).u32le(0x7FFFFFFF);
  EXPECT_FALSE(decode_answer(text.bytes()).has_value());
  ByteWriter neither;
  neither.u8(70).put_counted({}).u8(2);
  expect_error(decode_answer(neither.bytes()), Errc::malformed, "2 for yes or no");
}

TEST(ConsoleProtocol, AQuestionAtItsLimitsFitsIntoTheServersBuffer) {
  const ConsoleQuestion longest = RejectRequest{std::string(base::limits::kNameBytes, 'a'), std::string(base::limits::kNameBytes, 'b'),
                                                pin(std::string(base::limits::kPinBytes, '1')), std::string(base::limits::kNoteBytes, 'x')};
  EXPECT_LE(payload_of(longest).size(), kQuestionBytes);
}

TEST(ConsoleProtocol, RefusesAFrameThatAnnouncesMoreThanTheLimit) {
  const Bytes header{0x01, 0x10, 0x00, 0x00};   // 4097
  expect_error(payload_size(header, kQuestionBytes), Errc::too_large, "4097");
  EXPECT_EQ(must(payload_size(Bytes{0x00, 0x10, 0x00, 0x00}, kQuestionBytes)), kQuestionBytes);
  EXPECT_FALSE(payload_size(Bytes{0x00, 0x10, 0x00}, kQuestionBytes).has_value());
}

}  // namespace
}  // namespace appliance
