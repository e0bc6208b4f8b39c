// The two byte streams of a serial link, one at each end of a direction: what was said and is not yet acknowledged, and
// what was heard and is not yet taken. Both hold at most kStreamBytes, whatever the other end claims. Messages lie in a
// stream one after the other, each behind its length (2 bytes, little-endian). No I/O, no time.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"

namespace serial {

inline constexpr std::size_t kStreamBytes = 128U << 10;   // under way in one direction, at most: the window
inline constexpr std::size_t kMessageBytes = 33U << 10;   // one message, at most
inline constexpr std::size_t kGaps = 32;                  // in what was heard; a piece that would make one more is dropped

struct Range {   // of offsets in a stream, which count all its bytes since the link began
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool empty() const { return begin >= end; }
  std::uint64_t size() const { return empty() ? 0 : end - begin; }
  friend bool operator==(const Range&, const Range&) = default;
};

// What of `whole` is in none of `known`, which ascend and do not touch.
std::vector<Range> without(Range whole, const std::vector<Range>& known);
// Adds a range to a list of that kind.
void join(std::vector<Range>& ranges, Range added);

class OutgoingStream {
 public:
  std::uint64_t begin() const { return kept_.begin; }   // the first byte that was not acknowledged
  std::uint64_t end() const { return kept_.end; }
  bool has_room_for(std::size_t message) const { return kept_.size() + message + 2 <= kStreamBytes; }
  void append_message(base::ByteView message);       // only when there is room
  void append_to(base::Bytes& out, Range range) const;   // only of what is kept
  void release(std::uint64_t before);                // only what is kept

 private:
  void append(base::ByteView bytes);
  Range kept_;
  base::Bytes ring_;   // the byte at offset n is at n modulo its size
};

class IncomingStream {
 public:
  std::uint64_t next() const { return next_; }                    // all before it has come
  std::uint64_t limit() const { return taken_ + kStreamBytes; }   // bytes from here on have no place
  const std::vector<Range>& beyond() const { return beyond_; }    // what came behind gaps
  // Keeps what is new and has a place.
  void put(std::uint64_t offset, base::ByteView bytes);
  // The next whole message; nothing when it has not come. Errc::too_large for a length over kMessageBytes.
  base::Result<std::optional<base::Bytes>> take_message();

 private:
  std::uint8_t at(std::uint64_t offset) const { return ring_[offset % kStreamBytes]; }
  std::uint64_t taken_ = 0;
  std::uint64_t next_ = 0;
  std::vector<Range> beyond_;
  base::Bytes ring_;
};

}  // namespace serial
