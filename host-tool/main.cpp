// coldseal: the program of the online side. It makes requests, carries them to the appliance, fetches what was signed
// and verifies it. It holds no code-signing key.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>

#include "crypto/base/command_line.hpp"
#include "host-tool/command.hpp"

namespace host_tool {

Exit exit_for(const base::Error& error) {
  switch (error.code()) {
    case base::Errc::refused:
    case base::Errc::mismatch:
    case base::Errc::too_large:
      return Exit::refused;
    default:
      return Exit::unusable;
  }
}

}  // namespace host_tool

int main(int argc, char** argv) {
  using namespace host_tool;
  base::CommandLine app(
      "Prepares Windows driver packages for signing on an offline Coldseal appliance, and verifies what comes back.\n"
      "The usual way: key create (once), inspect, request create, carry the stick, collect, verify.\n"
      "Exit status: 0 done or valid, 1 refused or invalid, 2 wrong usage or unreadable input.",
      "coldseal", "coldseal " COLDSEAL_VERSION);
  app.needs_sub();
  Run run;
  const base::Time now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  add_key(app, run);
  add_inspect(app, run, now);
  add_catalog(app, run, now);
  add_request(app, run, now);
  add_send(app, run);
  add_collect(app, run);
  add_verify(app, run, now);
  add_signature(app, run);
  add_audit(app, run);
  add_slip(app, run);
  add_verify_transcript(app, run);
  add_timestamp(app, run);
  if (const std::optional<int> status = app.parse(argc, argv)) return *status;
  const base::Result<Exit> result = run();
  if (result) return static_cast<int>(*result);
  fmt::print(stderr, "coldseal: {}\n", result.error().text());
  return static_cast<int>(exit_for(result.error()));
}
