#include "usb/serial/session.hpp"

#include <algorithm>
#include <utility>

#include "crypto/base/limits.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::ByteView;

constexpr std::size_t kRepliesBytes = 4096;   // more answers than this are not owed to anybody
constexpr std::size_t kReasonBytes = 300;
constexpr unsigned kRepeatedAcks = 2;         // then the message after them was lost, not late

}  // namespace

Session::Session(Role role, std::uint32_t link, Instant now)
    : role_(role), last_heard_(now), last_spoken_(now), retry_at_(now) {
  if (role == Role::host) link_ = link;   // the first tick says hello
  tick(now);
}

void Session::reply(FrameType type, std::uint32_t link, std::uint32_t sequence, ByteView payload) {
  if (replies_.size() < kRepliesBytes) base::append(replies_, encode_frame({type, link, sequence, base::to_bytes(payload)}));
}

void Session::say_hello(Instant now) {
  const std::uint8_t version[] = {kProtocolVersion};
  reply(FrameType::hello, link_, 0, version);
  last_spoken_ = now;
}

void Session::end_link(std::string reason) {
  if (state_ == State::closed) return;
  state_ = State::closed;
  outgoing_.clear();
  next_ = 0;
  ack_due_ = false;
  end_reason_ = std::move(reason);
  events_.emplace_back(Closed{end_reason_});
}

void Session::close(std::string reason) {
  if (state_ == State::closed) return;
  reason.resize(std::min(reason.size(), kReasonBytes));
  if (state_ == State::connected || role_ == Role::host) reply(FrameType::reset, link_, 0, base::as_bytes(reason));
  end_link(std::move(reason));
}

void Session::receive(ByteView bytes, Instant now) {
  std::vector<Frame> frames;
  decoder_.feed(bytes, frames);
  for (const Frame& frame : frames) {
    if (state_ == State::closed) return;
    handle(frame, now);
  }
}

void Session::handle_hello(const Frame& frame, Instant now) {
  if (role_ != Role::appliance) return;
  if (frame.payload.size() != 1 || frame.payload[0] != kProtocolVersion) {
    reply(FrameType::reset, frame.link, 0, base::as_bytes("another version of the protocol; this end speaks version 1"));
    return;
  }
  if (state_ == State::connected && frame.link != link_) {
    end_link("the host began another link");   // it says hello again, to the next session
    return;
  }
  if (state_ == State::connecting) {
    link_ = frame.link;
    state_ = State::connected;
    events_.emplace_back(Connected{});
  }
  last_heard_ = now;
  reply(FrameType::welcome, link_, 0, frame.payload);
}

void Session::handle(const Frame& frame, Instant now) {
  if (frame.type == FrameType::hello) return handle_hello(frame, now);
  if (frame.link != link_ || (state_ == State::connecting && role_ == Role::appliance)) {
    // The host must learn soon that the appliance has started anew. A host never answers strangers.
    if (role_ == Role::appliance && frame.type == FrameType::data)
      reply(FrameType::reset, frame.link, 0, base::as_bytes("no such link at this end; begin a new one"));
    return;
  }
  last_heard_ = now;
  if (frame.type == FrameType::reset) {
    const std::string_view reason = base::as_text(frame.payload).substr(0, kReasonBytes);
    return end_link(base::printable(reason));
  }
  if (frame.type == FrameType::welcome && state_ == State::connecting) {
    state_ = State::connected;
    events_.emplace_back(Connected{});
    return;
  }
  if (state_ != State::connected) return;
  if (frame.type == FrameType::data) handle_data(frame);
  if (frame.type == FrameType::ack) handle_ack(frame.sequence, now);
}

void Session::handle_data(const Frame& frame) {
  ack_due_ = true;   // for a repeated one too: our acknowledgement was lost
  if (frame.sequence != wanted_ || waiting_messages_ >= kWindow) return;
  events_.emplace_back(Message{frame.payload});
  ++waiting_messages_;
  ++wanted_;
}

void Session::handle_ack(std::uint32_t next_wanted, Instant now) {
  const std::uint32_t count = next_wanted - first_;   // wraps as the numbers do
  if (count > outgoing_.size() || (count > 0 && !outgoing_[count - 1].sent_once)) return;
  if (count == 0) {
    if (next_ > 0 && ++repeated_acks_ == kRepeatedAcks && !went_back_) go_back();
    return;
  }
  const Outgoing& last = outgoing_[count - 1];
  // Karn's rule: a message sent twice does not tell which sending was answered.
  if (!last.repeated) measure(now - last.sent);
  outgoing_.erase(outgoing_.begin(), outgoing_.begin() + static_cast<std::ptrdiff_t>(count));
  first_ = next_wanted;
  next_ -= std::min<std::size_t>(next_, count);
  window_ = std::min(window_ + 1, kWindow);
  repeated_acks_ = 0;
  went_back_ = false;
  retry_at_ = now + retry_;
}

void Session::go_back() {
  went_back_ = true;
  window_ = std::max<std::size_t>(1, window_ / 2);
  next_ = 0;
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
  if (next_ > 0 && now >= retry_at_) {
    window_ = 1;
    go_back();
    retry_ = std::min(retry_ * 2, kLongestRetry);
  }
  if (role_ == Role::host && now - std::max(last_heard_, last_spoken_) >= kProbe) say_hello(now);
}

Instant Session::next_deadline() const {
  if (state_ == State::closed) return Instant::max();
  if (state_ == State::connecting) return role_ == Role::host ? retry_at_ : Instant::max();
  Instant next = last_heard_ + kSilence;
  if (next_ > 0) next = std::min(next, retry_at_);
  if (role_ == Role::host) next = std::min(next, std::max(last_heard_, last_spoken_) + kProbe);
  return next;
}

Bytes Session::take_output(Instant now) {
  if (std::exchange(ack_due_, false)) reply(FrameType::ack, link_, wanted_);
  Bytes out = std::exchange(replies_, {});
  if (state_ != State::connected || next_ >= std::min(window_, outgoing_.size())) return out;
  // One message at a time: its time is taken when the line is free for it, not when it joins a queue.
  Outgoing& message = outgoing_[next_];
  const std::uint32_t number = first_ + static_cast<std::uint32_t>(next_);
  base::append(out, encode_frame({FrameType::data, link_, number, message.bytes}));
  message.repeated = message.sent_once;
  message.sent_once = true;
  message.sent = now;
  if (next_ == 0) retry_at_ = now + retry_;
  ++next_;
  return out;
}

std::optional<Event> Session::next_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  if (std::holds_alternative<Message>(event)) --waiting_messages_;
  return event;
}

void Session::send(Bytes message) {
  base::require(can_send() && message.size() <= kMessageBytes, "a message is given when there is room for it");
  outgoing_.push_back({std::move(message)});
}

}  // namespace serial
