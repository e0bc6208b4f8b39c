// coldseal send: requests over a serial cable.
#include <fmt/format.h>

#include <memory>

#include "crypto/base/command_line.hpp"
#include "host-tool/command.hpp"
#include "host-tool/terminal.hpp"
#include "usb/serial/transfer.hpp"

namespace host_tool {
namespace {

struct SendOptions {
  std::string device;
  std::vector<std::string> requests;
};

base::Result<Exit> send(const SendOptions& options) {
  const std::vector<std::filesystem::path> folders(options.requests.begin(), options.requests.end());
  std::vector<serial::Sent> sent;
  {
    ProgressBar bar("sending");
    sent = TRY(serial::send_requests(options.device, folders, [&](const usb::Progress& progress) -> base::Result<void> {
      bar.show(progress.done, progress.total);
      return {};
    }));
  }
  for (const serial::Sent& one : sent)
    fmt::print("{}  {}\n", one.id, one.was_there ? "the appliance had it already" : "sent");
  return Exit::done;
}

}  // namespace

void add_send(base::Command& app, Run& run) {
  base::Command command = app.sub(
      "send", "Sends requests to the appliance over a serial cable and waits until it has them on its disk.");
  const auto options = std::make_shared<SendOptions>();
  command.option("--serial", options->device, "Serial device, such as /dev/ttyUSB0").required();
  command.option("REQUEST", options->requests,
                      "Request folders as `request create` wrote them: DIR/coldseal/requests/<id>")
      .required();
  command.footer("Example:\n  coldseal send --serial /dev/ttyUSB0 out/coldseal/requests/*");
  command.when_chosen([options, &run] { run = [options] { return send(*options); }; });
}

}  // namespace host_tool
