#include "crypto/keys/random.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace keys {
namespace {

TEST(Random, FillsEveryByteAndNeverRepeats) {
  std::set<std::vector<std::uint8_t>> seen;
  std::vector<bool> changed(64, false);
  for (int i = 0; i < 64; ++i) {   // the chance that one of 64 places is zero 64 times is below 2^-500
    std::vector<std::uint8_t> bytes(64, 0);
    fill_random(bytes);
    for (std::size_t k = 0; k < bytes.size(); ++k) changed[k] = changed[k] || bytes[k] != 0;
    EXPECT_TRUE(seen.insert(bytes).second);
  }
  for (const bool each : changed) EXPECT_TRUE(each);
  fill_random({});
}

}  // namespace
}  // namespace keys
