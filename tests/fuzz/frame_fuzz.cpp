// Frames from a hostile line: however the bytes arrive, the same frames come out, and encoding them gives them back.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "usb/serial/frame.hpp"

namespace {

std::vector<serial::Frame> decoded(base::ByteView line, std::size_t step) {
  serial::FrameDecoder decoder;
  std::vector<serial::Frame> frames;
  while (!line.empty()) {
    const base::ByteView piece = line.first(line.size() < step ? line.size() : step);
    decoder.feed(piece, frames);
    line = line.subspan(piece.size());
  }
  return frames;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView line(data, size);
  const std::vector<serial::Frame> all = decoded(line, size);
  for (const std::size_t step : {std::size_t{1}, std::size_t{2}, std::size_t{4}})
    if (decoded(line, step) != all) std::abort();
  for (const serial::Frame& frame : all) {
    const std::vector<serial::Frame> again = decoded(serial::encode_frame(frame), size);
    if (again.size() != 1 || again[0] != frame) std::abort();
  }
  // And the input as a payload, so that every run length is stuffed.
  const serial::Frame carrying{serial::FrameType::data, 1, 2,
                               base::to_bytes(line.first(size < serial::kPayloadBytes ? size : serial::kPayloadBytes))};
  const std::vector<serial::Frame> carried = decoded(serial::encode_frame(carrying), 4096);
  if (carried.size() != 1 || carried[0] != carrying) std::abort();
  return 0;
}
