// What a terminal can do that a pipe cannot: ask for a pass phrase without echo, and show progress.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "crypto/base/result.hpp"
#include "crypto/base/secret_bytes.hpp"

namespace host_tool {

inline constexpr std::size_t kPassPhraseBytes = 1024;   // at most
inline constexpr std::size_t kPassPhraseLeast = 8;      // of a new one

// Asks on the controlling terminal, whatever stdin is, without echo. Errc::usage when there is no terminal.
base::Result<base::SecretBytes> ask_pass_phrase(std::string_view prompt);
// The first line of a file.
base::Result<base::SecretBytes> pass_phrase_from_file(const std::string& file);

class ProgressBar {  // on stderr when that is a terminal, silent otherwise; wiped when it goes
 public:
  explicit ProgressBar(std::string what);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();
  void show(std::uint64_t done, std::uint64_t total);

 private:
  std::string what_;
  bool on_terminal_;
  std::optional<unsigned> shown_percent_;
};

}  // namespace host_tool
