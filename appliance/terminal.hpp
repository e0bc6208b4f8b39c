// A person at a keyboard, line by line: questions, answers, and secrets that are not echoed. Everything from outside
// must be printable() before it is shown. No capitals and no full stops in prompts.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "crypto/base/result.hpp"
#include "crypto/base/secret_bytes.hpp"

namespace appliance {

class Terminal {
 public:
  void show(std::string_view line);   // adds the line end
  // The line typed, without white space around it; asked again when it is over limits::kNoteBytes. Errc::unavailable when the input has ended.
  base::Result<std::string> ask(std::string_view prompt);
  // The same without echo, straight into memory that is wiped. Errc::usage when the input is not a terminal, or for more than
  // limits::kPinBytes characters.
  base::Result<base::SecretBytes> ask_secret(std::string_view prompt);

 private:
  // Byte by byte: what was typed ahead stays in the terminal for the next question, a secret among it.
  base::Result<std::size_t> read_line(std::span<std::uint8_t> into, int pending_signal);
};

}  // namespace appliance
