// One end of a reliable link: messages go in on one side and come out on the other complete, once and in order, although
// the line loses, damages, repeats and cuts bytes. A state machine: bytes, messages and the time come in as parameters;
// bytes and events go out. No I/O, no clock, no randomness. Holds two streams of kStreamBytes and little else: < 400 KiB.
//
// Selective repeat. Every data frame has a number that is never used again, and every acknowledgement says which number
// was heard last. A line does not change the order of its bytes, so whatever was sent before that one and did not come is
// lost, and is known to be lost at once; nothing is sent again on a guess. When the line is silent a ping asks.
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
#include "usb/serial/stream.hpp"

namespace serial {

using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

inline constexpr std::uint8_t kProtocolVersion = 2;
inline constexpr Duration kFirstRetry = std::chrono::milliseconds(500);   // before a round trip was measured
inline constexpr Duration kShortestRetry = std::chrono::milliseconds(20);
inline constexpr Duration kLongestRetry = std::chrono::seconds(4);
inline constexpr Duration kHelloRetry = std::chrono::milliseconds(300);
inline constexpr Duration kProbe = std::chrono::seconds(10);         // a quiet link is asked whether it still lives
inline constexpr Duration kSilence = std::chrono::seconds(120);      // nothing heard for so long: the link is over

enum class Role : std::uint8_t { host, appliance };   // the host begins the link

struct Connected {};
struct Message { base::Bytes bytes; };
struct Closed { std::string reason; };
using Event = std::variant<Connected, Message, Closed>;

struct LineQuality {   // what came, and what had to be said twice
  std::uint64_t bytes_heard = 0;
  std::uint64_t frames_heard = 0;
  std::uint64_t damaged = 0;      // pieces between delimiters that were no frame
  std::uint64_t repaired = 0;     // frames with one byte wrong or missing
  std::uint64_t bytes_sent = 0;   // of the stream, those sent again included
  std::uint64_t bytes_sent_again = 0;
  // Bytes come and none of them is a frame: another speed at the other end, or another device.
  bool is_unreadable() const { return frames_heard == 0 && bytes_heard >= 64; }
  // For people, about a cable that did not carry everything at once; empty otherwise.
  std::string words() const;
};

class Session {
 public:
  // link: the host's random number for this link; the appliance's is ignored, it takes the host's.
  Session(Role role, std::uint32_t link, Instant now);

  void receive(base::ByteView bytes, Instant now);
  void tick(Instant now);                 // call it at next_deadline() or later
  Instant next_deadline() const;
  // Bytes to put on the line now; empty when there is nothing to say. Call it after each receive, tick, send and close,
  // when the bytes taken before have been written. A fast line is given more at a time.
  base::Bytes take_output(Instant now);
  bool has_output() const { return ack_due_ || !replies_.empty() || next_piece().has_value(); }
  std::optional<Event> next_event();      // Closed comes last

  bool connected() const { return state_ == State::connected; }
  bool closed() const { return state_ == State::closed; }
  const std::string& end_reason() const { return end_reason_; }   // once closed
  bool can_send(std::size_t message) const { return connected() && outgoing_.has_room_for(message); }
  std::uint64_t unacknowledged() const { return outgoing_.end() - outgoing_.begin(); }   // bytes
  void send(base::ByteView message);      // only when can_send(its size); at most kMessageBytes
  void close(std::string reason);         // tells the peer, once
  LineQuality quality() const;
  std::size_t frame_bytes() const;        // of the stream in one frame, as the line's errors suggest

 private:
  enum class State : std::uint8_t { connecting, connected, closed };
  struct Underway {    // sent, and not known to have come or to be lost
    std::uint64_t number = 0;
    Range range;       // empty for a ping
    Instant sent{};
  };
  void handle(const Frame& frame, Instant now);
  void handle_hello(const Frame& frame);
  void handle_welcome(const Frame& frame, Instant now);
  void handle_data(const Frame& frame);
  void handle_ack(const Frame& frame, Instant now);
  void sort_out(std::uint64_t heard, const std::vector<Range>& beyond, Instant now);
  void note_number(std::uint32_t number);
  base::Bytes ack_payload();
  void end_link(std::string reason);
  void reply(FrameType type, std::uint32_t link, std::uint32_t number, base::ByteView payload = {});
  void say_hello(Instant now);
  void ping(Instant now);
  std::optional<Range> next_piece() const;
  bool waits_for_ack() const;
  void measure(Duration round_trip);

  Role role_;
  State state_ = State::connecting;
  std::string end_reason_;
  std::uint32_t link_ = 0;
  FrameDecoder decoder_;
  base::Bytes replies_;                    // frames other than data, ready to go
  bool tell_connected_ = false;
  bool tell_closed_ = false;

  OutgoingStream outgoing_;
  std::uint64_t sent_end_ = 0;             // of the stream, sent at least once
  std::uint64_t limit_ = 0;                // the peer has room up to here
  std::vector<Range> lost_;                // to be sent again; ascending
  std::deque<Underway> underway_;          // by number
  std::uint64_t last_number_ = 0;          // of our data and ping frames
  double clean_bytes_ = 0;                 // that came, and losses; both fade with what comes later
  double losses_ = 0;

  IncomingStream incoming_;
  std::uint64_t heard_number_ = 0;         // the highest of the peer's numbers
  std::uint64_t told_limit_ = 0;           // what our last acknowledgement allowed
  bool ack_due_ = false;

  Duration retry_ = kFirstRetry;           // until a ping
  unsigned pings_ = 0;                     // without an answer
  Duration smooth_{};
  Duration deviation_{};
  bool measured_ = false;
  std::uint32_t hellos_ = 0;
  Instant hello_sent_{};
  Instant last_heard_;
  Instant probe_at_;
  Instant retry_at_;
  Instant last_output_{};
  std::size_t output_bytes_ = 0;           // to be given at a time
  LineQuality quality_;
};

}  // namespace serial
