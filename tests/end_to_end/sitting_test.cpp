// The five minutes of a sitting, on a provisioned appliance with a clock that the test moves.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "appliance/workflow.hpp"
#include "tests/support/appliance_rig.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

class MovableClock final : public appliance::Clock {
 public:
  base::Time now() const override { return appliance::SystemClock().now(); }
  std::chrono::steady_clock::time_point steady() const override { return started_ + moved; }
  std::chrono::seconds moved{0};

 private:
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

TEST(Sitting, ThatRunsOutOfTimeReturnsItsRequestToWaitingAndNothingIsSigned) {
  const TempDir folder;
  ApplianceRig rig(folder / "rig");
  rig.provision();
  const ForgedRequest request(rig, COLDSEAL_SAMPLE_DIR, folder / "host");
  request.into_inbox();
  const appliance::Layout layout(rig.root());
  MovableClock clock;
  auto configuration = appliance::Configuration::load(layout);
  ASSERT_TRUE(configuration) << configuration.error().text();
  auto started = appliance::Workflow::start({.layout = layout,
                                             .configuration = std::move(*configuration),
                                             .inspector = program("coldseal-inspector"),
                                             .clock = &clock,
                                             .journal = [](const std::string&) {}});
  ASSERT_TRUE(started) << started.error().text();
  appliance::Workflow& workflow = **started;
  workflow.take_in();
  workflow.inspect_received();
  const auto enter = [&](const TestOfficer& officer) {
    return workflow.enter_pin(officer.name, base::SecretBytes::copy_of(base::as_bytes(officer.pin)), [](std::size_t, std::size_t) {});
  };
  const auto begun = workflow.begin_approval(request.id());
  ASSERT_TRUE(begun) << begun.error().text();
  EXPECT_EQ(begun->seconds_left, 300U);
  ASSERT_TRUE(enter(ApplianceRig::officers()[0]));
  clock.moved = std::chrono::seconds(299);
  workflow.expire_sitting();
  EXPECT_NE(workflow.sitting_number(), 0U);
  clock.moved = std::chrono::seconds(301);
  workflow.expire_sitting();
  EXPECT_EQ(workflow.sitting_number(), 0U);
  const auto late = enter(ApplianceRig::officers()[1]);
  ASSERT_FALSE(late);
  EXPECT_NE(late.error().text().find("begin again"), std::string::npos) << late.error().text();
  EXPECT_EQ(rig.audit_events(request.id()).back(), "expired");
  EXPECT_FALSE(std::filesystem::exists(rig.outbox(request.id())));
  ASSERT_EQ(workflow.waiting().requests.size(), 1U);
  // The approval from before counts for nothing: two others are needed, or the same ones anew.
  ASSERT_TRUE(workflow.begin_approval(request.id()));
  ASSERT_TRUE(enter(ApplianceRig::officers()[1]));
  EXPECT_FALSE(std::filesystem::exists(rig.outbox(request.id())));
  ASSERT_TRUE(enter(ApplianceRig::officers()[0]));
  EXPECT_TRUE(std::filesystem::exists(rig.outbox(request.id())));
}

}  // namespace
}  // namespace tests
