// fuzz-replay TARGET FOLDER: runs a fuzz target over every file of a corpus folder, and over every prefix and one-bit change
// of the small ones, so that ordinary ctest keeps what the fuzzer has learnt. Fails on an empty corpus.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/replay.hpp"

int main(int argc, char** argv) {
  constexpr std::size_t kSmall = 4096;
  const auto& all = fuzz_targets();
  const auto target = argc == 3 ? std::find_if(all.begin(), all.end(), [&](const FuzzTarget& one) { return one.name == argv[1]; }) : all.end();
  if (target == all.end() || !std::filesystem::is_directory(argv[2])) {
    (void)std::fprintf(stderr, "usage: fuzz-replay TARGET FOLDER\n");
    return 2;
  }
  std::size_t files = 0;
  std::size_t inputs = 0;
  const auto run = [&](const std::vector<std::uint8_t>& input) {
    (void)target->run(input.data(), input.size());
    ++inputs;
  };
  for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[2])) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    std::vector<std::uint8_t> bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    ++files;
    run(bytes);
    if (bytes.size() > kSmall) continue;
    for (std::size_t length = 0; length < bytes.size(); ++length)
      run(std::vector<std::uint8_t>(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)));
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ (1U << (at % 8)));
      run(bytes);
      bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ (1U << (at % 8)));
    }
  }
  std::printf("%zu corpus files, %zu inputs\n", files, inputs);
  return files == 0 ? 1 : 0;
}
