#include "usb/serial/session.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/parcels.hpp"

namespace serial {
namespace {

using base::Bytes;
using namespace std::chrono_literals;

const Instant kStart = Instant(1000s);

// Takes all that one end has to say.
Bytes all_output(Session& from, Instant now) {
  Bytes out;
  for (Bytes some = from.take_output(now); !some.empty(); some = from.take_output(now)) base::append(out, some);
  return out;
}

struct Pair {
  Instant now = kStart;
  Session host{Role::host, 0xCAFE, kStart};
  Session appliance{Role::appliance, 0, kStart};

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
  pair.host.send({1, 0, 2});
  pair.appliance.send({3});
  pair.settle();
  EXPECT_EQ(next_message(pair.appliance), (Bytes{1, 0, 2}));
  EXPECT_EQ(next_message(pair.host), (Bytes{3}));
  EXPECT_TRUE(pair.host.all_acknowledged());
}

TEST(Session, SaysHelloAgainUntilSomebodyAnswers) {
  Session host(Role::host, 1, kStart);
  EXPECT_FALSE(all_output(host, kStart).empty());
  EXPECT_TRUE(all_output(host, kStart).empty());
  host.tick(kStart + 100ms);
  EXPECT_TRUE(all_output(host, kStart + 100ms).empty());
  host.tick(host.next_deadline());
  EXPECT_FALSE(all_output(host, kStart + 1s).empty());
}

TEST(Session, RefusesAnotherVersionOfTheProtocol) {
  Session appliance(Role::appliance, 0, kStart);
  appliance.receive(encode_frame({FrameType::hello, 5, 0, {2}}), kStart);
  FrameDecoder decoder;
  std::vector<Frame> answers;
  decoder.feed(appliance.take_output(kStart), answers);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].type, FrameType::reset);
  EXPECT_FALSE(appliance.connected());

  Session host(Role::host, 5, kStart);
  host.receive(encode_frame(answers[0]), kStart);
  EXPECT_NE(end_of(host).find("version"), std::string::npos);
}

TEST(Session, EndsWhenNothingIsHeard) {
  Pair pair;
  pair.settle();
  pair.host.send({1});
  for (Instant now = kStart; now < kStart + kSilence + 1s; now += 100ms) {
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
  pair.host.send({1});
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
  EXPECT_FALSE(pair.host.can_send());
}

TEST(Session, IgnoresAcknowledgementsOfWhatWasNeverSent) {
  Pair pair;
  pair.settle();
  pair.host.send({1});
  pair.host.send({2});
  pair.host.receive(encode_frame({FrameType::ack, 0xCAFE, 2, {}}), pair.now);
  pair.host.receive(encode_frame({FrameType::ack, 0xCAFE, 0xFFFFFFFF, {}}), pair.now);
  EXPECT_FALSE(pair.host.all_acknowledged());
  pair.settle();
  EXPECT_EQ(next_message(pair.appliance), (Bytes{1}));
  EXPECT_EQ(next_message(pair.appliance), (Bytes{2}));
}

TEST(Session, KeepsAtMostAWindowOfMessagesNobodyTakes) {
  Session appliance(Role::appliance, 0, kStart);
  appliance.receive(encode_frame({FrameType::hello, 5, 0, {kProtocolVersion}}), kStart);
  for (std::uint32_t number = 0; number < 1000; ++number)
    appliance.receive(encode_frame({FrameType::data, 5, number, Bytes(100, 1)}), kStart);
  std::size_t messages = 0;
  while (auto event = appliance.next_event()) messages += std::holds_alternative<Message>(*event) ? 1U : 0U;
  EXPECT_EQ(messages, kWindow);
}

// One direction of a bad line.
class BadLine {
 public:
  explicit BadLine(std::mt19937& random, unsigned badness) : random_(random), badness_(badness) {}
  void put(Bytes bytes) {
    if (chance(3)) bytes.clear();                                    // lost
    if (!bytes.empty() && chance(3)) bytes.resize(random_() % bytes.size());   // cut
    if (!bytes.empty() && chance(5)) bytes[random_() % bytes.size()] ^= static_cast<std::uint8_t>(1U << (random_() % 8));
    if (chance(3)) base::append(line_, bytes);                       // twice
    if (chance(2)) base::append(line_, tests::some_bytes(random_() % 50, static_cast<unsigned>(random_())));
    base::append(line_, bytes);
  }
  Bytes take() {   // arrives in pieces
    const std::size_t count = line_.empty() ? 0 : 1 + random_() % line_.size();
    Bytes out(line_.begin(), line_.begin() + static_cast<std::ptrdiff_t>(count));
    line_.erase(line_.begin(), line_.begin() + static_cast<std::ptrdiff_t>(count));
    return out;
  }

 private:
  bool chance(unsigned percent) { return random_() % 100 < percent * badness_; }
  std::mt19937& random_;
  unsigned badness_;
  Bytes line_;
};

class Talker {   // sends its messages, collects the other's
 public:
  Talker(Session session, std::vector<Bytes> to_say) : session_(std::move(session)), to_say_(std::move(to_say)) {}
  void step(BadLine& out, BadLine& in, Instant now) {
    session_.receive(in.take(), now);
    session_.tick(now);
    while (auto event = session_.next_event()) {
      if (auto* message = std::get_if<Message>(&*event)) heard_.push_back(message->bytes);
      if (auto* closed = std::get_if<Closed>(&*event)) FAIL() << closed->reason;
    }
    while (said_ < to_say_.size() && session_.can_send()) session_.send(to_say_[said_++]);
    out.put(session_.take_output(now));
  }
  bool done() const { return said_ == to_say_.size() && session_.connected() && session_.all_acknowledged(); }
  const std::vector<Bytes>& heard() const { return heard_; }

 private:
  Session session_;
  std::vector<Bytes> to_say_;
  std::size_t said_ = 0;
  std::vector<Bytes> heard_;
};

TEST(Session, CarriesEverythingOnceAndInOrderOverABadLine) {
  for (unsigned seed = 0; seed < 400; ++seed) {
    std::mt19937 random(seed);
    const unsigned badness = seed % 4;   // 0: a perfect line
    std::vector<Bytes> from_host;
    std::vector<Bytes> from_appliance;
    for (unsigned i = 0; i < 40; ++i) from_host.push_back(tests::some_bytes(1 + random() % 300, i));
    for (unsigned i = 0; i < random() % 20; ++i) from_appliance.push_back(tests::some_bytes(1 + random() % 300, i + 1000));
    Talker host(Session(Role::host, static_cast<std::uint32_t>(random()), kStart), from_host);
    Talker appliance(Session(Role::appliance, 0, kStart), from_appliance);
    BadLine there(random, badness);
    BadLine back(random, badness);
    Instant now = kStart;
    // The time a bad line may take is bounded too: half an hour of its own clock.
    while ((!host.done() || !appliance.done()) && now < kStart + 1800s) {
      host.step(there, back, now);
      appliance.step(back, there, now);
      now += 20ms;
    }
    ASSERT_EQ(appliance.heard(), from_host) << "seed " << seed;
    ASSERT_EQ(host.heard(), from_appliance) << "seed " << seed;
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace serial
