// Programs run by tests and by the demonstration: to the end, in the background, or at a terminal of their own, driven as a
// person would. What cannot be done throws std::runtime_error with the program's output, which a test shows as its failure.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tests {

using Command = std::vector<std::string>;   // the program first; looked up in PATH unless it has a '/'

struct Finished {
  int status = -1;       // exit status, or 128 + signal
  std::string output;    // standard output and error, as they came
};

Finished run(const Command& command, std::string_view input = {});
// The same, but anything but status 0 throws. Returns the output.
std::string run_well(const Command& command, std::string_view input = {});
// A program of this project, by its name.
std::string program(std::string_view name);

class Background {   // ended with SIGTERM, then SIGKILL, when it goes
 public:
  Background(const Command& command, const std::filesystem::path& log);
  Background(Background&& other) noexcept;
  Background& operator=(Background&& other) noexcept;
  ~Background();
  void end();            // SIGTERM, and wait
  void kill();           // SIGKILL, and wait
  bool is_running();
  pid_t pid() const { return pid_; }
  std::string log() const;
  // Until the log holds text.
  void wait_for(std::string_view text, std::chrono::seconds patience = std::chrono::seconds(20));

 private:
  void finish(int signal);
  pid_t pid_ = -1;
  std::filesystem::path log_;
};

class AtTerminal {   // a program with a pseudo-terminal as its screen and keyboard
 public:
  explicit AtTerminal(const Command& command, bool show = false);   // show: copy its screen to ours
  AtTerminal(const AtTerminal&) = delete;
  AtTerminal& operator=(const AtTerminal&) = delete;
  ~AtTerminal();
  // Waits until the screen shows text that was not there at the last expect(); returns what came up to its end.
  std::string expect(std::string_view text, std::chrono::seconds patience = std::chrono::seconds(60));
  // The same for whichever of them comes first: its position in the list, or the list's size when the program has ended.
  std::size_t expect_any(const std::vector<std::string>& texts, std::chrono::seconds patience = std::chrono::seconds(60));
  pid_t pid() const { return pid_; }
  void type(std::string_view line);   // and Enter
  bool echoes() const;                // whether what is typed would be shown
  void hang_up();                     // the cable is pulled: SIGHUP
  int wait(std::chrono::seconds patience = std::chrono::seconds(60));   // its exit status
  const std::string& screen() const { return screen_; }

 private:
  bool read_some(std::chrono::milliseconds patience);   // false at the end of the input
  pid_t pid_ = -1;
  int terminal_ = -1;
  bool show_ = false;
  std::string screen_;
  std::size_t seen_ = 0;
};

void wait_until(std::string_view what, const std::function<bool()>& holds,
                std::chrono::seconds patience = std::chrono::seconds(20));

}  // namespace tests
