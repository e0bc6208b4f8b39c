// The check-up as coldseal-admin gets and shows it, and what can be looked at without a TPM.
#include "appliance/checkup.hpp"

#include <nlohmann/json.hpp>

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
  void look(const LogFacts* log) {
    const Configuration present = configuration();
    checkup = Checkup{"test", {}};
    look_at_appliance(checkup, {&layout, &present, nullptr, log, &clock});
  }
  Checkup checkup;
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

}  // namespace
}  // namespace appliance
