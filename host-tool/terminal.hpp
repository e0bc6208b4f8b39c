// What a terminal can do that a pipe cannot: ask for a pass phrase without echo, and show progress.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
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

// How fast something goes, over about the last ten seconds.
class TransferRate {
 public:
  void note(std::uint64_t done, std::chrono::steady_clock::time_point now);
  std::optional<double> bytes_per_second() const;   // nothing before two seconds have passed

 private:
  struct Mark {
    std::uint64_t done;
    std::chrono::steady_clock::time_point at;
  };
  std::deque<Mark> marks_;   // one a second, at most eleven
  Mark last_{};
};

class ProgressBar {  // on stderr when that is a terminal, silent otherwise; wiped when it goes
 public:
  enum class Rate : std::uint8_t { hidden, shown };
  explicit ProgressBar(std::string what, Rate rate = Rate::hidden);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();
  void show(std::uint64_t done, std::uint64_t total, const TransferRate& rate = {});
  void wipe();   // so that something else can be said

 private:
  std::string what_;
  Rate rate_;
  bool on_terminal_;
  std::optional<unsigned> shown_percent_;
  std::string shown_;
};

}  // namespace host_tool
