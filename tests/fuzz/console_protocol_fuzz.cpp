// Both ends of the console's socket: what coldseald reads from a console, and what the console reads from coldseald. What
// is accepted must be the same after being written again.
#include "appliance/console_protocol.hpp"

#include <algorithm>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const base::ByteView input(data, size);
  if (const auto question = appliance::decode_question(input)) {
    const base::SecretBytes again = appliance::encode(*question);
    if (!std::ranges::equal(again.reveal().subspan(appliance::kFrameHeaderBytes), input)) std::abort();
  }
  if (const auto answer = appliance::decode_answer(input)) {
    const base::Bytes again = appliance::encode(*answer);
    if (!std::ranges::equal(base::ByteView(again).subspan(appliance::kFrameHeaderBytes), input)) std::abort();
  }
  return 0;
}
