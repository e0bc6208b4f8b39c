// make-sample-package DIR: writes the sample driver package (coldsample.inf, coldsample.sys, coldsample.exe), the same
// bytes every time. The binaries come from our own PE builder, the INF from tests/data/sample.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <system_error>

#include "tests/support/pe_builder.hpp"
#include "tests/support/temp_dir.hpp"

int main(int argc, char** argv) {
  if (argc != 2 || argv[1][0] == '-') {
    fmt::print(stderr, "usage: make-sample-package DIR\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    fmt::print(stderr, "make-sample-package: {}: {}\n", folder.string(), error.message());
    return 2;
  }
  const std::filesystem::path inf = std::filesystem::path(COLDSEAL_TEST_DATA_DIR) / "sample" / "coldsample.inf";
  tests::write_file(folder / "coldsample.sys", tests::build_pe(tests::driver_description()));
  tests::write_file(folder / "coldsample.exe", tests::build_pe(tests::program_description()));
  // The INF last: its presence is what the build looks for.
  tests::write_file(folder / "coldsample.inf", tests::read_file(inf));
  return 0;
}
