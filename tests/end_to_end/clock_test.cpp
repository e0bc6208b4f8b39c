// What the appliance believes of its clock, with a TPM and the administrators.
#include "appliance/trusted_clock.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "tests/support/rules_fixture.hpp"

namespace tests {
namespace {

class ApplianceClock : public RulesFixture {};

TEST_F(ApplianceClock, AClockThatJumpedOverADayAsksForAdministratorsAndLeavesNoLineOfThatTime) {
  start();
  const std::string id = send();
  look_around();
  ASSERT_TRUE(waits(id)) << journal_;
  const base::Time right = clock_.now();
  clock_.jumped = true;
  clock_.ahead += hours(24 * 900);
  expect_says(refusal_of_approval(id), "clock.ahead");
  const auto document = workflow_->review(id);
  ASSERT_TRUE(document) << document.error().text();
  std::string shown;
  for (const std::string& each : document->sections.front().lines) shown += each + "\n";
  expect_says(shown, "it is " + base::rfc3339(clock_.now()).substr(0, 4));
  expect_says(shown, "clock.ahead");
  clock_.ahead -= hours(24 * 900);
  clock_.jumped = false;
  stop();
  std::ifstream log(rig_.state() / "log/audit.jsonl");
  for (std::string line; std::getline(log, line);) {
    const std::size_t at = line.find(R"("at":")") + 6;
    EXPECT_LE(*base::time_from_rfc3339(line.substr(at, 20)), right + hours(2)) << line;
  }
}

TEST_F(ApplianceClock, DoctorSaysOfTheTimeWithoutColdsealdWhatColdsealdWouldSay) {
  const Finished before = admin({"doctor"});
  EXPECT_EQ(before.output.find("! time "), std::string::npos) << before.output;
  start();
  send();
  look_around();
  look_around();
  const std::string id = send();
  look_around();
  ASSERT_TRUE(waits(id)) << journal_;
  stop();   // the log's last line is hours after what the programs' clock says
  const Finished after = admin({"doctor"});
  EXPECT_EQ(after.status, 1);
  expect_says(after.output, "! time ");
  expect_says(after.output, "clock.behind");
}

TEST_F(ApplianceClock, AMistakenFutureTimeIsSetBackByAdministratorsVisiblyForEver) {
  clock_.ahead = hours(24 * 90);   // nobody noticed: the first line of the log is of the ceremony, and coldseald believed what went by
  const std::string toml = configuration_;
  approve_rules("clock_days = 3650\n", "");
  start();
  const std::string id = send();
  workflow_->take_in();
  stop();
  clock_.ahead = hours(0);
  start();
  workflow_->inspect_received();
  ASSERT_TRUE(waits(id)) << journal_;
  expect_says(refusal_of_approval(id), "clock.behind");
  stop();
  rig_.administer({"clock", "--set-back"}, {ApplianceRig::administrators()[0], ApplianceRig::administrators()[1]});
  start();
  EXPECT_EQ(refusal_of_approval(id), "");
  EXPECT_EQ(refusal_of_pins(), "");
  EXPECT_EQ(answer(id), "signed");
  stop();
  const Finished again = admin({"clock", "--set-back"});
  EXPECT_EQ(again.status, 1);
  expect_says(again.output, "there is nothing to set back");
  // An auditor's chain goes on over that line, and shows it.
  const Finished shown = run({program("coldseal"), "audit", "show", rig_.state() / "log/audit.jsonl"});
  EXPECT_EQ(shown.status, 0) << shown.output;
  expect_says(shown.output, "the time goes back from");
}

TEST_F(ApplianceClock, IsNeverBelievedBeforeTheTpmsClock) {
  start();
  const std::string id = send();
  look_around();
  ASSERT_TRUE(waits(id)) << journal_;
  stop();
  // The TPM was told ten days more; the log knows nothing of it.
  const auto ahead = clock_.now() + hours(240);
  run_well({"env", "TPM2TOOLS_TCTI=" + rig_.tpm().tcti(), "tpm2_setclock", "-c", "p",
            std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(ahead.time_since_epoch()).count())});
  start();
  expect_says(refusal_of_approval(id), "clock.behind");
  stop();
  clock_.ahead += hours(241);
  start();
  EXPECT_EQ(refusal_of_approval(id), "");
  EXPECT_EQ(refusal_of_pins(), "");
  EXPECT_EQ(answer(id), "signed");
}

TEST_F(ApplianceClock, AStepThatAdministratorsSayIsRightIsBelievedFromThenOn) {
  start();
  const std::string id = send();
  look_around();
  ASSERT_TRUE(waits(id)) << journal_;
  stop();
  // The box lay switched off for 90 days.
  clock_.ahead += hours(24 * 90);
  start();
  expect_says(refusal_of_approval(id), "clock.ahead");
  stop();
  Faults layer;
  layer.let_the_machines_clock_be_ahead(hours(24 * 90));
  rig_.run_admin_under(&layer);
  rig_.administer({"clock"}, {ApplianceRig::administrators()[0], ApplianceRig::administrators()[1]});
  rig_.run_admin_under(nullptr);
  start();
  EXPECT_EQ(refusal_of_approval(id), "");
  EXPECT_EQ(refusal_of_pins(), "");
  EXPECT_EQ(answer(id), "signed");
  stop();
  clock_.ahead -= hours(24 * 90);   // and it cannot be undone in silence
  start();
  const std::string later = send();
  look_around();
  expect_says(refusal_of_approval(later), "clock.behind");
}

}  // namespace
}  // namespace tests
