// A few of the points of tests/sweep/crashes_test.cpp, others every day.
#include "tests/support/crashes.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <iostream>

#include "tests/support/serial_crashes.hpp"
#include "tests/support/tpm_kills.hpp"

namespace tests {
namespace {

TEST(Crashes, OfColdsealdAtAFewPointsLoseNothingAndShowNothingHalfMade) {
  DaemonCrashes crashes;
  std::cout << crashes.points() << " points: " << crashes.counted() << std::endl;
  ASSERT_GT(crashes.points(), 200);
  int half = 0;
  for (const int at : todays_points(crashes.points(), 8))
    EXPECT_EQ(crashes.strike(at, ++half % 2 == 0 ? FaultDeed::kill_half : FaultDeed::kill), "");
  EXPECT_EQ(crashes.examine_log(), "");
}

TEST(Crashes, OfColdsealdWhileItAnswersWithoutSigningLoseNothingEither) {
  for (const RequestCourse course : {RequestCourse::rejected, RequestCourse::refused, RequestCourse::refused_at_the_door}) {
    DaemonCrashes crashes(course);
    std::cout << crashes.points() << " points: " << crashes.counted() << std::endl;
    ASSERT_GT(crashes.points(), 20);
    for (const int at : todays_points(crashes.points(), 2)) EXPECT_EQ(crashes.strike(at, FaultDeed::kill), "");
    EXPECT_EQ(crashes.examine_log(), "");
  }
}

TEST(Crashes, OfTheCourierAtAFewPointsLeaveNothingHalfMadeAndTheNextRoundFinishes) {
  CourierCrashes crashes;
  std::cout << crashes.points() << " points: " << crashes.counted() << std::endl;
  ASSERT_GT(crashes.points(), 50);
  for (const int at : todays_points(crashes.points(), 10)) {
    EXPECT_EQ(crashes.strike(at, FaultDeed::kill), "");
    EXPECT_EQ(crashes.strike(at, FaultDeed::kill_half), "");
  }
}

TEST(Crashes, OfTheCourierAtASerialCableLetBothWaysArriveWhole) {
  SerialCourierCrashes crashes;
  std::cout << crashes.points() << " points: " << crashes.counted() << std::endl;
  ASSERT_GT(crashes.points(), 60);
  for (const int at : todays_points(crashes.points(), 4)) EXPECT_EQ(crashes.strike(at, at % 2 == 0 ? FaultDeed::kill_half : FaultDeed::kill), "");
}

TEST(Crashes, OfTheCeremonyAgainAndAgainLetItComeToItsEnd) {
  int deaths = 0;
  // The first run dies while the TPM is looked at; every next one goes on from there, and a little further.
  EXPECT_EQ(CeremonyKills::strike_program_again_and_again(10 + todays_points(20, 1).front(), deaths), "");
  std::cout << deaths << " runs were killed" << std::endl;
  EXPECT_GT(deaths, 3);
}

TEST(Crashes, OfAnActOfAdministratorsAtAFewPointsLeaveTheLogWholeAndTheActPossible) {
  AdministrationKills kills;
  std::cout << kills.file_calls() << " file calls" << std::endl;
  ASSERT_GT(kills.file_calls(), 8);
  int half = 0;
  for (const int at : todays_points(kills.file_calls(), 2))
    EXPECT_EQ(kills.strike_program(at, ++half % 2 == 0 ? FaultDeed::kill_half : FaultDeed::kill), "");
  EXPECT_EQ(kills.examine_log(), "");
}

TEST(FailingDisk, UnderColdsealdIsSaidAndTheRequestGoesOnWhenItIsWell) {
  DaemonCrashes crashes;
  const int points = crashes.points_of(kDiskKinds);
  for (const int at : todays_points(points, 3)) EXPECT_EQ(crashes.fail(at, false, kDiskKinds, EIO), "");
  for (const int at : todays_points(points, 3)) EXPECT_EQ(crashes.fail(at, true, kDiskKinds, EROFS), "");
  for (const int at : todays_points(crashes.points_of(kRoomKinds), 3)) EXPECT_EQ(crashes.fail(at, true, kRoomKinds, ENOSPC), "");
  EXPECT_EQ(crashes.examine_log(), "");
}

TEST(FailingDisk, UnderTheCourierIsSaidAndTheNextRoundFinishes) {
  CourierCrashes crashes;
  const int points = crashes.points_of(kDiskKinds);
  for (const int at : todays_points(points, 6)) EXPECT_EQ(crashes.fail(at, false, kDiskKinds, EIO), "");
  for (const int at : todays_points(points, 6)) EXPECT_EQ(crashes.fail(at, true, kDiskKinds, EROFS), "");
  for (const int at : todays_points(crashes.points_of(kRoomKinds), 6)) EXPECT_EQ(crashes.fail(at, true, kRoomKinds, ENOSPC), "");
}

}  // namespace
}  // namespace tests
