// Programs timed side by side, for the benchmarks.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.hpp"

namespace bench {

using Command = std::vector<std::string>;

struct Run {
  double wall = 0;     // seconds
  double user = 0;     // seconds of processor time, own and the kernel's, all children together
  double memory = 0;   // peak RSS in MiB, of the largest child
};

inline double seconds(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; }

inline pid_t start(Command& command) {
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const pid_t child = fork();
  base::require(child >= 0, "no process");
  if (child == 0) {
    const int nothing = ::open("/dev/null", O_RDWR);
    dup2(nothing, STDOUT_FILENO);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  return child;
}

// Starts all of them, then waits for all.
inline Run timed(std::vector<Command> commands) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<pid_t> children;
  for (Command& command : commands) children.push_back(start(command));
  Run run;
  for (const pid_t child : children) {
    int status = 0;
    rusage used{};
    base::require(wait4(child, &status, 0, &used) == child, "lost a process");
    base::require(WIFEXITED(status) && WEXITSTATUS(status) == 0, commands[0][0] + " failed");
    run.user += seconds(used.ru_utime) + seconds(used.ru_stime);
    run.memory = std::max(run.memory, static_cast<double>(used.ru_maxrss) / 1024);
  }
  run.wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return run;
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

inline Run median(const std::vector<Run>& runs) {
  const auto of = [&](double Run::*field) {
    std::vector<double> values;
    for (const Run& run : runs) values.push_back(run.*field);
    return median(std::move(values));
  };
  return {of(&Run::wall), of(&Run::user), of(&Run::memory)};
}

// A number of the command line; 0 when it is none, or more than `most`.
inline std::size_t number(const char* text, std::size_t most) {
  std::size_t value = 0;
  const std::string_view digits = text;
  if (std::from_chars(digits.begin(), digits.end(), value).ptr != digits.end() || value > most) return 0;
  return value;
}

}  // namespace bench
