// coldseald: takes requests from the inbox, has them inspected, asks the officers at the console, signs in the TPM and
// answers in the outbox. It opens no stick, no serial line and no network, and parses no INF.
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "appliance/clock.hpp"
#include "appliance/configuration.hpp"
#include "appliance/confinement.hpp"
#include "appliance/custody.hpp"
#include "appliance/daemon/console_server.hpp"
#include "appliance/daemon/status_server.hpp"
#include "appliance/layout.hpp"
#include "appliance/process_setup.hpp"
#include "appliance/workflow.hpp"
#include "crypto/base/command_line.hpp"

namespace {

constexpr std::chrono::milliseconds kLookAround{200};

struct Users {   // names, empty for "the same as coldseald"
  std::string inspector;
  std::string console;
};

base::Result<std::optional<appliance::UserIds>> ids_of(const std::string& name) {
  if (name.empty()) return std::optional<appliance::UserIds>();
  return std::optional<appliance::UserIds>(TRY(appliance::user_ids(name)));
}

base::Result<void> serve(const appliance::Layout& layout, const Users& users) {
  const std::string inspector = appliance::program_folder() + "/coldseal-inspector";
  const std::optional<appliance::UserIds> inspector_user = TRY(ids_of(users.inspector));
  const std::optional<appliance::UserIds> console_user = TRY(ids_of(users.console));
  TRY(appliance::confine_daemon(inspector, inspector_user));
  appliance::journal_line("confined by " + appliance::confinement_in_words() +
                          (inspector_user ? "; the inspector runs as " + users.inspector : "; the inspector has no user of its own"));
  appliance::Configuration configuration = TRY(appliance::Configuration::load(layout));
  const appliance::TpmLock lock = TRY(appliance::TpmLock::take(layout));
  // Before the log says `started`: an order to stop that comes while coldseald starts is then an orderly stop as well, and
  // the next start does not take it for a power cut.
  boost::asio::io_context io;
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](auto error, int) {
    if (!error) io.stop();
  });
  const appliance::SystemClock clock;
  const std::unique_ptr<appliance::Workflow> workflow =
      TRY(appliance::Workflow::start({.layout = layout,
                                      .configuration = std::move(configuration),
                                      .inspector = inspector,
                                      .inspector_user = inspector_user,
                                      .clock = &clock,
                                      .journal = appliance::journal_line}));
  const std::unique_ptr<appliance::ConsoleServer> console =
      TRY(appliance::ConsoleServer::listen(io, layout, *workflow, console_user));
  const std::unique_ptr<appliance::StatusServer> status = TRY(appliance::StatusServer::listen(io, layout, *workflow));
  boost::asio::steady_timer timer(io);
  std::function<void()> look_around = [&] {
    workflow->expire_sitting();
    workflow->keep_house();
    workflow->catch_up();
    workflow->take_in();
    workflow->inspect_received();
    timer.expires_after(kLookAround);
    timer.async_wait([&](auto error) {
      if (!error) look_around();
    });
  };
  appliance::journal_line("coldseald is ready");
  look_around();
  io.run();
  workflow->stop("coldseald was stopped");
  appliance::journal_line("coldseald has stopped");
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  appliance::harden_process();
  appliance::raise_open_files();   // the inspector is given every file of a request
  base::CommandLine app("The Coldseal signing daemon: inbox to officers to TPM to outbox.", "coldseald",
                        COLDSEAL_VERSION);
  std::string root = "/";
  app.option("--root", root, "folder that stands for / : etc/coldseal, var/lib/coldseal and run/coldseal lie below it").existing_folder();
  Users users;
  app.option("--inspector-user", users.inspector, "user that the inspector runs as; coldseald must be able to become it (default: its own)").type_name("NAME");
  app.option("--console-user", users.console, "user that coldseal-console runs as, let in beside its own and root").type_name("NAME");
  if (const std::optional<int> status = app.parse(argc, argv)) return *status;
  const base::Result<void> served = serve(appliance::Layout(root), users);
  if (served) return 0;
  appliance::journal_line("coldseald cannot run: " + served.error().text());
  const bool is_input = served.error().code() == base::Errc::usage || served.error().code() == base::Errc::malformed ||
                        served.error().code() == base::Errc::not_found;
  return is_input ? 2 : 1;
}
