// coldseal collect: what the appliance answered, from a stick or over a serial cable.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "crypto/base/command_line.hpp"
#include "host-tool/command.hpp"
#include "host-tool/serial_report.hpp"
#include "host-tool/submitter_file.hpp"
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
  SerialOptions serial;
  KeyOptions key;
  unsigned wait = 0;   // seconds
  bool list = false;
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

Result<void> expect_sensible(const CollectOptions& options) {
  if (options.from.empty() == options.serial.device.empty())
    return fail(Errc::usage, "one of --from STICK and --serial DEV is wanted");
  if (options.from.empty() && options.key.key.empty())
    return fail(Errc::usage, "--serial needs --key: the appliance gives responses to the submitter of the request only");
  if ((options.list || options.wait > 0) && !options.from.empty()) return fail(Errc::usage, "--list and --wait go with --serial");
  if (!options.list && options.output.empty()) return fail(Errc::usage, "--output DIR is wanted");
  for (const std::string& id : options.ids)
    if (!wire::is_request_id(id))
      return fail(Errc::usage, fmt::format("\"{}\" is not a request id: 64 hex digits", base::printable(id)));
  return {};
}

void say_next(const CollectOptions& options, bool any) {
  if (options.serial.json) return;
  if (!any)
    fmt::print(stderr, "coldseal: there is no response yet\n");
  else
    fmt::print("Next: coldseal verify {}/<id>/files --receipt {}/<id>/{} --trust PEM\n", options.output, options.output,
               wire::kReceiptName);
}

Result<Exit> collect_over_cable(const CollectOptions& options) {
  keys::SubmitterKey key = TRY(submitter_key_from(options.key.key, options.key.pass_phrase_file));
  SerialReport report(options.serial, "collecting");
  if (options.list) {
    const Result<std::vector<serial::ListedRequest>> listed = serial::listed_requests(report.link(), key, options.ids);
    if (!listed) return tl::unexpected<base::Error>(report.failed(listed.error()));
    for (const serial::ListedRequest& one : *listed) report.listed(one);
    if (listed->empty() && !options.serial.json) fmt::print(stderr, "coldseal: the appliance has no request of yours\n");
    return Exit::done;
  }
  TRY(usb::make_folders(options.output));
  const Result<std::vector<serial::Collected>> collected = serial::collect_responses(
      report.link(), report.collecting(key, options.output, options.ids, options.wait), report.progress());
  if (!collected) return tl::unexpected<base::Error>(report.failed(collected.error()));
  say_next(options, !collected->empty());
  return Exit::done;
}

Result<Exit> collect(const CollectOptions& options) {
  TRY(expect_sensible(options));
  if (options.from.empty()) return collect_over_cable(options);
  TRY(usb::make_folders(options.output));
  std::vector<serial::Collected> collected;
  {
    ProgressBar bar("collecting");
    collected = TRY(collect_from_stick(options, [&](const usb::Progress& now) -> Result<void> {
      bar.show(now.done, now.total);
      return {};
    }));
  }
  for (const serial::Collected& one : collected)
    fmt::print("{}  {}\n", (std::filesystem::path(options.output) / one.id).string(),
               one.was_there ? "was there already" : "collected");
  say_next(options, !collected.empty());
  return Exit::done;
}

}  // namespace

void add_collect(base::Command& app, Run& run) {
  base::Command command = app.sub(
      "collect", "Copies the appliance's responses (signed files and receipts) to a folder. Verify them there.");
  const auto options = std::make_shared<CollectOptions>();
  const base::CommandOption from = command.option("--from", options->from, "Where the stick is mounted");
  add_serial_options(command, options->serial).excludes(from);
  add_key_options(command, options->key, "With --serial: private key of the submitter, to whom alone responses are given");
  command.flag("--list", options->list, "With --serial: only say which of your requests are there, and whether they are answered");
  add_wait_option(command, options->wait, "With --serial: stay so long on the link for responses that are not there yet");
  command.option("-o,--output", options->output, "Folder for the responses; made when it is not there");
  command.option("ID", options->ids, "Requests to collect the responses of; all there are, if none is named");
  command.footer("Examples:\n  coldseal collect --from /media/stick -o signed\n"
                 "  coldseal collect --serial /dev/ttyUSB0 --key build.pem -o signed\n"
                 "  coldseal collect --serial /dev/ttyUSB0 --key build.pem --list");
  command.when_chosen([options, &run] { run = [options] { return collect(*options); }; });
}

}  // namespace host_tool
