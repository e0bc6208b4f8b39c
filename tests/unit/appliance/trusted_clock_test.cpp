#include "appliance/trusted_clock.hpp"

#include "appliance/audit_log.hpp"

#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Errc;
using std::chrono::hours;

TEST(TrustedClock, ANewApplianceBelievesItsMachine) {
  StillClock machine;
  const TrustedClock clock(machine, 1);
  EXPECT_EQ(clock.now(), machine.time);
  EXPECT_TRUE(clock.expect_sane());
}

TEST(TrustedClock, IsNeverBeforeWhatIsKnown) {
  StillClock machine;
  TrustedClock clock(machine, 1);
  clock.know(machine.time + hours(5));
  EXPECT_EQ(clock.now(), machine.time + hours(5));
  expect_error(clock.expect_sane(), Errc::unavailable, "clock.behind");
  machine.time += hours(6);
  EXPECT_EQ(clock.now(), machine.time);
  EXPECT_TRUE(clock.expect_sane());
  machine.time -= std::chrono::minutes(90);   // half an hour back behind what is known is no news
  EXPECT_TRUE(clock.expect_sane());
}

TEST(TrustedClock, AStepOfOverADayIsNotFollowedAndGoesIntoNoLine) {
  StillClock machine;
  TrustedClock clock(machine, 1);
  const base::Time known = machine.time;
  clock.know(known);
  machine.time += hours(24 * 3650);
  EXPECT_EQ(clock.now(), known);
  expect_error(clock.expect_sane(), Errc::unavailable, "clock.ahead");
  machine.steady_time += hours(2);   // time goes on meanwhile
  EXPECT_EQ(clock.now(), known + hours(2));
  machine.time = known + hours(25);   // put right
  EXPECT_EQ(clock.now(), known + hours(25));
  EXPECT_TRUE(clock.expect_sane());
}

TEST(TrustedClock, AMachineThatIsOnForWeeksMakesNoStep) {
  StillClock machine;
  TrustedClock clock(machine, 1);
  clock.know(machine.time);
  machine.time += hours(24 * 30);
  machine.steady_time += hours(24 * 30);
  EXPECT_TRUE(clock.expect_sane());
  EXPECT_EQ(clock.now(), machine.time);
}

TEST(TrustedClock, WhatTheTpmSaysLaterCounts) {
  StillClock machine;
  TrustedClock clock(machine, 1);
  clock.know(machine.time - hours(72));
  expect_error(clock.expect_sane(), Errc::unavailable, "clock.ahead");
  clock.know(machine.time - hours(1));   // the TPM had power while the machine was off
  EXPECT_TRUE(clock.expect_sane());
  clock.know(machine.time - hours(100));   // earlier: nothing new
  EXPECT_TRUE(clock.expect_sane());
}

TEST(LastTimeIn, IsThatOfTheLastWholeLine) {
  const tests::TempDir folder;
  const std::filesystem::path file = folder / "audit.jsonl";
  EXPECT_FALSE(must(last_time_in(file)));
  StillClock machine;
  {
    AuditLog::Opened opened = must(AuditLog::open(file, machine));
    for (int i = 0; i < 3; ++i) {
      machine.time += hours(1);
      must(opened.log.append(transparency::AuditEvent::started, "", {{"padding", std::string(60000, 'x')}}));
    }
  }
  EXPECT_EQ(must(last_time_in(file)), machine.time);
  tests::write_text(file, tests::read_text(file) + R"({"at":"2099-)");   // torn
  EXPECT_EQ(must(last_time_in(file)), machine.time);
  tests::write_text(file, "no log\n");
  EXPECT_FALSE(must(last_time_in(file)));
}

}  // namespace
}  // namespace appliance
