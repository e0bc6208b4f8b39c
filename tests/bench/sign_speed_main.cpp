// sign-speed [MIB] [FILES]: signs a PE image (512 MiB), with and without page hashes, and verifies it, and signs many
// small images (500), with our programs and with osslsigncode, same RSA-3072 key, SHA-256. Prints medians of 5 runs each,
// in turns, after one run each that only warms the page cache. Run it from a Release build on a quiet machine.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.hpp"
#include "tests/bench/side_by_side.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

using bench::median;
using bench::number;
using bench::Run;
using bench::timed;

void must_run(const std::vector<std::string>& argv) {
  const tests::Outcome outcome = tests::run_program(argv);
  base::require(outcome.status == 0, argv[0] + ": " + outcome.output);
}

// Runs both in turns and prints one row.
void compare(std::string_view work, const std::vector<std::string>& ours, const std::vector<std::string>& theirs,
             const std::vector<std::filesystem::path>& outputs) {
  std::vector<Run> our_runs;
  std::vector<Run> their_runs;
  for (int run = 0; run <= 5; ++run) {
    for (const auto& output : outputs) std::filesystem::remove_all(output);   // osslsigncode does not overwrite
    for (const auto& output : outputs)
      if (output.filename() == "many") std::filesystem::create_directory(output);
    const Run our = timed({ours});
    const Run their = timed({theirs});
    if (run == 0) continue;  // warms up
    our_runs.push_back(our);
    their_runs.push_back(their);
  }
  const Run our = median(our_runs);
  const Run their = median(their_runs);
  fmt::print("| {:<34} | {:>8.3f} | {:>8.3f} | {:>5.2f} | {:>8.1f} | {:>8.1f} |\n", work, our.wall, their.wall,
             our.wall / their.wall, our.memory, their.memory);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t mebibytes = argc > 1 ? number(argv[1], 1024) : 512;
  const std::size_t files = argc > 2 ? number(argv[2], 5000) : 500;
  if (argc > 3 || mebibytes == 0 || files == 0) {
    fmt::print(stderr, "usage: sign-speed [MIB [FILES]]   (1 to 1024, 1 to 5000)\n");
    return 2;
  }
  const tests::TempDir dir;
  const auto file = [&](std::string_view name) { return (dir / name).string(); };
  must_run({"openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-keyout", file("key.pem"), "-out",
            file("cert.pem"), "-subj", "/CN=Benchmark", "-days", "10", "-addext", "extendedKeyUsage=codeSigning",
            "-addext", "keyUsage=critical,digitalSignature,keyCertSign"});
  tests::write_file(dir / "in.sys", tests::driver_of_size(mebibytes << 20));
  const std::string bin = COLDSEAL_BIN_DIR;
  const std::vector<std::string> our_keys = {bin + "/test-signer", "--key", file("key.pem"), "--cert", file("cert.pem")};
  const std::vector<std::string> their_keys = {"osslsigncode", "sign", "-certs", file("cert.pem"), "-key",
                                               file("key.pem"), "-h",  "sha256"};
  const auto with = [](std::vector<std::string> command, const std::vector<std::string>& more) {
    command.insert(command.end(), more.begin(), more.end());
    return command;
  };
  fmt::print("RSA-3072, SHA-256, page cache warm, medians of 5\n");
  fmt::print("| {:<34} | {:>8} | {:>8} | {:>5} | {:>8} | {:>8} |\n", "work", "ours s", "theirs s", "ratio", "ours MiB",
             "theirs");
  fmt::print("|---|---|---|---|---|---|\n");
  const std::vector<std::filesystem::path> outputs = {dir / "ours.sys", dir / "theirs.sys"};
  const std::vector<std::string> our_files = {"--in", file("in.sys"), "--out", file("ours.sys")};
  const std::vector<std::string> their_files = {"-in", file("in.sys"), "-out", file("theirs.sys")};
  compare(fmt::format("sign {} MiB", mebibytes), with(our_keys, our_files), with(their_keys, their_files), outputs);
  compare(fmt::format("verify {} MiB", mebibytes),
          {bin + "/coldseal", "verify", file("theirs.sys"), "--trust", file("cert.pem")},
          {"osslsigncode", "verify", "-CAfile", file("cert.pem"), "-in", file("theirs.sys")}, {});
  compare(fmt::format("sign {} MiB with page hashes", mebibytes), with(our_keys, with({"--page-hashes"}, our_files)),
          with(their_keys, with({"-ph"}, their_files)), outputs);

  tests::write_file(dir / "small.sys", tests::driver_of_size(64 << 10));
  std::vector<std::string> batch = with(our_keys, {"--out-dir", file("many"), "--in"});
  std::filesystem::create_directory(dir / "small");
  for (std::size_t i = 0; i < files; ++i) {
    const std::string name = fmt::format("small/f{}.sys", i);
    std::filesystem::copy_file(dir / "small.sys", dir / name);
    batch.push_back(file(name));
  }
  const std::string loop = fmt::format("mkdir {0} && for f in {1}/*; do osslsigncode sign -certs {2} -key {3} -h sha256 -in $f -out "
                     "{0}/$(basename $f) || exit 1; done",
                     file("theirs"), file("small"), file("cert.pem"), file("key.pem"));
  compare(fmt::format("sign {} images of 64 KiB", files), batch, {"sh", "-c", loop}, {dir / "many", dir / "theirs"});
  return 0;
}
