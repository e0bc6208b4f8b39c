// coldseal-courier: carries requests from sticks and serial cables to the inbox, and responses from the outbox back. It
// never looks into a manifest or a package, and has neither TPM, audit log nor spool. What the inbox and the outbox
// look like: a folder named by its id appears by rename, complete; coldseald takes it away or replaces it by rename.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "appliance/confinement.hpp"
#include "appliance/courier/boxes.hpp"
#include "appliance/courier/serial_watch.hpp"
#include "appliance/courier/stick_watch.hpp"
#include "appliance/process_setup.hpp"
#include "crypto/base/command_line.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "usb/files/partial_parcel.hpp"
#include "usb/files/safe_write.hpp"

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kBetweenRounds(300);
constexpr std::chrono::hours kUnfinishedStay(7 * 24);   // half-received requests, since anything of them came

// One event, one line, one write: threads do not mix theirs.
void say_on_stderr(std::string_view where, std::string_view id, std::string_view what) {
  const base::Time now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  std::string line = base::rfc3339(now) + " " + base::printable(where) + ": ";
  if (!id.empty()) line += base::printable(id.substr(0, 8)) + " ";
  line += std::string(what) + "\n";
  std::fputs(line.c_str(), stderr);
}

// The signals that end the program, waited for instead of handled.
sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

void wait_for_signal(const std::stop_token& finished, std::stop_source& stop) {
  const sigset_t signals = ending_signals();
  const timespec slice{0, 200'000'000};
  while (!finished.stop_requested())
    if (sigtimedwait(&signals, nullptr, &slice) > 0) stop.request_stop();
}

bool watch_sticks(const std::vector<std::string>& folders, const courier::Boxes& boxes, bool once, const std::stop_token& stop) {
  courier::HandedOver handed_over;
  std::deque<courier::StickWatch> sticks;
  for (const std::string& folder : folders)
    sticks.emplace_back(folder, boxes, say_on_stderr, [&stop] { return stop.stop_requested(); });
  bool all_done = true;
  do {
    all_done = true;
    for (courier::StickWatch& stick : sticks)
      all_done = stick.round(handed_over, std::chrono::steady_clock::now()) && all_done;
  } while (!once && !courier::wait_unless_stopped(stop, kBetweenRounds));
  return all_done;
}

base::Result<void> make_boxes(const courier::Boxes& boxes) {
  TRY(usb::make_folders(boxes.inbox));
  TRY(usb::make_folders(boxes.outbox));
  const std::int64_t a_while_ago = std::chrono::duration_cast<std::chrono::seconds>(
      (std::chrono::system_clock::now() - kUnfinishedStay).time_since_epoch()).count();
  return usb::prune_unfinished(boxes.inbox, base::limits::kUnfinishedParcels, a_while_ago);
}

}  // namespace

int main(int argc, char** argv) {
  base::CommandLine app("Carries requests and responses between the cables and coldseald.", "coldseal-courier",
                        COLDSEAL_VERSION);
  std::string root = "/";
  std::vector<std::string> stick_folders;
  std::vector<std::string> devices;
  serial::LineSettings line;
  bool once = false;
  app.option("--root", root, "prefix of every path of the appliance").type_name("DIR");
  app.option("--stick", stick_folders, "folder where a stick is mounted").type_name("DIR");
  app.option("--serial", devices, "serial device, or a pattern such as '/dev/ttyUSB*': then the first there is").type_name("DEV");
  app.option("--baud", line.baud, "speed of the serial lines, 9600 to 4000000; of no matter on USB gadgets").shows_default();
  app.flag("--rtscts", line.rts_cts, "RTS/CTS flow control; both ends and the cable must have it");
  app.flag("--once", once, "look at each stick once, serve one host on each device, and end; 1 if something was not done");
  if (const std::optional<int> status = app.parse(argc, argv)) return *status;
  if (stick_folders.empty() && devices.empty()) {
    std::fputs("coldseal-courier: at least one --stick or --serial is wanted\n", stderr);
    return 2;
  }

  if (const base::Result<void> usable = serial::expect_usable(line); !usable) {
    std::fputs(("coldseal-courier: " + usable.error().text() + "\n").c_str(), stderr);
    return 2;
  }

  appliance::harden_process();
  if (const base::Result<void> confined = appliance::confine_courier(); !confined) {
    std::fputs(("coldseal-courier: " + confined.error().text() + "\n").c_str(), stderr);
    return 1;
  }
  const sigset_t signals = ending_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);   // before the first thread, so that all inherit it

  const fs::path var = fs::path(root) / "var/lib/coldseal";
  const courier::Boxes boxes{var / "inbox", var / "outbox"};
  if (const base::Result<void> ready = make_boxes(boxes); !ready) {
    std::fputs(("coldseal-courier: " + ready.error().text() + "\n").c_str(), stderr);
    return 2;
  }

  std::stop_source stop;
  const std::stop_token stopped = stop.get_token();
  std::jthread signal_waiter([&stop](const std::stop_token& finished) { wait_for_signal(finished, stop); });
  bool all_done = true;
  {
    std::vector<std::jthread> links;
    for (const std::string& device : devices)
      links.emplace_back([&, device] { courier::watch_serial(device, line, boxes, say_on_stderr, once, stopped); });
    if (!stick_folders.empty()) all_done = watch_sticks(stick_folders, boxes, once, stopped);
  }
  return all_done ? 0 : 1;
}
