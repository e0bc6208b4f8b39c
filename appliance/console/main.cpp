// coldseal-console: the officers' screen and keyboard. It touches the terminal and coldseald's socket, nothing else.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "appliance/console/session.hpp"
#include "appliance/layout.hpp"
#include "appliance/process_setup.hpp"
#include "appliance/terminal.hpp"
#include "crypto/base/text.hpp"

int main(int argc, char** argv) {
  appliance::harden_process();
  CLI::App app("The officers' console: read what would be signed, then approve or reject it.", "coldseal-console");
  std::string root = "/";
  app.add_option("--root", root, "folder that stands for / : coldseald's socket is run/coldseal/console.sock below it")
      ->check(CLI::ExistingDirectory);
  app.set_version_flag("--version", std::string(COLDSEAL_VERSION));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  appliance::Terminal terminal;
  base::Result<appliance::ConsoleSession> session =
      appliance::ConsoleSession::connect(appliance::Layout(root).console_socket().string(), terminal);
  const base::Result<void> ended = session ? session->run() : tl::unexpected<base::Error>(session.error());
  if (ended) return 0;
  std::fputs(("coldseal-console: " + base::printable(ended.error().text()) + "\n").c_str(), stderr);
  return ended.error().code() == base::Errc::usage ? 2 : 1;
}
