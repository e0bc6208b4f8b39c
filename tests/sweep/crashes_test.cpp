// coldseald and the courier are killed at every call of a whole request that changes something outside them, and every such call
// on the disk fails: with EIO once, with EROFS or ENOSPC from there on. coldseal-admin is killed at every file call of the ceremony
// and of an act of administrators. In shares; each says how many points it tried.
#include "tests/support/crashes.hpp"
#include "tests/support/serial_crashes.hpp"
#include "tests/support/tpm_kills.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <iostream>

namespace tests {
namespace {

constexpr int kCrashShares = 8;

int each_of_share(int points, int share, const std::function<std::string(int)>& strike) {
  int tried = 0;
  for (int at = 1 + share; at <= points; at += kCrashShares, ++tried) EXPECT_EQ(strike(at), "");
  EXPECT_GT(tried, 0);
  return tried;
}

// What was tried and hit nothing is not counted; of many points the last few may be such.
void tell(int struck, int tried) {
  std::cout << struck << " of " << tried << " points were struck" << std::endl;
  EXPECT_GE(struck, tried * 95 / 100);
}

class DaemonCrashSweep : public testing::TestWithParam<int> {};

TEST_P(DaemonCrashSweep, NothingIsLostOrHalfMadeAtAnyPoint) {
  DaemonCrashes crashes;
  std::cout << crashes.counted() << std::endl;
  const int tried = each_of_share(crashes.points(), GetParam(), [&](int at) { return crashes.strike(at, FaultDeed::kill); });
  tell(crashes.struck(), tried);
  EXPECT_EQ(crashes.examine_log(), "");
}

TEST_P(DaemonCrashSweep, NorWhenOnlyHalfOfItWasWritten) {
  DaemonCrashes crashes;
  const int tried = each_of_share(crashes.points(), GetParam(), [&](int at) { return crashes.strike(at, FaultDeed::kill_half); });
  tell(crashes.struck(), tried);
  EXPECT_EQ(crashes.examine_log(), "");
}

TEST_P(DaemonCrashSweep, NorWhenItDiesAgainAtEveryPointOfTheRestart) {
  DaemonCrashes crashes;
  // Every so many points: what a start has to put right depends on where it stopped, not on every call before.
  int restarts = 0;
  for (int at = 1 + GetParam() * 3; at <= crashes.points(); at += kCrashShares * 3) EXPECT_EQ(crashes.strike_and_strike_restarts(at, restarts), "");
  std::cout << restarts << " restarts were killed" << std::endl;
  EXPECT_GT(restarts, 0);
  EXPECT_EQ(crashes.examine_log(), "");
}

TEST_P(DaemonCrashSweep, AnyCallThatFailsIsSaidAndTheRequestGoesOn) {
  DaemonCrashes crashes;
  const int tried = each_of_share(crashes.points_of(kDiskKinds), GetParam(), [&](int at) { return crashes.fail(at, false, kDiskKinds, EIO); });
  tell(crashes.struck(), tried);
  EXPECT_EQ(crashes.examine_log(), "");
}

TEST_P(DaemonCrashSweep, ADiskThatCanOnlyBeReadFromAnyPointOnIsSaidAndTheRequestGoesOn) {
  DaemonCrashes crashes;
  const int tried = each_of_share(crashes.points_of(kDiskKinds), GetParam(), [&](int at) { return crashes.fail(at, true, kDiskKinds, EROFS); });
  tell(crashes.struck(), tried);
  EXPECT_EQ(crashes.examine_log(), "");
}

TEST_P(DaemonCrashSweep, ADiskThatIsFullFromAnyPointOnIsSaidAndTheRequestGoesOn) {
  DaemonCrashes crashes;
  const int tried = each_of_share(crashes.points_of(kRoomKinds), GetParam(), [&](int at) { return crashes.fail(at, true, kRoomKinds, ENOSPC); });
  tell(crashes.struck(), tried);
  EXPECT_EQ(crashes.examine_log(), "");
}
INSTANTIATE_TEST_SUITE_P(Shares, DaemonCrashSweep, testing::Range(0, kCrashShares));

class UnsignedCrashSweep : public testing::TestWithParam<RequestCourse> {};

TEST_P(UnsignedCrashSweep, ARequestThatIsNotSignedIsNotLostEither) {
  DaemonCrashes crashes(GetParam());
  std::cout << crashes.counted() << std::endl;
  int tried = 0;
  for (int at = 1; at <= crashes.points(); ++at, ++tried) EXPECT_EQ(crashes.strike(at, at % 2 == 0 ? FaultDeed::kill_half : FaultDeed::kill), "");
  tell(crashes.struck(), tried);
  EXPECT_EQ(crashes.examine_log(), "");
}
INSTANTIATE_TEST_SUITE_P(Courses, UnsignedCrashSweep,
                         testing::Values(RequestCourse::rejected, RequestCourse::refused, RequestCourse::refused_at_the_door));

TEST(CourierCrashSweep, NothingHalfMadeIsSeenAtAnyPointAndTheNextRoundFinishes) {
  CourierCrashes crashes;
  std::cout << crashes.points() << " points: " << crashes.counted() << std::endl;
  for (int at = 1; at <= crashes.points(); ++at) {
    EXPECT_EQ(crashes.strike(at, FaultDeed::kill), "");
    EXPECT_EQ(crashes.strike(at, FaultDeed::kill_half), "");
  }
}

TEST(CourierCrashSweep, AnyCallThatFailsIsSaidAndTheNextRoundFinishes) {
  CourierCrashes crashes;
  const int points = crashes.points_of(kDiskKinds);
  for (int at = 1; at <= points; ++at) {
    EXPECT_EQ(crashes.fail(at, false, kDiskKinds, EIO), "");
    EXPECT_EQ(crashes.fail(at, true, kDiskKinds, EROFS), "");
  }
  const int room = crashes.points_of(kRoomKinds);
  for (int at = 1; at <= room; ++at) EXPECT_EQ(crashes.fail(at, true, kRoomKinds, ENOSPC), "");
}

class CeremonyCrashSweep : public testing::TestWithParam<int> {};

TEST_P(CeremonyCrashSweep, ItGoesOnToItsEndWhereverTheProgramDies) {
  const CeremonyKills kills;
  each_of_share(kills.file_calls(), GetParam(), [&](int at) { return kills.strike_program(at, at % 2 == 0 ? FaultDeed::kill_half : FaultDeed::kill); });
}
INSTANTIATE_TEST_SUITE_P(Shares, CeremonyCrashSweep, testing::Range(0, kCrashShares));

TEST(CeremonyCrashesInARow, LetItComeToItsEnd) {
  int deaths = 0;
  for (int first = 11; first <= 30; ++first) EXPECT_EQ(CeremonyKills::strike_program_again_and_again(first, deaths), "");
  std::cout << deaths << " runs were killed" << std::endl;
  EXPECT_GT(deaths, 20 * 3);
}

TEST(AdministrationCrashSweep, TheLogStaysWholeAndTheActPossibleWhereverTheProgramDies) {
  AdministrationKills kills;
  for (int at = 1; at <= kills.file_calls(); ++at) {
    EXPECT_EQ(kills.strike_program(at, FaultDeed::kill), "");
    EXPECT_EQ(kills.strike_program(at, FaultDeed::kill_half), "");
  }
  EXPECT_EQ(kills.examine_log(), "");
}

class SerialCourierCrashSweep : public testing::TestWithParam<int> {};

TEST_P(SerialCourierCrashSweep, BothWaysArriveWholeWhereverTheCourierDies) {
  SerialCourierCrashes crashes;
  std::cout << crashes.counted() << std::endl;
  (void)each_of_share(crashes.points(), GetParam(), [&](int at) { return crashes.strike(at, at % 2 == 0 ? FaultDeed::kill_half : FaultDeed::kill); });
}
INSTANTIATE_TEST_SUITE_P(Shares, SerialCourierCrashSweep, testing::Range(0, kCrashShares));

}  // namespace
}  // namespace tests
