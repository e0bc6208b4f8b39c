// An appliance that was provisioned by its own programs, with the workflow running in the test's process, so that the test decides
// what time it is. For the rules of the workflow.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "appliance/workflow.hpp"
#include "crypto/transparency/dsse.hpp"
#include "tests/support/appliance_rig.hpp"
#include "tests/support/forged_request.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {

using std::chrono::hours;

class RulesFixture : public testing::Test {
 protected:
  class MovableClock final : public appliance::Clock {
   public:
    base::Time now() const override { return appliance::SystemClock().now() + ahead; }
    // A clock that is moved here stands for time that went by.
    std::chrono::steady_clock::time_point steady() const override { return std::chrono::steady_clock::now() + (jumped ? hours(0) : ahead); }
    hours ahead{0};
    bool jumped = false;
  };

  RulesFixture() {
    rig_.provision();
    configuration_ = read_text(configuration_file());
  }
  std::filesystem::path configuration_file() const { return rig_.root() / "etc/coldseal/coldseal.toml"; }
  // With those lines in [appliance] and in the profile, approved by the administrators. Nothing must run.
  void approve_rules(const std::string& of_box, const std::string& of_profile) {
    std::string text = configuration_;
    text.insert(text.find("mode ="), of_box);
    write_text(configuration_file(), text + of_profile);
    rig_.administer({"configuration", "approve"}, {ApplianceRig::administrators()[0], ApplianceRig::administrators()[1]});
  }
  Finished admin(const Command& more) const {
    Command command{program("coldseal-admin"), "--root", rig_.root()};
    command.insert(command.end(), more.begin(), more.end());
    return run(command);
  }

  void start() {
    const appliance::Layout layout(rig_.root());
    auto configuration = appliance::Configuration::load(layout);
    ASSERT_TRUE(configuration) << configuration.error().text();
    lock_.emplace(*appliance::TpmLock::take(layout));
    auto started = appliance::Workflow::start({.layout = layout,
                                               .configuration = std::move(*configuration),
                                               .inspector = program("coldseal-inspector"),
                                               .clock = &clock_,
                                               .journal = [this](const std::string& line) { journal_ += line + "\n"; }});
    ASSERT_TRUE(started) << started.error().text();
    workflow_ = std::move(*started);
  }
  void stop() {
    workflow_.reset();
    lock_.reset();
  }
  // As coldseald does, with what is put off done at once.
  void look_around() {
    for (int round = 0; round < 2; ++round) {
      clock_.ahead += hours(1);
      workflow_->expire_sitting();
      workflow_->keep_house();
      workflow_->catch_up();
      workflow_->take_in();
      workflow_->inspect_received();
    }
  }
  std::string send(const std::filesystem::path& package = COLDSEAL_SAMPLE_DIR) {
    const ForgedRequest request(rig_, package, folder_ / ("host-" + std::to_string(++count_)));
    request.into_inbox();
    return request.id();
  }
  bool waits(const std::string& id) const {
    const auto list = workflow_->waiting().requests;
    return std::any_of(list.begin(), list.end(), [&](const auto& each) { return each.id == id; });
  }
  // "" when the approval begins.
  std::string refusal_of_approval(const std::string& id) {
    const auto begun = workflow_->begin_approval(id);
    return begun ? "" : begun.error().text();
  }
  // "" when it was signed.
  std::string refusal_of_pins() {
    for (const TestOfficer& officer : {ApplianceRig::officers()[0], ApplianceRig::officers()[1]}) {
      const auto entered = workflow_->enter_pin(officer.name, base::SecretBytes::copy_of(base::as_bytes(officer.pin)), [](std::size_t, std::size_t) {});
      if (!entered) return entered.error().text();
    }
    return "";
  }
  base::Result<transparency::Receipt> receipt(const std::string& id) const {
    const std::string file = rig_.outbox(id) / "receipt.dsse.json";
    if (!std::filesystem::exists(file)) return base::fail(base::Errc::not_found, "no answer");
    const auto key = crypto::PublicKey::parse_pem(read_text(rig_.trust() / "receipt-key.pem"));
    const auto envelope = transparency::Envelope::parse(read_text(file), 1U << 24);
    return transparency::Receipt::from_json(TRY(envelope->verify(*key, transparency::kStatementPayloadType)));
  }
  // Of the response: "signed", or the reason of a refusal.
  std::string answer(const std::string& id) const {
    const auto read = receipt(id);
    if (!read) return read.error().text();
    return read->outcome == transparency::Outcome::done ? "signed" : read->reason;
  }
  static void expect_says(const std::string& text, const std::string& words) { EXPECT_NE(text.find(words), std::string::npos) << text; }

  TempDir folder_;
  ApplianceRig rig_{folder_ / "rig"};
  std::string configuration_;
  MovableClock clock_;
  std::string journal_;
  std::optional<appliance::TpmLock> lock_;
  std::unique_ptr<appliance::Workflow> workflow_;
  int count_ = 0;
};

}  // namespace tests
