// coldseal send: requests over a serial cable, and with --wait their responses on the same link.
#include <memory>
#include <vector>

#include "crypto/base/command_line.hpp"
#include "host-tool/command.hpp"
#include "host-tool/serial_report.hpp"
#include "host-tool/submitter_file.hpp"
#include "usb/files/safe_write.hpp"
#include "usb/serial/transfer.hpp"

namespace host_tool {
namespace {

struct SendOptions {
  SerialOptions serial;
  KeyOptions key;
  unsigned wait = 0;   // seconds
  std::string output;
  std::vector<std::string> requests;
};

base::Result<Exit> send_and_wait(const SendOptions& options, const std::vector<std::filesystem::path>& folders) {
  keys::SubmitterKey key = TRY(submitter_key_from(options.key.key, options.key.pass_phrase_file));
  TRY(usb::make_folders(options.output));
  SerialReport report(options.serial, "sending");
  const base::Result<std::vector<serial::Collected>> collected =
      serial::send_and_collect(report.link(), folders, [&report](const serial::Sent& one) { report.sent(one); },
                               report.collecting(key, options.output, {}, options.wait), report.progress());
  if (!collected) return tl::unexpected<base::Error>(report.failed(collected.error()));
  return Exit::done;
}

base::Result<Exit> send(const SendOptions& options) {
  const std::vector<std::filesystem::path> folders(options.requests.begin(), options.requests.end());
  const bool waits = options.wait > 0;
  if (waits != !options.key.key.empty() || waits != !options.output.empty())
    return base::fail(base::Errc::usage, "--wait, --key and --output go together: to stay for the responses");
  if (waits) return send_and_wait(options, folders);
  SerialReport report(options.serial, "sending");
  const base::Result<std::vector<serial::Sent>> sent =
      serial::send_requests(report.link(), folders, report.progress(), [&report](const serial::Sent& one) { report.sent(one); });
  if (!sent) return tl::unexpected<base::Error>(report.failed(sent.error()));
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
  add_wait_option(command, options->wait, "Stay so long on the link, and copy the responses as they come");
  add_key_options(command, options->key, "With --wait: private key of the submitter, to whom alone responses are given");
  command.option("-o,--output", options->output, "With --wait: folder for the responses; made when it is not there");
  command.footer("A cable that was pulled, Ctrl-C, a reboot at either end: the same command goes on where the last one was.\n"
                 "Examples:\n  coldseal send --serial /dev/ttyUSB0 out/coldseal/requests/*\n"
                 "  coldseal send --serial /dev/ttyUSB0 out/coldseal/requests/* --wait 3600 --key build.pem -o signed");
  command.when_chosen([options, &run] { run = [options] { return send(*options); }; });
}

}  // namespace host_tool
