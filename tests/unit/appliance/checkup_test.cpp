// The check-up as coldseal-admin gets and shows it, and what can be looked at without a TPM.
#include "appliance/checkup.hpp"

#include <sys/mount.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "appliance/key_store.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

TEST(Checkup, ArrivesAsItWasSent) {
  Checkup sent{"coldseald", {}};
  sent.add("tpm", ItemState::well, "an \"IFX\" \x1b[2J");
  sent.add("space", ItemState::attention, "3 MiB free", "a larger disk");
  sent.add("mode", ItemState::note, "development");
  const Checkup got = must(Checkup::from_json(sent.to_json()));
  EXPECT_EQ(got.by, "coldseald");
  ASSERT_EQ(got.items.size(), 3U);
  EXPECT_EQ(got.items[1].todo, "a larger disk");
  EXPECT_EQ(got.items[1].state, ItemState::attention);
  EXPECT_EQ(got.items[2].state, ItemState::note);
  EXPECT_EQ(got.need_attention(), 1U);
  EXPECT_EQ(nlohmann::json::parse(sent.to_json())["needs-attention"], 1);
  for (const std::string& line : got.lines()) EXPECT_EQ(line.find('\x1b'), std::string::npos) << line;
}

TEST(Checkup, ThatIsNoneIsRefused) {
  for (const char* const wrong : {"", "{}", "[]", "{\"by\":1,\"items\":[]}", R"({"by":"x","items":{}})", R"({"by":"x","items":[1]})",
                                  R"({"by":"x","items":[{"name":"a","state":"well","found":"b"}]})", "{\"by\":\"x\",\"items\":["})
    EXPECT_FALSE(Checkup::from_json(wrong).has_value()) << wrong;
}

class CheckupWithoutTpm : public SmallAppliance {
 protected:
  const CheckupItem* item(const std::string& name) const {
    for (const CheckupItem& each : checkup.items)
      if (each.name == name) return &each;
    return nullptr;
  }
  void look(const LogFacts* log, const TrustedClock* trusted = nullptr) {
    Configuration present = configuration();
    for (Submitter& each : present.submitters) each.expires = submitters_end;
    checkup = Checkup{"test", {}};
    look_at_appliance(checkup, {.layout = &layout, .configuration = &present, .log = log, .clock = &clock, .trusted_clock = trusted});
    for (const CheckupItem& each : checkup.items)
      EXPECT_TRUE(each.state != ItemState::attention || !each.todo.empty()) << each.name << ": " << each.found;   // or nobody knows what to do
  }
  void expect_item(const std::string& name, ItemState state, const std::string& words) const {
    ASSERT_NE(item(name), nullptr) << name;
    EXPECT_EQ(item(name)->state, state) << item(name)->found;
    EXPECT_NE(item(name)->found.find(words), std::string::npos) << item(name)->found;
  }
  Checkup checkup;
  std::optional<base::Time> submitters_end;
};

TEST_F(CheckupWithoutTpm, AClockBeforeTheLogsLastLineNeedsSomebody) {
  LogFacts log{clock.time + std::chrono::hours(3), 7, {}};
  look(&log);
  ASSERT_NE(item("clock"), nullptr);
  EXPECT_EQ(item("clock")->state, ItemState::attention);
  EXPECT_NE(item("clock")->found.find("3 h before the audit log's last line"), std::string::npos) << item("clock")->found;
  log.last = clock.time - std::chrono::hours(3);
  look(&log);
  EXPECT_EQ(item("clock")->state, ItemState::well);
}

TEST_F(CheckupWithoutTpm, WhileOfficersApproveTheTpmIsLeftAlone) {
  const LogFacts log{clock.time, 7, [] { return base::Result<void>(base::fail(base::Errc::tpm, "asked")); }};
  look(&log);
  ASSERT_NE(item("tpm"), nullptr);
  EXPECT_EQ(item("tpm")->state, ItemState::note);
  EXPECT_NE(item("tpm")->found.find("while officers approve"), std::string::npos);
  EXPECT_EQ(item("audit log")->state, ItemState::note);   // its check was not called
}

TEST_F(CheckupWithoutTpm, ALogThatCannotBeReadAndSubmittersThatAreMissingNeedSomebody) {
  std::filesystem::remove_all(layout.submitters());
  look(nullptr);
  EXPECT_EQ(item("audit log")->state, ItemState::attention);
  EXPECT_EQ(item("submitters")->state, ItemState::attention);
  EXPECT_FALSE(item("submitters")->todo.empty());
}

TEST_F(CheckupWithoutTpm, ACertificateNeedsSomebodyAMonthBeforeItsEndOrAsEarlyAsAProfileWants) {
  const tests::Vendor vendor;   // from 2025 until 2035
  const KeyClass key_class{"release", 0, {base::Bytes{1}, base::Bytes{2}}, {2, {{"ada", 0x01800001}, {"ben", 0x01800002}}}, base::Bytes(34, 0x0B), must(vendor.leaf().public_key()), {}};
  must(key_class.save(layout));
  const std::string name = "certificate release";
  look(nullptr);
  expect_item(name, ItemState::attention, "has no certificate yet");
  const auto pem = [](const crypto::Certificate& each) { return "-----BEGIN CERTIFICATE-----\n" + base::base64(each.der()) + "\n-----END CERTIFICATE-----\n"; };
  must(install_chain(layout, "release", pem(vendor.leaf()) + pem(vendor.root())));
  look(nullptr);
  expect_item(name, ItemState::well, "days left, until 2035-01-01T00:00:00Z");
  clock.time = tests::at("2034-12-01T23:00:00Z");
  look(nullptr);
  expect_item(name, ItemState::well, "30 days left");
  clock.time = tests::at("2034-12-02T01:00:00Z");
  look(nullptr);
  expect_item(name, ItemState::attention, "29 days left");
  clock.time = tests::at("2034-11-01T00:00:00Z");
  look(nullptr);
  expect_item(name, ItemState::well, "61 days left");
  tests::write_text(layout.configuration(), std::string(kConfigurationText) + "certificate_days = 90\n");
  look(nullptr);
  expect_item(name, ItemState::attention, "61 days left");
  clock.time = tests::at("2035-01-01T00:00:01Z");
  look(nullptr);
  expect_item(name, ItemState::attention, "has ended");
  clock.time = tests::at("2024-12-31T00:00:00Z");
  look(nullptr);
  expect_item(name, ItemState::attention, "not valid before 2025-01-01");
}

TEST_F(CheckupWithoutTpm, SubmittersKeysNeedSomebodyAMonthBeforeTheirEnd) {
  submitters_end = clock.time + std::chrono::hours(24 * 31);
  look(nullptr);
  expect_item("submitters", ItemState::well, "1 enrolled, 1 may send requests");
  submitters_end = clock.time + std::chrono::hours(24 * 29);
  look(nullptr);
  expect_item("submitters", ItemState::attention, "1 may send requests; keys that end within 30 days or have: build-1");
  submitters_end = clock.time - std::chrono::hours(1);
  look(nullptr);
  expect_item("submitters", ItemState::attention, "1 enrolled, 0 may send requests");
}

TEST_F(CheckupWithoutTpm, ADiskThatIsNearlyFullOrNotThereNeedsSomebody) {
  std::filesystem::remove_all(layout.state());
  look(nullptr);
  expect_item("space", ItemState::attention, "cannot be looked at");
  std::filesystem::create_directories(layout.state());
  if (::mount("tmpfs", layout.state().c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=1m") != 0) GTEST_SKIP() << "a mount needs root";
  look(nullptr);
  (void)::umount2(layout.state().c_str(), MNT_DETACH);
  expect_item("space", ItemState::attention, "1 MiB free");
  expect_item("space", ItemState::attention, "a large request may not fit");
}

TEST_F(CheckupWithoutTpm, AClockThatJumpedNeedsSomebodyAndOneThatDidNotIsNotMentioned) {
  TrustedClock trusted(clock, 2);
  trusted.know(clock.time);
  look(nullptr, &trusted);
  EXPECT_EQ(item("time"), nullptr);
  clock.time += std::chrono::hours(49);
  look(nullptr, &trusted);
  expect_item("time", ItemState::attention, "clock.ahead");
  clock.time -= std::chrono::hours(49 + 2);
  look(nullptr, &trusted);
  expect_item("time", ItemState::attention, "clock.behind");
}

}  // namespace
}  // namespace appliance
