#include "host-tool/serial_report.hpp"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "crypto/base/text.hpp"

namespace host_tool {
namespace {

using base::Result;
using Clock = std::chrono::steady_clock;
using nlohmann::json;

constexpr std::chrono::milliseconds kBetweenEvents(500);

sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

std::string_view place_name(serial::RequestPlace place) {
  switch (place) {
    case serial::RequestPlace::answered: return "answered";
    case serial::RequestPlace::taken: return "waiting";
    case serial::RequestPlace::arrived: break;
  }
  return "arrived";
}

// At once, also into a build server's log.
void say_line(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void say_event(const json& event) { say_line(event.dump(-1, ' ', false, json::error_handler_t::replace)); }

}  // namespace

struct SerialReport::Shown {
  explicit Shown(std::string doing) : bar(std::move(doing), ProgressBar::Rate::shown) {}
  ProgressBar bar;
  TransferRate rate;
  std::optional<Clock::time_point> last_event;
};

base::CommandOption add_serial_options(base::Command& command, SerialOptions& options) {
  base::CommandOption device =
      command.option("--serial", options.device, "Serial device, such as /dev/ttyUSB0, or a pattern: '/dev/ttyUSB*'");
  command.option("--baud", options.line.baud, "Speed, 9600 to 4000000; both ends must have the same").shows_default();
  command.flag("--rtscts", options.line.rts_cts, "RTS/CTS flow control; both ends and the cable must have it");
  command.option("--patience", options.patience, "Seconds without progress before a lost link is given up").shows_default();
  command.flag("--json", options.json, "Tell what happens as one JSON object a line on standard output");
  return device;
}

base::CommandOption add_key_options(base::Command& command, KeyOptions& options, const std::string& description) {
  command.option("--passphrase-file", options.pass_phrase_file,
                 "Take the key's pass phrase from the first line of this file instead of the terminal");
  return command.option("--key", options.key, description);
}

void add_wait_option(base::Command& command, unsigned& seconds, const std::string& description) {
  command.option("--wait", seconds, description).type_name("SECONDS");
}

SerialReport::SerialReport(const SerialOptions& options, std::string doing)
    : options_(options), shown_(std::make_unique<Shown>(std::move(doing))) {}
SerialReport::~SerialReport() = default;

bool SerialReport::told_to_stop() {
  const sigset_t signals = ending_signals();
  const timespec now{0, 0};
  stopped_ = stopped_ || sigtimedwait(&signals, nullptr, &now) > 0;
  return stopped_;
}

serial::HostLink SerialReport::link() {
  const sigset_t signals = ending_signals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  serial::HostLink link;
  link.device = options_.device;
  link.line = options_.line;
  link.patience = std::chrono::seconds(options_.patience);
  link.stop = [this] { return told_to_stop(); };
  link.news = [this](std::string_view what) {
    shown_->rate = {};   // what was measured before a link was lost says nothing of the next one
    if (options_.json) return say_event({{"event", "link"}, {"text", base::printable(what)}});
    shown_->bar.wipe();
    fmt::print(stderr, "coldseal: {}\n", base::printable(what));
  };
  return link;
}

usb::OnProgress SerialReport::progress() {
  return [this](const usb::Progress& now) -> Result<void> {
    if (told_to_stop()) return base::fail(base::Errc::unavailable, "told to stop");
    const Clock::time_point time = Clock::now();
    shown_->rate.note(now.done, time);
    if (!options_.json) {
      shown_->bar.show(now.done, now.total, shown_->rate);
      return {};
    }
    if (shown_->last_event && time - *shown_->last_event < kBetweenEvents) return {};
    shown_->last_event = time;
    json event = {{"event", "progress"}, {"id", now.id}, {"path", base::printable(now.path)}, {"done", now.done}, {"total", now.total}};
    if (const auto rate = shown_->rate.bytes_per_second()) {
      event["bytes_per_second"] = static_cast<std::uint64_t>(*rate);
      event["seconds_left"] = static_cast<std::uint64_t>(static_cast<double>(now.total - std::min(now.done, now.total)) / *rate);
    }
    say_event(event);
    return {};
  };
}

serial::Collecting SerialReport::collecting(crypto::Signer& submitter, const std::filesystem::path& out,
                                            std::vector<std::string> ids, unsigned wait_seconds) {
  serial::Collecting what{.submitter = submitter, .out = out, .ids = std::move(ids), .wait = std::chrono::seconds(wait_seconds)};
  what.on_wait = [this](const serial::ListedRequest& one) { listed(one); };
  what.on_collected = [this, out](const serial::Collected& one) { collected(one, (out / one.id).string()); };
  return what;
}

void SerialReport::sent(const serial::Sent& one) {
  shown_->bar.wipe();
  if (options_.json)
    return say_event({{"event", "sent"}, {"id", one.id}, {"was_there", one.was_there}, {"went_on_at", one.went_on_at}});
  const std::string how = one.went_on_at > 0 ? fmt::format("sent, {} bytes of it before", one.went_on_at) : "sent";
  say_line(fmt::format("{}  {}", one.id, one.was_there ? "the appliance had it already" : how));
}

void SerialReport::collected(const serial::Collected& one, const std::string& where) {
  shown_->bar.wipe();
  if (options_.json)
    return say_event({{"event", "collected"}, {"id", one.id}, {"was_there", one.was_there}, {"folder", base::printable(where)}});
  say_line(fmt::format("{}  {}", where, one.was_there ? "was there already" : "collected"));
}

void SerialReport::listed(const serial::ListedRequest& one) {
  shown_->bar.wipe();
  if (options_.json)
    return say_event({{"event", "listed"}, {"id", one.id}, {"place", place_name(one.place)}, {"bytes", one.bytes}});
  switch (one.place) {
    case serial::RequestPlace::answered: return say_line(fmt::format("{}  the response waits, {} bytes", one.id, one.bytes));
    case serial::RequestPlace::taken: return say_line(one.id + "  no response yet: waits for the release officers");
    case serial::RequestPlace::arrived: return say_line(one.id + "  no response yet: the appliance has not read it");
  }
}

base::Error SerialReport::failed(const base::Error& error) {
  shown_->bar.wipe();
  base::Error told = error;
  if (stopped_) told = base::Error(error.code(), "stopped; the same command goes on where this one was");
  if (options_.json) say_event({{"event", "error"}, {"text", told.text()}, {"stopped", stopped_}});
  return told;
}

}  // namespace host_tool
