// One end of a reliable link: messages go in on one side and come out on the other complete, once and in order, although
// the line loses, damages, repeats and cuts bytes. A state machine: bytes, messages and the time come in as parameters;
// bytes and events go out. No I/O, no clock, no randomness. Holds at most kWindow messages each way: < 1 MiB.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "usb/serial/frame.hpp"

namespace serial {

using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

inline constexpr std::uint8_t kProtocolVersion = 1;
inline constexpr std::size_t kWindow = 16;                           // messages under way, at most
inline constexpr std::size_t kMessageBytes = kPayloadBytes;          // one message fits one frame
inline constexpr Duration kFirstRetry = std::chrono::seconds(1);     // before a round trip was measured
inline constexpr Duration kShortestRetry = std::chrono::milliseconds(200);
inline constexpr Duration kLongestRetry = std::chrono::seconds(8);
inline constexpr Duration kHelloRetry = std::chrono::milliseconds(300);
inline constexpr Duration kProbe = std::chrono::seconds(10);         // a quiet link is asked whether it still lives
inline constexpr Duration kSilence = std::chrono::seconds(120);      // nothing heard for so long: the link is over

enum class Role : std::uint8_t { host, appliance };   // the host begins the link

struct Connected {};
struct Message { base::Bytes bytes; };
struct Closed { std::string reason; };
using Event = std::variant<Connected, Message, Closed>;

class Session {
 public:
  // link: the host's random number for this link; the appliance's is ignored, it takes the host's.
  Session(Role role, std::uint32_t link, Instant now);

  void receive(base::ByteView bytes, Instant now);
  void tick(Instant now);                 // call it at next_deadline() or later
  Instant next_deadline() const;
  // Bytes to put on the line now; empty when there is nothing to say. Call it after each receive, tick, send and close,
  // when the bytes taken before have been written.
  base::Bytes take_output(Instant now);
  std::optional<Event> next_event();

  bool connected() const { return state_ == State::connected; }
  bool closed() const { return state_ == State::closed; }
  const std::string& end_reason() const { return end_reason_; }   // once closed
  bool can_send() const { return connected() && outgoing_.size() < kWindow; }
  bool all_acknowledged() const { return outgoing_.empty(); }
  void send(base::Bytes message);         // only when can_send(); at most kMessageBytes
  void close(std::string reason);         // tells the peer, once

 private:
  enum class State : std::uint8_t { connecting, connected, closed };
  struct Outgoing {
    base::Bytes bytes;
    Instant sent{};            // the last time
    bool sent_once = false;
    bool repeated = false;
  };
  void handle(const Frame& frame, Instant now);
  void handle_hello(const Frame& frame, Instant now);
  void handle_data(const Frame& frame);
  void handle_ack(std::uint32_t next_wanted, Instant now);
  void end_link(std::string reason);
  void reply(FrameType type, std::uint32_t link, std::uint32_t sequence, base::ByteView payload = {});
  void say_hello(Instant now);
  void go_back();
  void measure(Duration round_trip);

  Role role_;
  State state_ = State::connecting;
  std::string end_reason_;
  std::uint32_t link_ = 0;
  FrameDecoder decoder_;
  base::Bytes replies_;                    // frames other than data, ready to go
  std::deque<Event> events_;
  std::deque<Outgoing> outgoing_;          // not yet acknowledged; the first one has number first_
  std::uint32_t first_ = 0;
  std::size_t next_ = 0;                   // index in outgoing_ of the next one to put on the line
  std::size_t window_ = 2;                 // grows with every acknowledgement, halves with every loss
  std::uint32_t wanted_ = 0;               // number of the next message we accept
  std::size_t waiting_messages_ = 0;       // in events_
  bool ack_due_ = false;
  unsigned repeated_acks_ = 0;
  bool went_back_ = false;                 // for this first_ already
  Duration retry_ = kFirstRetry;
  Duration smooth_{};
  Duration deviation_{};
  bool measured_ = false;
  Instant last_heard_;
  Instant last_spoken_;
  Instant retry_at_;
};

}  // namespace serial
