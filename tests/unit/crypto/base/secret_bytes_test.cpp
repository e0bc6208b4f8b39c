#include "crypto/base/secret_bytes.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace base {
namespace {

// What the kernel says of the pages that hold this address.
std::string flags_of_pages_at(const void* address) {
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t first = 0;
    std::uintptr_t last = 0;
    char dash = 0;
    std::istringstream range(line);
    if (line.find(':') > line.find('-') && range >> std::hex >> first >> dash >> last && dash == '-') inside = first <= wanted && wanted < last;
    if (inside && line.starts_with("VmFlags:")) return line + " ";
  }
  return {};
}

TEST(SecretBytes, LieInPagesThatAreLockedAndLeftOutOfCoreDumps) {
  const SecretBytes secret = SecretBytes::copy_of(as_bytes("314159"));
  const std::string flags = flags_of_pages_at(secret.reveal().data());
  if (flags.empty()) GTEST_SKIP() << "this kernel does not tell";
#ifndef __SANITIZE_ADDRESS__   // which locks nothing
  EXPECT_NE(flags.find(" lo "), std::string::npos) << "not locked: " << flags;
#endif
  EXPECT_NE(flags.find(" dd "), std::string::npos) << "in core dumps: " << flags;
  const int ordinary = 0;
  EXPECT_EQ(flags_of_pages_at(&ordinary).find(" lo "), std::string::npos) << "the test sees a difference";
}

}  // namespace
}  // namespace base
