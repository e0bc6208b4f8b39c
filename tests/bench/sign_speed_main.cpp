// sign-speed [MIB]: signs one PE image (64 MiB) with test-signer and with osslsigncode, same RSA-3072 key, SHA-256, and
// prints medians of 5 runs each, in turns, after one run each that only warms the page cache. `openssl dgst` is the
// floor: what reading and hashing alone costs. Run it from a Release build on a quiet machine.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

struct Run {
  double wall = 0;    // seconds
  double user = 0;    // seconds of processor time, own and the kernel's
  double memory = 0;  // peak RSS in MiB
};

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

Run timed(std::vector<std::string> argv) {
  std::vector<char*> arguments;
  for (std::string& argument : argv) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = fork();
  base::require(child >= 0, "no process");
  if (child == 0) {
    const int nothing = ::open("/dev/null", O_RDWR);
    dup2(nothing, STDOUT_FILENO);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  int status = 0;
  rusage used{};
  base::require(wait4(child, &status, 0, &used) == child, "lost a process");
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  base::require(WIFEXITED(status) && WEXITSTATUS(status) == 0, argv[0] + " failed");
  return {wall.count(), seconds(used.ru_utime) + seconds(used.ru_stime), static_cast<double>(used.ru_maxrss) / 1024};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Run medians(const std::vector<Run>& runs) {
  std::vector<double> wall;
  std::vector<double> user;
  std::vector<double> memory;
  for (const Run& run : runs) {
    wall.push_back(run.wall);
    user.push_back(run.user);
    memory.push_back(run.memory);
  }
  return {median(wall), median(user), median(memory)};
}

void must_run(const std::vector<std::string>& argv) {
  const tests::Outcome outcome = tests::run_program(argv);
  base::require(outcome.status == 0, argv[0] + ": " + outcome.output);
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t mebibytes = 64;
  const std::string_view size = argc > 1 ? argv[1] : "64";
  if (argc > 2 || std::from_chars(size.begin(), size.end(), mebibytes).ptr != size.end() || mebibytes == 0 ||
      mebibytes > 1024) {
    fmt::print(stderr, "usage: sign-speed [MIB]   (1 to 1024)\n");
    return 2;
  }
  const tests::TempDir dir;
  const auto file = [&](std::string_view name) { return (dir / name).string(); };
  must_run({"openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-keyout", file("key.pem"), "-out",
            file("cert.pem"), "-subj", "/CN=Benchmark", "-days", "10", "-addext", "extendedKeyUsage=codeSigning"});
  tests::write_file(dir / "in.sys", tests::driver_of_size(mebibytes << 20));

  const std::vector<std::string> ours = {std::string(COLDSEAL_BIN_DIR) + "/test-signer",
                                         "--key",
                                         file("key.pem"),
                                         "--cert",
                                         file("cert.pem"),
                                         "--in",
                                         file("in.sys"),
                                         "--out",
                                         file("ours.sys")};
  const std::vector<std::string> theirs = {"osslsigncode", "sign",          "-certs", file("cert.pem"),
                                           "-key",         file("key.pem"), "-h",     "sha256",
                                           "-in",          file("in.sys"),  "-out",   file("theirs.sys")};
  const std::vector<std::string> floor = {"openssl", "dgst", "-sha256", file("in.sys")};
  std::vector<Run> our_runs;
  std::vector<Run> their_runs;
  std::vector<Run> floor_runs;
  for (int run = 0; run <= 5; ++run) {
    std::filesystem::remove(dir / "theirs.sys");  // osslsigncode does not overwrite
    std::filesystem::remove(dir / "ours.sys");
    const Run our = timed(ours);
    const Run their = timed(theirs);
    const Run least = timed(floor);
    if (run == 0) continue;  // warms up
    our_runs.push_back(our);
    their_runs.push_back(their);
    floor_runs.push_back(least);
  }
  fmt::print("signing a PE image of {} MiB, RSA-3072, SHA-256, medians of 5\n", mebibytes);
  fmt::print("{:<14} {:>9} {:>9} {:>12}\n", "", "wall s", "CPU s", "peak RSS MiB");
  const auto row = [](std::string_view name, const Run& run) {
    fmt::print("{:<14} {:>9.3f} {:>9.3f} {:>12.1f}\n", name, run.wall, run.user, run.memory);
  };
  row("test-signer", medians(our_runs));
  row("osslsigncode", medians(their_runs));
  row("openssl dgst", medians(floor_runs));
  fmt::print("wall time, test-signer to osslsigncode: {:.2f}\n", medians(our_runs).wall / medians(their_runs).wall);
  return 0;
}
