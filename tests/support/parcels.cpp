#include "tests/support/parcels.hpp"

#include <random>

#include "tests/support/temp_dir.hpp"

namespace tests {
namespace fs = std::filesystem;

std::string some_id(char digit) { return std::string(64, digit); }

base::Bytes some_bytes(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  base::Bytes bytes(count);
  for (std::uint8_t& byte : bytes) {
    const auto value = random();
    byte = (value & 0x700U) == 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(value);
  }
  return bytes;
}

namespace {
void make(const fs::path& folder, const std::string& name, const std::string& document,
          const std::map<std::string, base::Bytes>& files) {
  for (const auto& [path, bytes] : files) write_file(folder / "files" / path, bytes);
  write_text(folder / name, document);
}
}  // namespace

void make_request(const fs::path& parent, const std::string& id, const std::map<std::string, base::Bytes>& files,
                  const std::string& document) {
  make(parent / id, "request.dsse.json", document, files);
}

void make_response(const fs::path& parent, const std::string& id, const std::map<std::string, base::Bytes>& files,
                   const std::string& document) {
  make(parent / id, "receipt.dsse.json", document, files);
}

std::map<std::string, base::Bytes> all_files(const fs::path& folder) {
  std::map<std::string, base::Bytes> found;
  if (!fs::exists(folder)) return found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) found[fs::relative(entry.path(), folder).string()] = read_file(entry.path());
  return found;
}

}  // namespace tests
