// A hostile peer: frames with right checks and any content, raw bytes, and time, against both ends of a session. The
// input is a list of steps: one byte says what comes, the next how much of it. Messages that come out are read as words.
#include <chrono>
#include <cstdint>
#include <cstdlib>

#include "crypto/base/byte_reader.hpp"
#include "usb/serial/message.hpp"
#include "usb/serial/packing.hpp"
#include "usb/serial/session.hpp"

namespace {

void run(serial::Role role, base::ByteView input) {
  constexpr std::uint32_t kLink = 7;
  serial::Instant now(std::chrono::seconds(1));
  serial::Session session(role, kLink, now);
  base::ByteReader steps(input);
  std::uint32_t number = 0;
  std::size_t messages = 0;
  while (steps.remaining() >= 2) {
    const std::uint8_t what = *steps.u8();
    const std::uint8_t amount = *steps.u8();
    const std::size_t count = amount < steps.remaining() ? amount : steps.remaining();
    if (what % 9 == 0) {
      now += std::chrono::milliseconds(amount * 100);
      session.tick(now);
    } else if (what % 9 == 1) {
      session.receive(*steps.take(count), now);
    } else if (what % 9 == 2) {
      if (session.can_send(count)) session.send(*steps.take(count));
    } else {
      const bool strange = (what & 0x80U) != 0;
      const auto type = static_cast<serial::FrameType>(what % 9 - 2);
      const base::Bytes payload = base::to_bytes(*steps.take(count));
      session.receive(serial::encode_frame({type, strange ? kLink + 1 : kLink, number, payload}), now);
      if ((what & 0x40U) == 0) ++number;
    }
    if (session.take_output(now).size() > 64U * 1024) std::abort();
    while (const std::optional<serial::Event> event = session.next_event()) {
      const auto* message = std::get_if<serial::Message>(&*event);
      if (message == nullptr) continue;
      ++messages;
      const base::Result<serial::Words> words = serial::decode_words(message->bytes);
      if (const auto* packed = words ? std::get_if<serial::PackedData>(&*words) : nullptr)
        if (const base::Result<base::Bytes> block = serial::unpacked(*packed); block && block->size() > serial::kBlockBytes) std::abort();
      // What can be read can be said, and reads the same.
      if (words && !serial::decode_words(serial::encode_words(*words))) std::abort();
    }
  }
  if (messages > input.size()) std::abort();
  if (session.unacknowledged() > serial::kStreamBytes || session.frame_bytes() > serial::kPayloadBytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  run(serial::Role::host, {data, size});
  run(serial::Role::appliance, {data, size});
  return 0;
}
