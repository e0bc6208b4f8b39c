// osslsigncode from 2.9 on, whose bytes ours are compared with; Debian 12's own 2.5 writes others and gives verdicts only.
#pragma once

#include <cstdlib>
#include <regex>
#include <string>

#include "tests/support/program.hpp"

namespace tests {

inline constexpr const char* kNoRecentOsslsigncode =
    "no osslsigncode from 2.9 on (OSSLSIGNCODE or PATH): its bytes were not compared";

// The program, from OSSLSIGNCODE or PATH; empty when it is older or not there.
inline std::string recent_osslsigncode() {
  const char* const given = std::getenv("OSSLSIGNCODE");
  const std::string program = given != nullptr ? given : "osslsigncode";
  const Outcome outcome = run_program({program, "--version"});
  std::smatch version;
  if (!std::regex_search(outcome.output, version, std::regex(R"(osslsigncode (\d+)\.(\d+))"))) return {};
  const int major = std::stoi(version[1].str());
  const int minor = std::stoi(version[2].str());
  return major > 2 || (major == 2 && minor >= 9) ? program : std::string();
}

}  // namespace tests
