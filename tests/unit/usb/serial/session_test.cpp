#include "usb/serial/session.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "crypto/base/byte_writer.hpp"
#include "tests/support/parcels.hpp"

namespace serial {
namespace {

using base::Bytes;
using namespace std::chrono_literals;

const Instant kSessionStart = Instant(1000s);

// Takes all that one end has to say.
Bytes all_output(Session& from, Instant now) {
  Bytes out;
  for (Bytes some = from.take_output(now); !some.empty(); some = from.take_output(now)) base::append(out, some);
  return out;
}

struct Pair {
  Instant now = kSessionStart;
  Session host{Role::host, 0xCAFE, kSessionStart};
  Session appliance{Role::appliance, 0, kSessionStart};

  // Carries everything until both are silent.
  void settle() {
    while (true) {
      const Bytes there = all_output(host, now);
      const Bytes back = all_output(appliance, now);
      if (there.empty() && back.empty()) return;
      appliance.receive(there, now);
      host.receive(back, now);
    }
  }
};

Bytes next_message(Session& session) {
  while (auto event = session.next_event())
    if (auto* message = std::get_if<Message>(&*event)) return message->bytes;
  return {};
}

std::string end_of(Session& session) {
  while (auto event = session.next_event())
    if (auto* closed = std::get_if<Closed>(&*event)) return closed->reason;
  return "still open";
}

TEST(Session, ConnectsAndCarriesMessagesBothWays) {
  Pair pair;
  pair.settle();
  ASSERT_TRUE(pair.host.connected());
  ASSERT_TRUE(pair.appliance.connected());
  pair.host.send(Bytes{1, 0, 2});
  pair.appliance.send(Bytes{3});
  pair.settle();
  EXPECT_EQ(next_message(pair.appliance), (Bytes{1, 0, 2}));
  EXPECT_EQ(next_message(pair.host), (Bytes{3}));
  EXPECT_EQ(pair.host.unacknowledged(), 0U);
}

TEST(Session, SaysHelloAgainUntilSomebodyAnswers) {
  Session host(Role::host, 1, kSessionStart);
  EXPECT_FALSE(all_output(host, kSessionStart).empty());
  EXPECT_TRUE(all_output(host, kSessionStart).empty());
  host.tick(kSessionStart + 100ms);
  EXPECT_TRUE(all_output(host, kSessionStart + 100ms).empty());
  host.tick(host.next_deadline());
  EXPECT_FALSE(all_output(host, kSessionStart + 1s).empty());
}

TEST(Session, RefusesAnotherVersionOfTheProtocol) {
  Session appliance(Role::appliance, 0, kSessionStart);
  appliance.receive(encode_frame({FrameType::hello, 5, 1, {3, 7, 0, 0, 1, 0}}), kSessionStart);
  FrameDecoder decoder;
  std::vector<Frame> answers;
  decoder.feed(appliance.take_output(kSessionStart), answers);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].type, FrameType::reset);
  EXPECT_FALSE(appliance.connected());

  Session host(Role::host, 5, kSessionStart);
  host.receive(encode_frame(answers[0]), kSessionStart);
  EXPECT_NE(end_of(host).find("version"), std::string::npos);
}

TEST(Session, EndsWhenNothingIsHeard) {
  Pair pair;
  pair.settle();
  pair.host.send(Bytes{1});
  for (Instant now = kSessionStart; now < kSessionStart + kSilence + 1s; now += 100ms) {
    pair.host.tick(now);
    (void)all_output(pair.host, now);   // into the void
  }
  EXPECT_NE(end_of(pair.host).find("nothing was heard"), std::string::npos);
}

TEST(Session, StaysOpenWhileTheHostProbesAQuietLink) {
  Pair pair;
  pair.settle();
  for (int second = 0; second < 1000; ++second) {
    pair.now += 1s;
    pair.host.tick(pair.now);
    pair.appliance.tick(pair.now);
    pair.settle();
  }
  EXPECT_TRUE(pair.host.connected());
  EXPECT_TRUE(pair.appliance.connected());
}

TEST(Session, TellsAHostOfAnEarlierLinkThatItIsOver) {
  Pair pair;
  pair.settle();
  pair.appliance = Session(Role::appliance, 0, pair.now);   // the courier was restarted
  pair.host.send(Bytes{1});
  pair.settle();
  EXPECT_NE(end_of(pair.host).find("no such link"), std::string::npos);
}

TEST(Session, EndsWhenTheHostBeginsAnotherLink) {
  Pair pair;
  pair.settle();
  Session other(Role::host, 0xBEEF, pair.now);
  pair.appliance.receive(all_output(other, pair.now), pair.now);
  EXPECT_NE(end_of(pair.appliance).find("another link"), std::string::npos);
}

TEST(Session, ClosingIsHeardByTheOtherEnd) {
  Pair pair;
  pair.settle();
  pair.host.close("finished");
  pair.settle();
  EXPECT_EQ(end_of(pair.appliance), "finished");
  EXPECT_FALSE(pair.host.can_send(1));
}

base::Bytes numbers(std::initializer_list<std::uint32_t> values) {
  base::ByteWriter writer;
  for (const std::uint32_t value : values) writer.u32le(value);
  return std::move(writer).bytes();
}

TEST(Session, IgnoresAcknowledgementsOfWhatWasNeverSent) {
  Pair pair;
  pair.settle();
  pair.host.send(Bytes{1});
  pair.host.send(Bytes{2});
  // Heard frame 1, everything before 6 has come, there is room up to 1000: but nothing was put on the line yet.
  pair.host.receive(encode_frame({FrameType::ack, 0xCAFE, 0, numbers({1, 6, 1000})}), pair.now);
  pair.host.receive(encode_frame({FrameType::ack, 0xCAFE, 0, numbers({0, 0xFFFFFFFF, 1000})}), pair.now);
  pair.host.receive(encode_frame({FrameType::ack, 0xCAFE, 0, numbers({0, 0, 1000, 2, 4})}), pair.now);
  EXPECT_EQ(pair.host.unacknowledged(), 6U);
  pair.settle();
  EXPECT_EQ(next_message(pair.appliance), (Bytes{1}));
  EXPECT_EQ(next_message(pair.appliance), (Bytes{2}));
  EXPECT_EQ(pair.host.unacknowledged(), 0U);
}

// The frames of what one end says now.
std::vector<Frame> frames_of(Session& session, Instant now) {
  FrameDecoder decoder;
  std::vector<Frame> frames;
  decoder.feed(all_output(session, now), frames);
  return frames;
}

TEST(Session, SendsAgainOnlyWhatWasLost) {
  Pair pair;
  pair.settle();
  for (std::uint8_t i = 0; i < 20; ++i) pair.host.send(Bytes(1000, i));
  std::vector<Frame> frames = frames_of(pair.host, pair.now);
  ASSERT_GE(frames.size(), 4U);
  const std::size_t lost_bytes = frames[1].payload.size() - 4;
  frames.erase(frames.begin() + 1);
  for (const Frame& frame : frames) pair.appliance.receive(encode_frame(frame), pair.now);
  pair.settle();
  for (std::uint8_t i = 0; i < 20; ++i) EXPECT_EQ(next_message(pair.appliance), Bytes(1000, i));
  EXPECT_EQ(pair.host.quality().bytes_sent_again, lost_bytes);
}

TEST(Session, AsksWithAPingWhenTheLastFrameWasLost) {
  Pair pair;
  pair.settle();
  pair.host.send(Bytes(100, 7));
  (void)all_output(pair.host, pair.now);   // lost
  ASSERT_TRUE(all_output(pair.host, pair.now).empty());
  pair.now = pair.host.next_deadline();
  EXPECT_LE(pair.now - kSessionStart, 1s);
  pair.host.tick(pair.now);
  const std::vector<Frame> frames = frames_of(pair.host, pair.now);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].type, FrameType::ping) << "nothing is sent again on a guess";
  pair.appliance.receive(encode_frame(frames[0]), pair.now);
  pair.settle();
  EXPECT_EQ(next_message(pair.appliance), Bytes(100, 7));
}

TEST(Session, SendsNoMoreThanTheOtherEndHasRoomFor) {
  Pair pair;
  pair.settle();
  std::size_t said = 0;
  for (int turn = 0; turn < 100; ++turn) {
    while (pair.host.can_send(1000)) {
      pair.host.send(Bytes(1000, 1));
      ++said;
    }
    pair.settle();   // and nobody takes the messages
    pair.now += 1s;
    pair.host.tick(pair.now);
  }
  EXPECT_LE(pair.host.quality().bytes_sent - pair.host.quality().bytes_sent_again, kStreamBytes);
  EXPECT_GT(said * 1002, kStreamBytes);
  std::size_t taken = 0;
  for (int turn = 0; turn < 300 && taken < said; ++turn) {   // now somebody does
    while (!next_message(pair.appliance).empty()) ++taken;
    pair.settle();
    pair.now += 1s;
    pair.host.tick(pair.now);
  }
  EXPECT_EQ(taken, said);
}

TEST(Session, FramesAreShortOnABadLineAndLongOnAGoodOne) {
  Pair good;
  good.settle();
  for (int turn = 0; turn < 200; ++turn) {
    good.host.send(Bytes(10'000, 1));
    good.settle();
    (void)next_message(good.appliance);
  }
  EXPECT_EQ(good.host.frame_bytes(), 4096U);
  Pair bad;
  bad.settle();
  for (int turn = 0; turn < 200; ++turn) {
    bad.host.send(Bytes(10'000, 1));
    std::vector<Frame> frames = frames_of(bad.host, bad.now);
    for (std::size_t i = 0; i + 1 < frames.size(); i += 2) frames.erase(frames.begin() + static_cast<std::ptrdiff_t>(i));
    for (const Frame& frame : frames) bad.appliance.receive(encode_frame(frame), bad.now);
    bad.settle();
    while (!next_message(bad.appliance).empty()) {}
  }
  EXPECT_LT(bad.host.frame_bytes(), 600U);
}

TEST(Session, KeepsABoundedAmountOfWhatNobodyTakes) {
  Session appliance(Role::appliance, 0, kSessionStart);
  appliance.receive(encode_frame({FrameType::hello, 5, 1, {kProtocolVersion, kProtocolVersion, 0, 0, 2, 0}}), kSessionStart);
  // Pieces with gaps between them, all over the range of offsets: at most kGaps are kept, and nothing beyond the window.
  for (std::uint32_t number = 1; number < 5000; ++number) {
    Bytes payload = numbers({number * 977 % 400'000});
    payload.insert(payload.end(), 100, 1);
    appliance.receive(encode_frame({FrameType::data, 5, number, payload}), kSessionStart);
    ASSERT_LE(appliance.take_output(kSessionStart).size(), 12 + 8 * kGaps + 200);
  }
  while (auto event = appliance.next_event()) EXPECT_FALSE(std::holds_alternative<Message>(*event));
}

TEST(Session, EndsOverAMessageLongerThanAnyMayBe) {
  Session appliance(Role::appliance, 0, kSessionStart);
  appliance.receive(encode_frame({FrameType::hello, 5, 1, {kProtocolVersion, kProtocolVersion, 0, 0, 2, 0}}), kSessionStart);
  Bytes payload = numbers({0});
  payload.insert(payload.end(), {0xFF, 0xFF, 1, 2, 3});   // a length of 65535
  appliance.receive(encode_frame({FrameType::data, 5, 1, payload}), kSessionStart);
  EXPECT_NE(end_of(appliance).find("65535"), std::string::npos);
}

TEST(Session, SaysThatNothingCanBeReadAtAnotherSpeed) {
  Session appliance(Role::appliance, 0, kSessionStart);
  EXPECT_FALSE(appliance.quality().is_unreadable());
  appliance.receive(tests::some_bytes(500, 1), kSessionStart);   // as a UART hears another speed
  EXPECT_TRUE(appliance.quality().is_unreadable());
  appliance.receive(encode_frame({FrameType::hello, 5, 1, {kProtocolVersion, kProtocolVersion, 0, 0, 2, 0}}), kSessionStart);
  EXPECT_FALSE(appliance.quality().is_unreadable());
  EXPECT_TRUE(appliance.connected());
}

TEST(Session, AnswersEndlessNegotiationWithBoundedMemory) {
  Session appliance(Role::appliance, 0, kSessionStart);
  Bytes hellos;
  for (std::uint32_t i = 0; i < 1000; ++i) base::append(hellos, encode_frame({FrameType::hello, i, i, {9, 9, 0, 0, 0, 0}}));
  appliance.receive(hellos, kSessionStart);
  EXPECT_LE(appliance.take_output(kSessionStart).size(), 8192U);
  EXPECT_FALSE(appliance.connected());
}

}  // namespace
}  // namespace serial
