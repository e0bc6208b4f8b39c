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
#include "appliance/custody.hpp"
#include "appliance/daemon/console_server.hpp"
#include "appliance/layout.hpp"
#include "appliance/process_setup.hpp"
#include "appliance/workflow.hpp"
#include "crypto/base/command_line.hpp"

namespace {

constexpr std::chrono::milliseconds kLookAround{200};

base::Result<void> serve(const appliance::Layout& layout) {
  appliance::Configuration configuration = TRY(appliance::Configuration::load(layout));
  const appliance::TpmLock lock = TRY(appliance::TpmLock::take(layout));
  const appliance::SystemClock clock;
  const std::unique_ptr<appliance::Workflow> workflow =
      TRY(appliance::Workflow::start({.layout = layout,
                                      .configuration = std::move(configuration),
                                      .inspector = appliance::program_folder() + "/coldseal-inspector",
                                      .clock = &clock,
                                      .journal = appliance::journal_line}));
  boost::asio::io_context io;
  const std::unique_ptr<appliance::ConsoleServer> console =
      TRY(appliance::ConsoleServer::listen(io, layout, *workflow));
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](auto error, int) {
    if (error) return;
    workflow->end_sitting("coldseald was stopped");
    io.stop();
  });
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
  appliance::journal_line("coldseald has stopped");
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  appliance::harden_process();
  base::CommandLine app("The Coldseal signing daemon: inbox to officers to TPM to outbox.", "coldseald",
                        COLDSEAL_VERSION);
  std::string root = "/";
  app.option("--root", root, "folder that stands for / : etc/coldseal, var/lib/coldseal and run/coldseal lie below it").existing_folder();
  if (const std::optional<int> status = app.parse(argc, argv)) return *status;
  const base::Result<void> served = serve(appliance::Layout(root));
  if (served) return 0;
  appliance::journal_line("coldseald cannot run: " + served.error().text());
  const bool is_input = served.error().code() == base::Errc::usage || served.error().code() == base::Errc::malformed ||
                        served.error().code() == base::Errc::not_found;
  return is_input ? 2 : 1;
}
