// coldseal-console: the officers' screen and keyboard. It touches the terminal and coldseald's socket, nothing else.
#include <cstdio>
#include <string>

#include "appliance/confinement.hpp"
#include "appliance/console/session.hpp"
#include "appliance/layout.hpp"
#include "appliance/process_setup.hpp"
#include "appliance/terminal.hpp"
#include "crypto/base/command_line.hpp"
#include "crypto/base/text.hpp"

int main(int argc, char** argv) {
  appliance::harden_process();
  base::CommandLine app("The officers' console: read what would be signed, then approve or reject it.", "coldseal-console",
                        COLDSEAL_VERSION);
  std::string root = "/";
  app.option("--root", root, "folder that stands for / : coldseald's socket is run/coldseal/console.sock below it")
      .existing_folder();
  if (const std::optional<int> status = app.parse(argc, argv)) return *status;
  if (const base::Result<void> confined = appliance::confine_console(); !confined) {
    std::fputs(("coldseal-console: " + base::printable(confined.error().text()) + "\n").c_str(), stderr);
    return 1;
  }
  appliance::Terminal terminal;
  base::Result<appliance::ConsoleSession> session =
      appliance::ConsoleSession::connect(appliance::Layout(root).console_socket().string(), terminal);
  const base::Result<void> ended = session ? session->run() : tl::unexpected<base::Error>(session.error());
  if (ended) return 0;
  std::fputs(("coldseal-console: " + base::printable(ended.error().text()) + "\n").c_str(), stderr);
  return ended.error().code() == base::Errc::usage ? 2 : 1;
}
