// swtpm is killed at every command of the ceremony, of an approval and of an act of administrators, and its answers are lost,
// delayed, cut off or replaced at every command of the last two. In shares, so that they can run side by side; each says how many points it tried.
#include "tests/support/tpm_kills.hpp"

#include <gtest/gtest.h>

#include <array>
#include <iostream>

namespace tests {
namespace {

constexpr int kShares = 8;

template <class Kills>
void strike_share(Kills& kills, int share, Deed deed) {
  int points = 0;
  for (int at = 1 + share; at <= kills.commands(); at += kShares, ++points) EXPECT_EQ(kills.strike(at, deed), "");
  std::cout << points << " points of " << kills.commands() << " commands" << std::endl;
  EXPECT_GT(points, 0);
}

class ApprovalSweep : public testing::TestWithParam<std::tuple<Deed, int>> {};

TEST_P(ApprovalSweep, NothingHalfMadeIsReleasedAtAnyCommand) {
  SigningKills kills;
  strike_share(kills, std::get<1>(GetParam()), std::get<0>(GetParam()));
  EXPECT_EQ(kills.examine_log(), "");
}

std::string name_of_share(const testing::TestParamInfo<std::tuple<Deed, int>>& share) {
  constexpr std::array kNames = {"Pass", "KillBefore", "KillAfter", "HangUp", "Delay", "Truncate", "Replace"};
  return kNames[static_cast<std::size_t>(std::get<0>(share.param))] + ("_" + std::to_string(std::get<1>(share.param)));
}
INSTANTIATE_TEST_SUITE_P(Shares, ApprovalSweep,
                         testing::Combine(testing::Values(Deed::kill_after, Deed::hang_up, Deed::delay, Deed::truncate, Deed::replace),
                                          testing::Range(0, kShares)),
                         name_of_share);

class AdministrationSweep : public testing::TestWithParam<std::tuple<Deed, int>> {};

TEST_P(AdministrationSweep, TheLogStaysWholeAndTheActPossibleAtAnyCommand) {
  AdministrationKills kills;
  strike_share(kills, std::get<1>(GetParam()), std::get<0>(GetParam()));
  EXPECT_EQ(kills.examine_log(), "");
}
INSTANTIATE_TEST_SUITE_P(Shares, AdministrationSweep,
                         testing::Combine(testing::Values(Deed::kill_after, Deed::hang_up, Deed::delay, Deed::truncate, Deed::replace),
                                          testing::Range(0, kShares)),
                         name_of_share);

class CeremonySweep : public testing::TestWithParam<int> {};

TEST_P(CeremonySweep, GoesOnToItsEndAfterAKillAtAnyCommand) {
  CeremonyKills kills;
  strike_share(kills, GetParam(), Deed::kill_after);
}
INSTANTIATE_TEST_SUITE_P(Shares, CeremonySweep, testing::Range(0, kShares));

}  // namespace
}  // namespace tests
