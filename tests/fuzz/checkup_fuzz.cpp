// What coldseal-admin reads from coldseald of how the appliance is. What is accepted must read the same after being written
// again, and may be shown to people as it is.
#include "appliance/checkup.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto checkup = appliance::Checkup::from_json(base::as_text(base::ByteView(data, size)));
  if (!checkup) return 0;
  const std::string text = checkup->to_json();
  const auto again = appliance::Checkup::from_json(text);
  if (!again || again->to_json() != text) std::abort();
  for (const std::string& line : checkup->lines())
    for (const char c : line)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) std::abort();
  return 0;
}
