// Paths of a manifest: whatever is taken must stay inside its folder on every file system.
#include <cstdint>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "usb/wire/package_path.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> paths(1);   // one on each line
  for (const char c : base::as_text({data, size})) {
    if (c == '\n')
      paths.emplace_back();
    else
      paths.back() += c;
  }
  for (const std::string& path : paths) {
    if (!wire::expect_package_path(path)) continue;
    base::require(path.size() <= base::limits::kPathBytes && base::printable(path) == path && path.front() != '/' &&
                      ("/" + path + "/").find("/../") == std::string::npos && path.find('\\') == std::string::npos,
                  "a path was taken that leads out of its folder");
  }
  if (wire::expect_distinct_paths(paths)) {
    for (std::size_t i = 0; i < paths.size(); ++i)
      for (std::size_t k = 0; k < i; ++k)
        base::require(!base::equal_ignoring_case(paths[i], paths[k]), "two paths were taken that differ only in case");
  }
  return 0;
}
