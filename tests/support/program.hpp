// Runs another program and waits for it; its output is kept, and shown when a test asks.
#pragma once

#include <string>
#include <vector>

namespace tests {

struct Outcome {
  int status = -1;     // exit status; 128 + signal when it was killed; 127 when there is no such program
  std::string output;  // stdout and stderr together
};

// argv[0] is looked up in PATH. No shell, no input.
Outcome run_program(const std::vector<std::string>& argv);

}  // namespace tests
