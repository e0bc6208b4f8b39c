// A few of the points of tests/sweep/tpm_kills_test.cpp, others every day.
#include "tests/support/tpm_kills.hpp"

#include <gtest/gtest.h>

#include <iostream>

namespace tests {
namespace {

TEST(TpmKills, AtAFewCommandsOfAnApprovalReleaseNothingHalfMade) {
  SigningKills kills;
  ASSERT_GT(kills.commands(), 80);
  for (const int at : todays_points(kills.commands(), 5)) {
    std::cout << "swtpm is killed at command " << at << " of " << kills.commands() << std::endl;
    EXPECT_EQ(kills.strike(at, Deed::kill_after), "");
  }
  EXPECT_EQ(kills.examine_log(), "");
}

TEST(TpmKills, NorDoAnswersThatAreLostLateCutOffOrReplaced) {
  SigningKills kills;
  const std::vector<int> points = todays_points(kills.commands(), 5);
  const Deed deeds[] = {Deed::hang_up, Deed::delay, Deed::truncate, Deed::replace, Deed::kill_before};
  for (std::size_t i = 0; i < points.size(); ++i) {
    std::cout << "deed " << i << " at command " << points[i] << " of " << kills.commands() << std::endl;
    EXPECT_EQ(kills.strike(points[i], deeds[i]), "") << "deed " << i;
  }
  EXPECT_EQ(kills.examine_log(), "");
}

TEST(TpmKills, AtAFewCommandsOfAnActOfAdministratorsLeaveTheLogWholeAndTheActPossible) {
  AdministrationKills kills;
  ASSERT_GT(kills.commands(), 80);
  const std::vector<int> points = todays_points(kills.commands(), 6);
  const Deed deeds[] = {Deed::kill_after, Deed::hang_up, Deed::delay, Deed::truncate, Deed::replace, Deed::kill_before};
  for (std::size_t i = 0; i < points.size(); ++i) EXPECT_EQ(kills.strike(points[i], deeds[i]), "") << "deed " << i;
  EXPECT_EQ(kills.examine_log(), "");
}

TEST(TpmKills, AtAFewCommandsOfTheCeremonyLetItGoOnToItsEnd) {
  const CeremonyKills kills;
  ASSERT_GT(kills.commands(), 200);
  for (const int at : todays_points(kills.commands(), 2)) {
    std::cout << "swtpm is killed at command " << at << " of " << kills.commands() << std::endl;
    EXPECT_EQ(kills.strike(at, Deed::kill_after), "");
  }
}

}  // namespace
}  // namespace tests
