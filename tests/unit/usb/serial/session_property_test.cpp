// Two sessions and a simulated line, with simulated time: 10,000 lines that lose, change, repeat and cut bytes, stall, and
// are unplugged. Whatever the line does, a transfer ends complete and identical, or with a reason; it never hangs.
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "tests/support/parcels.hpp"
#include "usb/serial/session.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::ByteView;
using namespace std::chrono_literals;

const Instant kStart = Instant(1000s);

struct Badness {
  double per_byte = 0;       // changed or dropped
  unsigned lose = 0;         // percent of the pieces given to the line, each
  unsigned repeat = 0;
  unsigned truncate = 0;
  unsigned noise = 0;
  unsigned stall = 0;        // permille: nothing moves for up to 30 s
  double bytes_per_second = 100'000;
  Duration delay{};
};

class Line {   // one direction
 public:
  Line(const Badness& badness, std::mt19937& random) : badness_(badness), random_(random) {}
  bool is_free(Instant now) const { return free_at_ <= now; }
  Instant free_at() const { return free_at_; }
  Instant next_arrival() const { return pieces_.empty() ? Instant::max() : pieces_.front().at; }
  void unplug() { pieces_.clear(); }

  void put(Bytes bytes, Instant now) {
    const auto time = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(
        static_cast<double>(bytes.size()) / badness_.bytes_per_second));
    if (random_() % 1000 < badness_.stall) now += std::chrono::milliseconds(random_() % 30'000);
    free_at_ = std::max(free_at_, now) + time;
    if (chance(badness_.lose)) return;
    if (chance(badness_.truncate)) bytes.resize(random_() % bytes.size());
    spoil(bytes);
    if (chance(badness_.noise)) base::append(bytes, tests::some_bytes(random_() % 60, static_cast<unsigned>(random_())));
    if (bytes.empty()) return;
    const Instant at = free_at_ + badness_.delay;
    if (chance(badness_.repeat)) pieces_.push_back({at, bytes});
    pieces_.push_back({at, std::move(bytes)});
  }
  Bytes take(Instant now) {
    Bytes out;
    while (!pieces_.empty() && pieces_.front().at <= now) {
      base::append(out, pieces_.front().bytes);
      pieces_.pop_front();
    }
    return out;
  }

 private:
  bool chance(unsigned percent) { return random_() % 100 < percent; }
  void spoil(Bytes& bytes) {
    if (badness_.per_byte <= 0) return;
    std::geometric_distribution<std::size_t> gap(badness_.per_byte);
    for (std::size_t at = gap(random_); at < bytes.size(); at += gap(random_) + 1) {
      if (random_() % 2 == 0) bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
      else bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ (1U + random_() % 255));
    }
  }
  struct Piece {
    Instant at;
    Bytes bytes;
  };
  const Badness& badness_;
  std::mt19937& random_;
  std::deque<Piece> pieces_;
  Instant free_at_ = kStart;
};

// Two programs with a file to carry from one to the other. The receiver says on each new link how much it has.
class Programs {
 public:
  Programs(unsigned seed, const Badness& badness)
      : random_(seed), badness_(badness), there_(badness_, random_), back_(badness_, random_),
        file_(tests::some_bytes(random_() % 50 == 0 ? 200'000 : random_() % 12'000, seed)), from_host_(random_() % 2 == 0) {
    host_.emplace(Role::host, static_cast<std::uint32_t>(random_()), now_);
    appliance_.emplace(Role::appliance, 0, now_);
  }

  // Runs until the file is there or `until`; false for the latter.
  bool run(Instant until, unsigned unplug_permille) {
    while (now_ < until && !is_done()) {
      ++steps_;
      if (random_() % 1000 < unplug_permille) interrupt();
      step(*host_, there_, back_, from_host_);
      step(*appliance_, back_, there_, !from_host_);
      if (host_->closed()) restart(host_, Role::host);
      if (appliance_->closed()) restart(appliance_, Role::appliance);
      const Instant next = std::min({there_.next_arrival(), back_.next_arrival(), host_->next_deadline(), appliance_->next_deadline(),
                                     there_.is_free(now_) ? Instant::max() : there_.free_at(),
                                     back_.is_free(now_) ? Instant::max() : back_.free_at()});
      now_ = std::max(now_ + 1us, std::min(next, now_ + 1s));
    }
    return is_done();
  }
  bool is_done() const { return got_.size() == file_.size(); }
  bool is_identical() const { return got_ == file_; }
  const std::vector<std::string>& reasons() const { return reasons_; }
  Instant now() const { return now_; }
  std::size_t steps() const { return steps_; }

 private:
  void step(Session& session, Line& out, Line& in, bool is_sender) {
    session.receive(in.take(now_), now_);
    session.tick(now_);
    while (const auto event = session.next_event()) {
      if (std::holds_alternative<Connected>(*event)) {
        base::ByteWriter have;
        have.u64le(got_.size());
        if (is_sender) said_.reset();
        else session.send(have.bytes());
      }
      if (const auto* message = std::get_if<Message>(&*event)) hear(message->bytes, is_sender);
      if (const auto* closed = std::get_if<Closed>(&*event)) reasons_.push_back(closed->reason);
    }
    while (is_sender && said_ && *said_ < file_.size() && session.can_send(kMessageBytes)) {
      const std::size_t count = std::min<std::size_t>(file_.size() - *said_, 1 + random_() % 9000);
      session.send(ByteView(file_).subspan(*said_, count));
      *said_ += count;
    }
    if (!out.is_free(now_)) return;
    Bytes bytes = session.take_output(now_);
    ASSERT_LE(bytes.size(), 64U << 10);
    if (!bytes.empty()) out.put(std::move(bytes), now_);
  }

  void hear(const Bytes& message, bool is_sender) {
    if (!is_sender) return base::append(got_, message);
    base::ByteReader reader(message);
    said_ = static_cast<std::size_t>(*reader.u64le());
    ASSERT_LE(*said_, file_.size());
  }

  // The cable is pulled, or one of the programs is killed, or both.
  void interrupt() {
    const unsigned what = random_() % 4;
    if (what == 0 || what == 3) {
      there_.unplug();
      back_.unplug();
    }
    if (what == 1 || what == 3) restart(host_, Role::host);
    if (what == 2 || what == 3) restart(appliance_, Role::appliance);
  }
  void restart(std::optional<Session>& session, Role role) {
    session.emplace(role, static_cast<std::uint32_t>(random_()), now_);
    if ((role == Role::host) == from_host_) said_.reset();
  }

  std::mt19937 random_;
  Badness badness_;
  Line there_;
  Line back_;
  Bytes file_;
  Bytes got_;
  bool from_host_;
  std::optional<std::size_t> said_;   // by the sender, on this link
  std::optional<Session> host_;
  std::optional<Session> appliance_;
  std::vector<std::string> reasons_;
  Instant now_ = kStart;
  std::size_t steps_ = 0;
};

unsigned percentage(std::mt19937& random) { return random() % 3 == 0 ? static_cast<unsigned>(random() % 20) : 0; }

Badness some_badness(unsigned seed) {
  std::mt19937 random(seed * 7919);
  Badness badness;
  const double rates[] = {960, 11'520, 92'160, 300'000, 20'000'000};
  badness.bytes_per_second = rates[random() % 5];
  badness.delay = std::chrono::microseconds(random() % 3 == 0 ? random() % 400'000 : random() % 2000);
  if (seed % 4 == 0) return badness;   // a good cable, of any length
  const double errors[] = {0, 1e-5, 1e-4, 1e-3};
  badness.per_byte = errors[random() % 4];
  badness.lose = percentage(random);
  badness.repeat = percentage(random);
  badness.truncate = percentage(random);
  badness.noise = percentage(random);
  badness.stall = percentage(random) / 2;
  return badness;
}

void expect_every_transfer_ends_well(unsigned from, unsigned to) {
  for (unsigned seed = from; seed < to; ++seed) {
    Programs programs(seed, some_badness(seed));
    // An hour of the line's own time; pulled and killed now and then, and left alone at the end.
    if (!programs.run(kStart + 600s, seed % 3 == 0 ? 2 : 0)) (void)programs.run(programs.now() + 3000s, 0);
    ASSERT_TRUE(programs.is_done()) << "seed " << seed;
    ASSERT_TRUE(programs.is_identical()) << "seed " << seed;
    for (const std::string& reason : programs.reasons()) ASSERT_FALSE(reason.empty()) << "seed " << seed;
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(SessionProperty, TransfersEndCompleteOverTenThousandLinesPart1) { expect_every_transfer_ends_well(0, 2500); }
TEST(SessionProperty, TransfersEndCompleteOverTenThousandLinesPart2) { expect_every_transfer_ends_well(2500, 5000); }
TEST(SessionProperty, TransfersEndCompleteOverTenThousandLinesPart3) { expect_every_transfer_ends_well(5000, 7500); }
TEST(SessionProperty, TransfersEndCompleteOverTenThousandLinesPart4) { expect_every_transfer_ends_well(7500, 10000); }

TEST(SessionProperty, ADeadLineEndsWithAReasonAtBothEnds) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    Session host(Role::host, seed, kStart);
    Session appliance(Role::appliance, 0, kStart);
    Instant now = kStart;
    for (int turn = 0; turn < 10; ++turn) {
      appliance.receive(host.take_output(now), now);
      host.receive(appliance.take_output(now), now);
    }
    ASSERT_TRUE(host.connected() && appliance.connected());
    host.send(tests::some_bytes(seed + 1, seed));
    const Instant cut = now;
    while (!(host.closed() && appliance.closed())) {   // everything goes into the void
      now = std::max(now, std::min(host.next_deadline(), appliance.next_deadline()));
      host.tick(now);
      appliance.tick(now);
      (void)host.take_output(now);
      (void)appliance.take_output(now);
      ASSERT_LE(now, cut + kSilence + 1s);
    }
    EXPECT_NE(host.end_reason().find("nothing was heard"), std::string::npos);
    EXPECT_NE(appliance.end_reason().find("nothing was heard"), std::string::npos);
  }
}

// What retransmissions cost, in bytes of the stream.
TEST(SessionProperty, OneErrorInTenThousandBytesCostsLessThanATenthInRepetitions) {
  std::mt19937 random(1);
  Badness badness;
  badness.bytes_per_second = 11'520;
  badness.per_byte = 1e-4;
  Line there(badness, random);
  Line back(badness, random);
  Session host(Role::host, 9, kStart);
  Session appliance(Role::appliance, 0, kStart);
  Instant now = kStart;
  std::size_t to_say = 256U << 10;
  std::size_t heard = 0;
  while (heard < (256U << 10) && now < kStart + 100s) {
    host.receive(back.take(now), now);
    appliance.receive(there.take(now), now);
    host.tick(now);
    appliance.tick(now);
    while (const auto event = appliance.next_event())
      if (const auto* message = std::get_if<Message>(&*event)) heard += message->bytes.size();
    while (to_say > 0 && host.can_send(8192)) {
      host.send(Bytes(8192, 0x5A));
      to_say -= 8192;
    }
    if (there.is_free(now))
      if (Bytes bytes = host.take_output(now); !bytes.empty()) there.put(std::move(bytes), now);
    if (back.is_free(now))
      if (Bytes bytes = appliance.take_output(now); !bytes.empty()) back.put(std::move(bytes), now);
    now += 1ms;
  }
  ASSERT_EQ(heard, 256U << 10);
  const std::chrono::duration<double> took = now - kStart;
  RecordProperty("bytes_per_second", std::to_string((256U << 10) / took.count()));
  EXPECT_GT((256U << 10) / took.count(), 0.75 * 11'520);
  EXPECT_LT(host.quality().bytes_sent_again, host.quality().bytes_sent / 10);
}

}  // namespace
}  // namespace serial
