#include "usb/serial/stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace serial {
namespace {

using base::Bytes;
using base::ByteView;
using base::Result;

// Positions in a ring, as an iterator's difference.
std::ptrdiff_t place(std::uint64_t offset) { return static_cast<std::ptrdiff_t>(offset % kStreamBytes); }

void copy_in(Bytes& ring, std::uint64_t offset, ByteView bytes) {
  if (ring.empty()) ring.resize(kStreamBytes);   // most links of a test carry little, and a courier waits without one
  const std::size_t first = std::min<std::size_t>(bytes.size(), kStreamBytes - offset % kStreamBytes);
  std::copy_n(bytes.begin(), first, ring.begin() + place(offset));
  std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(first), bytes.end(), ring.begin());
}

void copy_out(const Bytes& ring, Range range, Bytes& out) {
  const std::uint64_t first = std::min<std::uint64_t>(range.size(), kStreamBytes - range.begin % kStreamBytes);
  const auto from = ring.begin() + place(range.begin);
  out.insert(out.end(), from, from + static_cast<std::ptrdiff_t>(first));
  out.insert(out.end(), ring.begin(), ring.begin() + static_cast<std::ptrdiff_t>(range.size() - first));
}

}  // namespace

std::vector<Range> without(Range whole, const std::vector<Range>& known) {
  std::vector<Range> rest;
  for (const Range& one : known) {
    if (one.end <= whole.begin) continue;
    if (one.begin >= whole.end) break;
    if (one.begin > whole.begin) rest.push_back({whole.begin, one.begin});
    whole.begin = std::max(whole.begin, one.end);
  }
  if (!whole.empty()) rest.push_back(whole);
  return rest;
}

void join(std::vector<Range>& ranges, Range added) {
  if (added.empty()) return;
  auto at = std::find_if(ranges.begin(), ranges.end(), [&](const Range& range) { return range.end >= added.begin; });
  while (at != ranges.end() && at->begin <= added.end) {
    added = {std::min(added.begin, at->begin), std::max(added.end, at->end)};
    at = ranges.erase(at);
  }
  ranges.insert(at, added);
}

void OutgoingStream::append(ByteView bytes) {
  copy_in(ring_, kept_.end, bytes);
  kept_.end += bytes.size();
}

void OutgoingStream::append_message(ByteView message) {
  base::require(message.size() <= kMessageBytes && has_room_for(message.size()), "a message is given when there is room for it");
  const std::array<std::uint8_t, 2> length = {static_cast<std::uint8_t>(message.size() & 0xFFU),
                                              static_cast<std::uint8_t>(message.size() >> 8)};
  append(length);
  append(message);
}

void OutgoingStream::append_to(Bytes& out, Range range) const {
  base::require(range.begin >= kept_.begin && range.end <= kept_.end, "what is sent again is still kept");
  if (!range.empty()) copy_out(ring_, range, out);
}

void OutgoingStream::release(std::uint64_t before) {
  base::require(before >= kept_.begin && before <= kept_.end, "what is acknowledged was kept");
  kept_.begin = before;
}

void IncomingStream::put(std::uint64_t offset, ByteView bytes) {
  const Range came{std::max(offset, next_), std::min<std::uint64_t>(offset + bytes.size(), limit())};
  if (came.empty()) return;
  std::vector<Range> joined = beyond_;
  join(joined, came);
  if (joined.size() > kGaps && came.begin != next_) return;
  const auto skipped = static_cast<std::size_t>(came.begin - offset);
  copy_in(ring_, came.begin, bytes.subspan(skipped, static_cast<std::size_t>(came.size())));
  beyond_ = std::move(joined);
  if (beyond_.front().begin > next_) return;
  next_ = beyond_.front().end;
  beyond_.erase(beyond_.begin());
}

Result<std::optional<Bytes>> IncomingStream::take_message() {
  if (next_ - taken_ < 2) return std::optional<Bytes>();
  const std::size_t length = at(taken_) | static_cast<std::size_t>(at(taken_ + 1)) << 8;
  if (length > kMessageBytes)
    return base::fail(base::Errc::too_large, fmt::format("a message of {} bytes, at most {}", length, kMessageBytes));
  if (next_ - taken_ < 2 + length) return std::optional<Bytes>();
  Bytes message;
  message.reserve(length);
  copy_out(ring_, {taken_ + 2, taken_ + 2 + length}, message);
  taken_ += 2 + length;
  return std::optional<Bytes>(std::move(message));
}

}  // namespace serial
