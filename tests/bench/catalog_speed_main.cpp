// catalog-speed [FILES [MIB]]: makes a package (5,000 files, 2,048 MiB), has `coldseal catalog create` make its catalog, and compares that
// with `openssl dgst -sha1` and `openssl dgst -sha256` running at the same time over the same files, which is the least that can be
// done: a catalog holds both digests of every file. Then the same with a tenth and a hundredth of the files, and an INF with 740
// hardware ids. Medians of 5 runs in turns, after one that warms the page cache. Exit status 1 when a target is missed. Run it from
// a Release build on a quiet machine; the package is in the folder for temporary files and is removed.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "crypto/formats/inf_file.hpp"
#include "crypto/package/driver_inf.hpp"
#include "tests/bench/side_by_side.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

namespace fs = std::filesystem;
using base::Bytes;
using bench::Command;
using bench::median;
using bench::number;
using bench::Run;
using bench::timed;

// Files without pattern, none like another. A tenth are PE images.
void write_files(const fs::path& folder, std::size_t count, std::size_t size) {
  Bytes noise(size + count);
  std::uint64_t state = 0x9E3779B97F4A7C15;
  for (std::uint8_t& octet : noise) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    octet = static_cast<std::uint8_t>(state >> 56);
  }
  Bytes image = tests::driver_of_size(size);
  std::string list;
  std::string sources;
  for (std::size_t i = 1; i < count; ++i) {   // the INF is the first file
    const bool is_pe = i % 10 == 0;
    const std::string name = fmt::format("file{:04}.{}", i, is_pe ? "sys" : "bin");
    std::ofstream out(folder / name, std::ios::binary);
    if (is_pe)   // somewhere in a section
      for (std::size_t k = 0; k < 4; ++k) image[image.size() / 2 + k] = static_cast<std::uint8_t>(i >> (8 * k));
    const base::ByteView bytes = is_pe ? base::ByteView(image) : base::ByteView(noise).subspan(i, size);
    const std::string_view text = base::as_text(bytes);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    base::require(out.good(), "no room for the package");
    list += name + "\r\n";
    sources += name + "=1\r\n";
  }
  tests::write_text(folder / "bench.inf",
                    "[Version]\r\nSignature=\"$WINDOWS NT$\"\r\nClass=System\r\nProvider=P\r\nDriverVer=11/20/2025,1.2.3.4\r\nPnpLockdown=1\r\nCatalogFile=bench.cat\r\n"
                    "[Manufacturer]\r\nP=Std,NTamd64\r\n[Std.NTamd64]\r\nDevice=Inst,ROOT\\Bench\r\n[Inst]\r\nCopyFiles=L\r\n[SourceDisksNames]\r\n1=Disk\r\n[L]\r\n" +
                        list + "[SourceDisksFiles]\r\n" + sources);
}

bool say(std::string_view target, bool is_met, std::string_view measured) {
  fmt::print("{:<58} {:<12} {}\n", target, is_met ? "met" : "MISSED", measured);
  return is_met;
}

struct Pair {
  Run ours;
  Run openssl;
};

Pair measure(const fs::path& folder, std::size_t count, std::size_t size) {
  fs::create_directory(folder);
  write_files(folder, count, size);
  Command sha1 = {"openssl", "dgst", "-sha1"};
  Command sha256 = {"openssl", "dgst", "-sha256"};
  for (const auto& entry : fs::directory_iterator(folder)) {
    sha1.push_back(entry.path());
    sha256.push_back(entry.path());
  }
  const fs::path out = folder.parent_path() / "out";
  fs::create_directories(out);
  const Command ours = {std::string(COLDSEAL_BIN_DIR) + "/coldseal", "catalog", "create", folder, "--os", "10_X64", "-o", out};
  std::vector<Run> our_runs;
  std::vector<Run> their_runs;
  for (int run = 0; run <= 5; ++run) {
    const Run our = timed({ours});
    const Run their = timed({sha1, sha256});
    if (run == 0) continue;   // warms up
    our_runs.push_back(our);
    their_runs.push_back(their);
  }
  fs::remove_all(folder);
  const Pair pair{median(our_runs), median(their_runs)};
  const double mebibytes = static_cast<double>(count) * static_cast<double>(size) / (1 << 20);
  fmt::print("| {:>5} | {:>8.0f} | {:>7.3f} | {:>8.3f} | {:>5.0f} | {:>5.0f} % | {:>7.2f} | {:>8.2f} | {:>6.1f} |\n", count, mebibytes, pair.ours.wall,
             pair.openssl.wall, mebibytes / pair.ours.wall, 100 * pair.openssl.wall / pair.ours.wall, pair.ours.user, pair.openssl.user, pair.ours.memory);
  std::fflush(stdout);
  return pair;
}

// Reading an INF of so many devices and finding out what it means, in milliseconds.
double inf_milliseconds(std::size_t hardware_ids) {
  std::string inf =
      "[Version]\r\nSignature=\"$WINDOWS NT$\"\r\nClass=Ports\r\nProvider=%P%\r\nDriverVer=11/20/2025,1.2.3.4\r\nCatalogFile=bench.cat\r\n"
      "[Manufacturer]\r\n%P%=Std,NTamd64\r\n[Std.NTamd64]\r\n";
  for (std::size_t i = 0; i < hardware_ids; ++i) inf += fmt::format("%Device{0}%=Inst,USB\\VID_1209&PID_{0:04X}&REV_0100&MI_00\r\n", i);
  inf += "[Inst.NT]\r\nCopyFiles=L\r\n[L]\r\nbench.sys\r\n[SourceDisksNames]\r\n1=Disk\r\n[SourceDisksFiles]\r\nbench.sys=1\r\n[Strings]\r\nP=\"Maker\"\r\n";
  for (std::size_t i = 0; i < hardware_ids; ++i) inf += fmt::format("Device{0}=\"Serial port number {0} of the maker\"\r\n", i);
  const auto utf16 = base::utf16le_from_utf8(inf);
  base::require(utf16.has_value(), "the INF is UTF-8");
  Bytes file = {0xFF, 0xFE};
  base::append(file, *utf16);
  std::vector<double> times;
  for (int run = 0; run < 21; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    const auto parsed = formats::InfFile::parse(file);
    base::require(parsed.has_value(), "the INF reads");
    const auto driver = package::DriverInf::read(*parsed);
    base::require(driver.has_value() && driver->devices().size() == hardware_ids, "the INF is a driver's");
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  return median(times);
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t files = argc > 1 ? number(argv[1], 5000) : 5000;
  const std::size_t mebibytes = argc > 2 ? number(argv[2], 16384) : 2048;
  if (argc > 3 || files < 500 || mebibytes < files / 64) {
    fmt::print(stderr, "usage: catalog-speed [FILES [MIB]]   (500 to 5000; at least 16 KiB for each file, at most 16384 MiB)\n");
    return 2;
  }
  const std::size_t size = (mebibytes << 20) / files;
  const tests::TempDir dir;
  fmt::print("coldseal catalog create and two openssl dgst at once; page cache warm, medians of 5\n");
  fmt::print("| files |      MiB |  ours s | openssl s | MiB/s |  speed | ours cpu | openssl cpu | RSS MiB |\n|---|---|---|---|---|---|---|---|---|\n");
  std::array<Pair, 3> pairs;
  const std::array<std::size_t, 3> counts = {files / 100, files / 10, files};
  for (std::size_t i = 0; i < counts.size(); ++i) pairs.at(i) = measure(dir / "package", counts.at(i), size);
  const double inf = inf_milliseconds(740);
  fmt::print("\n");
  const double speed = pairs[2].openssl.wall / pairs[2].ours.wall;
  bool met = say("at least 60 % of the speed of openssl", speed >= 0.6, fmt::format("{:.0f} %", 100 * speed));
  met = say("memory below 64 MiB", pairs[2].ours.memory < 64, fmt::format("{:.1f} MiB", pairs[2].ours.memory)) && met;
  // Processor time for each file, which other programs on the machine disturb less than the clock on the wall.
  const double growth = pairs[2].ours.user / static_cast<double>(counts[2]) / (pairs[1].ours.user / static_cast<double>(counts[1]));
  met = say("linear: time for each file grows by less than half", growth < 1.5, fmt::format("{:.2f} times that with a tenth of the files", growth)) && met;
  met = say("an INF with 740 hardware ids read in under 10 ms", inf < 10, fmt::format("{:.2f} ms", inf)) && met;
  return met ? 0 : 1;
}
