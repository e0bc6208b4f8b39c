#include "tests/support/memory_scan.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <vector>

namespace tests {

std::optional<std::size_t> occurrences_in_memory(pid_t process, const std::string& text) {
  const std::string folder = "/proc/" + std::to_string(process);
  std::ifstream maps(folder + "/maps");
  std::ifstream memory(folder + "/mem", std::ios::binary);
  if (!maps || !memory) return std::nullopt;
  const std::boyer_moore_searcher wanted(text.begin(), text.end());
  std::size_t found = 0;
  std::size_t read_bytes = 0;
  for (std::string line; std::getline(maps, line);) {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    char rights[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &from, &to, rights) != 3 || rights[0] != 'r' || rights[1] != 'w') continue;
    if (to - from > (512U << 20)) continue;
    std::vector<char> bytes(to - from);
    memory.clear();
    memory.seekg(static_cast<std::streamoff>(from));
    if (!memory.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) continue;
    read_bytes += bytes.size();
    for (auto at = std::search(bytes.begin(), bytes.end(), wanted); at != bytes.end(); at = std::search(at + 1, bytes.end(), wanted))
      ++found;
  }
  if (read_bytes == 0) return std::nullopt;
  return found;
}

}  // namespace tests
