// coldseal collect: what the appliance answered, from a stick or over a serial cable.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "crypto/base/command_line.hpp"
#include "host-tool/command.hpp"
#include "host-tool/terminal.hpp"
#include "usb/files/safe_write.hpp"
#include "usb/mass_storage/stick.hpp"
#include "usb/serial/transfer.hpp"
#include "usb/wire/request.hpp"

namespace host_tool {
namespace {

using base::Errc;
using base::fail;
using base::Result;

struct CollectOptions {
  std::string from;
  std::string device;
  std::string output;
  std::vector<std::string> ids;
};

Result<std::vector<serial::Collected>> collect_from_stick(const CollectOptions& options, const usb::OnProgress& progress) {
  const mass_storage::Stick stick = TRY(mass_storage::Stick::open(options.from));
  std::vector<std::string> ids = options.ids;
  if (ids.empty()) ids = TRY(stick.responses());
  std::vector<serial::Collected> collected;
  for (const std::string& id : ids) {
    const mass_storage::Outcome outcome = TRY(stick.collect_response(id, options.output, progress));
    collected.push_back({id, outcome == mass_storage::Outcome::already_there});
  }
  return collected;
}

Result<Exit> collect(const CollectOptions& options) {
  if (options.from.empty() == options.device.empty())
    return fail(Errc::usage, "one of --from STICK and --serial DEV is wanted");
  for (const std::string& id : options.ids)
    if (!wire::is_request_id(id))
      return fail(Errc::usage, fmt::format("\"{}\" is not a request id: 64 hex digits", base::printable(id)));
  TRY(usb::make_folders(options.output));
  std::vector<serial::Collected> collected;
  {
    ProgressBar bar("collecting");
    const usb::OnProgress progress = [&](const usb::Progress& now) -> Result<void> {
      bar.show(now.done, now.total);
      return {};
    };
    collected = TRY(options.from.empty()
                        ? serial::collect_responses(options.device, options.output, options.ids, progress)
                        : collect_from_stick(options, progress));
  }
  for (const serial::Collected& one : collected)
    fmt::print("{}  {}\n", (std::filesystem::path(options.output) / one.id).string(),
               one.was_there ? "was there already" : "collected");
  if (collected.empty())
    fmt::print(stderr, "coldseal: there is no response yet\n");
  else
    fmt::print("Next: coldseal verify {}/<id>/files --receipt {}/<id>/{} --trust PEM\n", options.output, options.output,
               wire::kReceiptName);
  return Exit::done;
}

}  // namespace

void add_collect(base::Command& app, Run& run) {
  base::Command command = app.sub(
      "collect", "Copies the appliance's responses (signed files and receipts) to a folder. Verify them there.");
  const auto options = std::make_shared<CollectOptions>();
  const base::CommandOption from = command.option("--from", options->from, "Where the stick is mounted");
  command.option("--serial", options->device, "Serial device, such as /dev/ttyUSB0").excludes(from);
  command.option("-o,--output", options->output, "Folder for the responses; made when it is not there").required();
  command.option("ID", options->ids, "Requests to collect the responses of; all there are, if none is named");
  command.footer("Example:\n  coldseal collect --from /media/stick -o signed");
  command.when_chosen([options, &run] { run = [options] { return collect(*options); }; });
}

}  // namespace host_tool
