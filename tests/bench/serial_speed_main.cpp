// serial-speed [--package DIR] [ROW...]: how fast `coldseal send` and `coldseal-courier` carry a request over a serial line,
// beside `sz` and `rz` of lrzsz over the same one: two pseudo terminals and a thread between them that carries no more bytes
// than the baud rate, changes or loses some, and takes its time. One direction, wall clock from start to end of the sending
// program. lrzsz counts as 0 when it fails or takes over five times its time on a clean line. --package: a real driver
// package for the row with compression; without it that row is left out. Exit status 1 when a goal is missed, 2 without
// lrzsz. Run it from a Release build on a quiet machine; it takes some eight minutes. ROW: only the rows whose names begin so.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/parcels.hpp"
#include "tests/support/process.hpp"
#include "tests/support/serial_cable.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Row {
  std::string name;
  unsigned baud = 0;              // 0: no throttle
  std::size_t bytes = 0;
  tests::CableFaults faults;
  double goal_of_line = 0;        // of the line's bytes per second
  double goal_of_clean = 0;       // of our own row "115200 clean"
  double goal_of_lrzsz = 0;
  double goal_bytes = 0;          // bytes per second
};

base::Bytes noise(std::size_t count) {
  std::mt19937_64 random(1);
  base::Bytes bytes(count);
  std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<std::uint8_t>(random()); });
  return bytes;
}

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

double ours(const Row& row, const fs::path& request, std::uint64_t bytes, const fs::path& dir) {
  tests::SerialCable cable(row.faults);
  fs::remove_all(dir / "root");
  const std::string baud = std::to_string(row.baud == 0 ? 4'000'000U : row.baud);
  tests::Background courier({tests::program("coldseal-courier"), "--root", dir / "root", "--serial", cable.appliance_end(), "--baud", baud}, dir / "log");
  tests::wait_until("the courier has made its inbox", [&] { return fs::exists(dir / "root/var/lib/coldseal/inbox"); });
  const auto begin = Clock::now();
  const tests::Finished sent = tests::run({tests::program("coldseal"), "send", "--serial", cable.host_end(), "--baud", baud, request});
  const double took = since(begin);
  if (sent.status != 0) {
    fmt::print(stderr, "{}: {}\n{}", row.name, sent.output, courier.log());
    return 0;
  }
  return static_cast<double>(bytes) / took;
}

pid_t on_line(const fs::path& device, const fs::path& folder, std::vector<std::string> command) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  const int line = ::open(device.c_str(), O_RDWR);
  const int nowhere = ::open("/dev/null", O_WRONLY);
  ::dup2(line, 0);
  ::dup2(line, 1);
  ::dup2(nowhere, 2);
  if (::chdir(folder.c_str()) != 0) ::_exit(126);
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

// Bytes per second; 0 when it fails or takes longer than that.
double theirs(const Row& row, const std::vector<fs::path>& files, std::uint64_t bytes, const fs::path& dir, double patience) {
  tests::SerialCable cable(row.faults);
  fs::remove_all(dir / "rz");
  fs::create_directories(dir / "rz");
  const pid_t receiver = on_line(cable.appliance_end(), dir / "rz", {"rz", "-b", "-q", "-y"});
  std::vector<std::string> command = {"sz", "-b", "-q"};
  for (const fs::path& file : files) command.push_back(file);
  const auto begin = Clock::now();
  const pid_t sender = on_line(cable.host_end(), dir, command);
  std::optional<double> took;
  while (!took && since(begin) < patience) {
    int status = 0;
    if (::waitpid(sender, &status, WNOHANG) == sender) {
      took = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? since(begin) : 0;
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  for (const pid_t one : {sender, receiver}) {
    if (one == sender && took) continue;
    for (int i = 0; i < 100 && ::waitpid(one, nullptr, WNOHANG) == 0; ++i) {
      if (i == 50 || !took) ::kill(one, SIGKILL);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  std::uint64_t came = 0;
  for (const auto& entry : fs::directory_iterator(dir / "rz")) came += entry.file_size();
  if (!took || *took <= 0 || came < bytes) return 0;
  return static_cast<double>(bytes) / *took;
}

std::vector<Row> rows() {
  const auto line = [](unsigned baud) {
    tests::CableFaults faults;
    faults.bytes_per_second = baud / 10;
    return faults;
  };
  tests::CableFaults noisy = line(115200);
  noisy.damage_every = 10'000;
  tests::CableFaults far = line(115200);
  far.latency = std::chrono::milliseconds(200);
  return {{"115200 clean", 115200, 256U << 10, line(115200), 0.95, 0, 1, 0},
          {"115200 one byte in 10,000 changed or lost", 115200, 256U << 10, noisy, 0, 0.75, 2, 0},
          {"115200 with 200 ms each way", 115200, 256U << 10, far, 0.85, 0, 0, 0},
          {"921600 clean", 921600, 2U << 20, line(921600), 0.95, 0, 0, 0},
          {"3000000 clean", 3'000'000, 8U << 20, line(3'000'000), 0.90, 0, 0, 0},
          {"pty without throttle", 0, 128U << 20, {}, 0, 0, 0, 20e6}};
}

std::string rate(double bytes_per_second) {
  return bytes_per_second >= 1e6 ? fmt::format("{:.1f} MB/s", bytes_per_second / 1e6) : fmt::format("{:.0f} B/s", bytes_per_second);
}

bool is_met(const Row& row, double mine, double clean, double other) {
  return mine >= row.goal_of_line * row.baud / 10 && mine >= row.goal_of_clean * clean && mine >= row.goal_of_lrzsz * other && mine >= row.goal_bytes;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  fs::path package;
  if (arguments.size() >= 2 && arguments[0] == "--package") {
    package = arguments[1];
    arguments.erase(arguments.begin(), arguments.begin() + 2);
  }
  const auto wanted = [&](const std::string& name) {
    return arguments.empty() || std::any_of(arguments.begin(), arguments.end(), [&](const std::string& row) { return name.starts_with(row); });
  };
  if (tests::run({"sh", "-c", "command -v sz && command -v rz"}).status != 0) {
    fmt::print(stderr, "serial-speed: sz and rz are wanted: apt-get install lrzsz\n");
    return 2;
  }
  const tests::TempDir dir;
  const std::string id = tests::some_id('a');
  double clean = 0;
  double clean_of_lrzsz = 0;
  bool all_met = true;
  fmt::print("{:<44}{:>14}{:>10}{:>14}  {}\n", "line", "coldseal", "of line", "sz/rz", "goal");
  for (const Row& row : rows()) {
    if (!wanted(row.name)) continue;
    fs::remove_all(dir / "out");
    const base::Bytes file = noise(row.bytes);
    tests::make_request(dir / "out", id, {{"a.bin", file}});
    const double mine = ours(row, dir / "out" / id, row.bytes, dir.path());
    const double patience = clean_of_lrzsz > 0 && row.baud == 115200 ? 5 * static_cast<double>(row.bytes) / clean_of_lrzsz : 120;
    const double other = theirs(row, {dir / "out" / id / "files/a.bin"}, row.bytes, dir.path(), patience);
    if (row.name == "115200 clean") {
      clean = mine;
      clean_of_lrzsz = other;
    }
    const bool met = is_met(row, mine, clean, other);
    all_met = all_met && met;
    const std::string share = row.baud == 0 ? "" : fmt::format("{:.1f} %", 1000.0 * mine / row.baud);
    fmt::print("{:<44}{:>14}{:>10}{:>14}  {}\n", row.name, rate(mine), share, rate(other), met ? "met" : "MISSED");
    std::fflush(stdout);
  }
  if (!package.empty() && wanted("921600 package")) {
    fs::remove_all(dir / "out");
    std::map<std::string, base::Bytes> files = tests::all_files(package);
    std::vector<fs::path> paths;
    std::uint64_t bytes = 0;
    for (const auto& [path, content] : files) {   // for rz, which knows no folders, under names that differ
      bytes += content.size();
      std::string flat = path;
      std::replace(flat.begin(), flat.end(), '/', '_');
      tests::write_text(dir / "flat" / flat, base::as_text(content));
      paths.push_back(dir / "flat" / flat);
    }
    tests::make_request(dir / "out", id, files);
    Row row{"921600 package", 921600, 0, {}, 0, 0, 0, 0};
    row.faults.bytes_per_second = 92'160;
    const double mine = ours(row, dir / "out" / id, bytes, dir.path());
    const double other = theirs(row, paths, bytes, dir.path(), 300);
    fmt::print("{:<44}{:>14}{:>10}{:>14}  {:.2f} times as fast\n", fmt::format("921600 {} ({} kB)", package.filename().string(), bytes / 1000),
               rate(mine), fmt::format("{:.1f} %", 100 * mine / 92'160), rate(other), other > 0 ? mine / other : 0);
  }
  return all_met ? 0 : 1;
}
