#include "usb/serial/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::ByteReader;
using base::ByteView;
using base::ByteWriter;
using base::Errc;
using base::Result;

constexpr std::size_t kRepliesBytes = 4096;     // more answers than this are not owed to anybody
constexpr std::size_t kReasonBytes = 300;
constexpr std::size_t kUnderway = 2048;         // frames; a peer that takes a byte at a time gets no more
constexpr std::size_t kLeastPiece = 256;        // of the stream in a frame
constexpr std::size_t kMostPiece = 4096;
constexpr double kFrameCost = 30;               // bytes on the line that are not of the stream, as kFrameHeaderBytes and so on
constexpr double kTrustInALine = 50'000;        // bytes that a new link is taken to have carried well
constexpr double kMemory = 1'000'000;           // bytes after which what was before counts half
constexpr Duration kQuickly = std::chrono::milliseconds(5);
constexpr std::size_t kMostOutput = 32U << 10;

std::uint32_t low_half(std::uint64_t value) { return static_cast<std::uint32_t>(value & 0xFFFFFFFFU); }

// Offsets and numbers travel as their lower 32 bits: the one that is nearest to what we know is meant.
std::uint64_t nearest(std::uint64_t known, std::uint32_t low) {
  return known + static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(low - low_half(known))});
}

struct Greeting {
  std::uint8_t lowest = 0;
  std::uint8_t highest = 0;
  std::uint32_t window = 0;
};

Result<Greeting> greeting_from(ByteView payload) {   // what a later version adds behind it is not looked at
  ByteReader reader(payload);
  Greeting greeting;
  greeting.lowest = TRY(reader.u8());
  greeting.highest = TRY(reader.u8());
  greeting.window = TRY(reader.u32le());
  return greeting;
}

Bytes our_greeting() {
  ByteWriter writer;
  writer.u8(kProtocolVersion).u8(kProtocolVersion).u32le(kStreamBytes);
  return std::move(writer).bytes();
}

}  // namespace

Session::Session(Role role, std::uint32_t link, Instant now)
    : role_(role), last_heard_(now), probe_at_(now + kProbe), retry_at_(now) {
  if (role == Role::host) link_ = link;   // the first tick says hello
  tick(now);
}

std::string LineQuality::words() const {
  if (damaged + repaired + bytes_sent_again == 0) return {};
  return fmt::format("{} damaged frames came and {} with a wrong byte that was repaired; {} of {} bytes were sent again", damaged, repaired,
                     bytes_sent_again, bytes_sent);
}

LineQuality Session::quality() const {
  LineQuality now = quality_;
  now.damaged = decoder_.dropped();
  now.repaired = decoder_.repaired();
  return now;
}

void Session::reply(FrameType type, std::uint32_t link, std::uint32_t number, ByteView payload) {
  if (replies_.size() < kRepliesBytes) base::append(replies_, encode_frame({type, link, number, base::to_bytes(payload)}));
}

void Session::say_hello(Instant now) {
  reply(FrameType::hello, link_, ++hellos_, our_greeting());
  hello_sent_ = now;
}

void Session::ping(Instant now) {
  reply(FrameType::ping, link_, low_half(++last_number_));
  if (underway_.size() < kUnderway) underway_.push_back({last_number_, {}, now});
}

void Session::end_link(std::string reason) {
  if (state_ == State::closed) return;
  state_ = State::closed;
  lost_.clear();
  underway_.clear();
  ack_due_ = false;
  end_reason_ = std::move(reason);
  tell_closed_ = true;
}

void Session::close(std::string reason) {
  if (state_ == State::closed) return;
  reason.resize(std::min(reason.size(), kReasonBytes));
  if (state_ == State::connected || role_ == Role::host) reply(FrameType::reset, link_, 0, base::as_bytes(reason));
  end_link(std::move(reason));
}

// ---- what is heard ------------------------------------------------------------------------------------------------

void Session::receive(ByteView bytes, Instant now) {
  std::vector<Frame> frames;
  quality_.bytes_heard += bytes.size();
  decoder_.feed(bytes, frames);
  quality_.frames_heard += frames.size();
  for (const Frame& frame : frames) {
    if (state_ == State::closed) return;
    handle(frame, now);
  }
}

void Session::handle(const Frame& frame, Instant now) {
  if (role_ == Role::appliance && frame.type == FrameType::hello) {
    if (state_ == State::connected && frame.link == link_) last_heard_ = now;
    return handle_hello(frame);
  }
  const bool ours = frame.link == link_ && (role_ == Role::host || state_ == State::connected);
  if (!ours) {
    // A host that talks of a link we do not know must learn that we were restarted.
    if (role_ == Role::appliance && (frame.type == FrameType::data || frame.type == FrameType::ping))
      reply(FrameType::reset, frame.link, 0, base::as_bytes("no such link"));
    return;
  }
  last_heard_ = now;
  probe_at_ = now + kProbe;
  if (frame.type == FrameType::reset)
    return end_link(base::printable(base::as_text(ByteView(frame.payload).first(std::min(frame.payload.size(), kReasonBytes)))));
  if (frame.type == FrameType::welcome && role_ == Role::host && state_ == State::connecting) return handle_welcome(frame, now);
  if (state_ != State::connected) return;
  if (frame.type == FrameType::data) handle_data(frame);
  if (frame.type == FrameType::ack) handle_ack(frame, now);
  if (frame.type != FrameType::ping) return;
  note_number(frame.number);
  ack_due_ = true;
}

void Session::handle_hello(const Frame& frame) {
  const Result<Greeting> greeting = greeting_from(frame.payload);
  if (!greeting || greeting->lowest > kProtocolVersion || greeting->highest < kProtocolVersion) {
    const std::string theirs = greeting ? fmt::format("{} to {}", greeting->lowest, greeting->highest) : "an unreadable one";
    return reply(FrameType::reset, frame.link, 0,
                 base::as_bytes(fmt::format("no common version: the host speaks {}, the appliance {}", theirs, kProtocolVersion)));
  }
  if (state_ == State::connected && frame.link != link_) return end_link("the host has begun another link");
  if (state_ == State::connecting) {
    state_ = State::connected;
    link_ = frame.link;
    limit_ = std::min<std::uint64_t>(greeting->window, kStreamBytes);
    told_limit_ = kStreamBytes;
    tell_connected_ = true;
  }
  reply(FrameType::welcome, link_, frame.number, our_greeting());
}

void Session::handle_welcome(const Frame& frame, Instant now) {
  const Result<Greeting> greeting = greeting_from(frame.payload);
  if (!greeting || greeting->lowest > kProtocolVersion || greeting->highest < kProtocolVersion) return close("no common version");
  state_ = State::connected;
  limit_ = std::min<std::uint64_t>(greeting->window, kStreamBytes);
  told_limit_ = kStreamBytes;
  tell_connected_ = true;
  if (frame.number == hellos_) measure(now - hello_sent_);
}

void Session::note_number(std::uint32_t number) { heard_number_ = std::max(heard_number_, nearest(heard_number_, number)); }

void Session::handle_data(const Frame& frame) {
  ByteReader reader(frame.payload);
  const Result<std::uint32_t> offset = reader.u32le();
  if (!offset) return;
  const Result<ByteView> bytes = reader.take(reader.remaining());
  if (!bytes) return;
  ack_due_ = true;   // for a repeated one too: our acknowledgement was lost
  note_number(frame.number);
  const std::uint64_t begin = nearest(incoming_.next(), *offset);
  if (begin < incoming_.limit()) incoming_.put(begin, *bytes);
}

void Session::handle_ack(const Frame& frame, Instant now) {
  ByteReader reader(frame.payload);
  const auto number = reader.u32le();
  const auto next = reader.u32le();
  const auto limit = reader.u32le();
  if (!number || !next || !limit) return;
  const std::uint64_t heard = nearest(last_number_, *number);
  const std::uint64_t all_before = nearest(outgoing_.begin(), *next);
  // What was never sent cannot have come; what was acknowledged before is an old frame, of a line that repeats.
  if (heard > last_number_ || all_before > sent_end_ || all_before < outgoing_.begin()) return;
  std::vector<Range> beyond = {{0, all_before}};
  while (reader.remaining() >= 8 && beyond.size() <= kGaps) {
    const Range range{nearest(all_before, *reader.u32le()), nearest(all_before, *reader.u32le())};
    if (range.empty() || range.begin <= beyond.back().end || range.end > sent_end_) return;
    beyond.push_back(range);
  }
  // A window may only grow: an old acknowledgement does not take back what a newer one gave.
  limit_ = std::max(limit_, std::min(nearest(all_before, *limit), all_before + kStreamBytes));
  sort_out(heard, beyond, now);
  outgoing_.release(all_before);
  std::vector<Range> still_lost;
  for (const Range& range : lost_)
    for (const Range& rest : without(range, beyond)) still_lost.push_back(rest);
  lost_ = std::move(still_lost);
}

// Everything sent up to number `heard` has come or is lost.
void Session::sort_out(std::uint64_t heard, const std::vector<Range>& beyond, Instant now) {
  bool in_a_row = false;
  while (!underway_.empty() && underway_.front().number <= heard) {
    const Underway one = underway_.front();
    underway_.pop_front();
    if (one.number == heard) measure(now - one.sent);
    pings_ = 0;
    retry_at_ = now + retry_;
    if (one.range.empty()) continue;
    const std::vector<Range> missing = without(one.range, beyond);
    for (const Range& range : missing) join(lost_, range);
    if (missing.empty()) clean_bytes_ += static_cast<double>(one.range.size());
    if (!missing.empty() && !in_a_row) losses_ += 1;   // a line that was silent for a while is not a noisy one
    in_a_row = !missing.empty();
  }
  if (clean_bytes_ < kMemory) return;
  clean_bytes_ /= 2;
  losses_ /= 2;
}

// With losses at a rate p for each byte, frames of sqrt(cost / p) bytes waste least: longer ones are lost more often,
// shorter ones cost more.
std::size_t Session::frame_bytes() const {
  const double best = std::sqrt(kFrameCost * (kTrustInALine + clean_bytes_) / (losses_ + 0.25));
  return std::clamp(static_cast<std::size_t>(best), kLeastPiece, kMostPiece);
}

// RFC 6298, section 2.
void Session::measure(Duration round_trip) {
  if (!measured_) {
    smooth_ = round_trip;
    deviation_ = round_trip / 2;
    measured_ = true;
  } else {
    const Duration off = smooth_ > round_trip ? smooth_ - round_trip : round_trip - smooth_;
    deviation_ = (3 * deviation_ + off) / 4;
    smooth_ = (7 * smooth_ + round_trip) / 8;
  }
  retry_ = std::clamp(smooth_ + 4 * deviation_, kShortestRetry, kLongestRetry);
}

// ---- time ---------------------------------------------------------------------------------------------------------

// Nothing can be sent, and only an acknowledgement changes that.
bool Session::waits_for_ack() const { return outgoing_.begin() != outgoing_.end() && !next_piece(); }

void Session::tick(Instant now) {
  if (state_ == State::closed) return;
  if (state_ == State::connecting) {
    if (role_ == Role::host && now >= retry_at_) {
      say_hello(now);
      retry_at_ = now + kHelloRetry;
    }
    return;
  }
  if (now - last_heard_ >= kSilence) return end_link("nothing was heard from the other end for 120 seconds");
  if (waits_for_ack() && now >= retry_at_) {
    ping(now);
    ++pings_;
    retry_at_ = now + std::min(retry_ * (1U << std::min(pings_, 8U)), kLongestRetry);
  }
  if (now >= probe_at_) {
    ping(now);
    probe_at_ = now + kProbe;
  }
}

Instant Session::next_deadline() const {
  if (state_ == State::closed) return Instant::max();
  if (state_ == State::connecting) return role_ == Role::host ? retry_at_ : Instant::max();
  const Instant next = std::min(last_heard_ + kSilence, probe_at_);
  return waits_for_ack() ? std::min(next, retry_at_) : next;
}

// ---- what is said -------------------------------------------------------------------------------------------------

Bytes Session::ack_payload() {
  ByteWriter writer;
  told_limit_ = incoming_.limit();
  writer.u32le(low_half(heard_number_)).u32le(low_half(incoming_.next())).u32le(low_half(told_limit_));
  for (const Range& range : incoming_.beyond()) writer.u32le(low_half(range.begin)).u32le(low_half(range.end));
  return std::move(writer).bytes();
}

std::optional<Range> Session::next_piece() const {
  if (state_ != State::connected || underway_.size() >= kUnderway) return std::nullopt;
  const std::uint64_t most = frame_bytes();
  if (!lost_.empty()) return Range{lost_.front().begin, std::min(lost_.front().end, lost_.front().begin + most)};
  const Range fresh{sent_end_, std::min({outgoing_.end(), limit_, sent_end_ + most})};
  if (fresh.empty()) return std::nullopt;
  return fresh;
}

Bytes Session::take_output(Instant now) {
  if (std::exchange(ack_due_, false)) reply(FrameType::ack, link_, 0, ack_payload());
  Bytes out = std::exchange(replies_, {});
  // On a slow line one frame at a time, so that an acknowledgement never stands in a long queue.
  output_bytes_ = now - last_output_ < kQuickly ? std::min(output_bytes_ * 2 + 1, kMostOutput) : 1;
  while (out.size() < output_bytes_) {
    const std::optional<Range> piece = next_piece();
    if (!piece) break;
    ByteWriter payload;
    payload.u32le(low_half(piece->begin));
    Bytes bytes = std::move(payload).bytes();
    outgoing_.append_to(bytes, *piece);
    base::append(out, encode_frame({FrameType::data, link_, low_half(++last_number_), std::move(bytes)}));
    underway_.push_back({last_number_, *piece, now});
    quality_.bytes_sent += piece->size();
    if (piece->begin < sent_end_) {
      quality_.bytes_sent_again += piece->size();
      lost_.front().begin = piece->end;
      if (lost_.front().empty()) lost_.erase(lost_.begin());
    }
    sent_end_ = std::max(sent_end_, piece->end);
    retry_at_ = now + retry_;
  }
  if (!out.empty()) last_output_ = now;
  return out;
}

std::optional<Event> Session::next_event() {
  if (std::exchange(tell_connected_, false)) return Connected{};
  Result<std::optional<Bytes>> message = incoming_.take_message();
  if (!message) {
    if (state_ != State::closed) close(message.error().text());
    return std::exchange(tell_closed_, false) ? std::optional<Event>(Closed{end_reason_}) : std::nullopt;
  }
  if (*message) {
    // The peer must learn of room before it has none left.
    if (incoming_.limit() - told_limit_ >= kStreamBytes / 4 && connected()) ack_due_ = true;
    return Message{std::move(**message)};
  }
  if (std::exchange(tell_closed_, false)) return Closed{end_reason_};
  return std::nullopt;
}

void Session::send(ByteView message) {
  base::require(connected(), "a message is given to a link that is there");
  outgoing_.append_message(message);
}

}  // namespace serial
