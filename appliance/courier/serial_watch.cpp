#include "appliance/courier/serial_watch.hpp"

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "appliance/courier/delivery_mark.hpp"
#include "crypto/keys/random.hpp"
#include "usb/serial/link.hpp"
#include "usb/serial/transfer.hpp"

namespace courier {
namespace {

using base::Result;

constexpr serial::Duration kNoiseCheck = std::chrono::seconds(2);

std::string_view words_for(serial::Served::What what) {
  switch (what) {
    case serial::Served::What::received: return "request received";
    case serial::Served::What::went_on: return "the request goes on where it stopped: ";
    case serial::Served::What::proven: return "the host has proven this submitter's key";
    case serial::Served::What::was_there: return "request was here already";
    case serial::Served::What::delivered: return "response delivered";
    case serial::Served::What::refused: break;
  }
  return "refused: ";
}

// Why serving one host ended.
Result<void> serve_one(const std::filesystem::path& device, const serial::LineSettings& settings, const Boxes& boxes, const Say& say,
                       const std::stop_token& stop) {
  const auto stopped = [&stop] { return stop.stop_requested(); };
  const std::unique_ptr<serial::Link> link = TRY(serial::Link::open(device, serial::Role::appliance, 0, settings, stopped));
  const std::string name = link->name();
  std::string noise;
  bool connected = false;
  while (!connected) {
    connected = TRY(link->connect(kNoiseCheck));
    if (noise.empty() && !(noise = link->unreadable()).empty()) say(name, "", noise);
  }
  say(name, "", "a host has called");
  const base::Error end = serial::serve(*link, {boxes.inbox, boxes.outbox}, keys::fill_random, [&](const serial::Served& served) {
    say(name, served.id, std::string(words_for(served.what)) + served.reason);
    if (!served.document) return;
    if (const Result<void> marked = mark_delivered(boxes, served.id, *served.document); !marked) say(name, served.id, "coldseald is not told: " + marked.error().text());
  });
  if (stopped()) return {};
  say(name, "", "the host has gone: " + end.text());
  if (const std::string quality = link->quality().words(); !quality.empty()) say(name, "", "the cable: " + quality);
  return {};
}

}  // namespace

bool wait_unless_stopped(const std::stop_token& stop, std::chrono::milliseconds time) {
  std::mutex mutex;
  std::condition_variable_any woken;
  std::unique_lock lock(mutex);
  return woken.wait_for(lock, stop, time, [&stop] { return stop.stop_requested(); });
}

void watch_serial(const std::filesystem::path& device, const serial::LineSettings& settings, const Boxes& boxes, const Say& say,
                  bool once, const std::stop_token& stop) {
  std::string problem;
  while (!stop.stop_requested()) {
    const Result<void> served = serve_one(device, settings, boxes, say, stop);
    if (served) {
      problem.clear();
      if (once) return;
    } else if (!stop.stop_requested() && std::exchange(problem, served.error().text()) != served.error().text()) {
      say(device.string(), "", problem + "; trying again every second");
    }
    wait_unless_stopped(stop, std::chrono::milliseconds(served ? 50 : 1000));
  }
}

}  // namespace courier
