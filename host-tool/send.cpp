// coldseal send: requests over a serial cable.
#include <memory>
#include <vector>

#include "crypto/base/command_line.hpp"
#include "host-tool/command.hpp"
#include "host-tool/serial_report.hpp"
#include "usb/serial/transfer.hpp"

namespace host_tool {
namespace {

struct SendOptions {
  SerialOptions serial;
  std::vector<std::string> requests;
};

base::Result<Exit> send(const SendOptions& options) {
  const std::vector<std::filesystem::path> folders(options.requests.begin(), options.requests.end());
  SerialReport report(options.serial, "sending");
  const base::Result<std::vector<serial::Sent>> sent = serial::send_requests(report.link(), folders, report.progress());
  if (!sent) return tl::unexpected<base::Error>(report.failed(sent.error()));
  for (const serial::Sent& one : *sent) report.sent(one);
  return Exit::done;
}

}  // namespace

void add_send(base::Command& app, Run& run) {
  base::Command command = app.sub(
      "send", "Sends requests to the appliance over a serial cable and waits until it has them on its disk.");
  const auto options = std::make_shared<SendOptions>();
  add_serial_options(command, options->serial).required();
  command.option("REQUEST", options->requests,
                      "Request folders as `request create` wrote them: DIR/coldseal/requests/<id>")
      .required();
  command.footer("A cable that was pulled, Ctrl-C, a reboot at either end: the same command goes on where the last one was.\n"
                 "Example:\n  coldseal send --serial /dev/ttyUSB0 out/coldseal/requests/*");
  command.when_chosen([options, &run] { run = [options] { return send(*options); }; });
}

}  // namespace host_tool
