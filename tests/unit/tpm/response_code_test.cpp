#include "tpm/response_code.hpp"

#include <gtest/gtest.h>

namespace tpm {
namespace {

using base::Errc;

void expect_explained(std::uint32_t code, Step step, Errc errc, const char* words) {
  const base::Error error = explain(code, step);
  EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(errc)) << std::hex << code << ' ' << error.text();
  EXPECT_NE(error.text().find(words), std::string::npos) << std::hex << code << ' ' << error.text();
}

TEST(ResponseCode, LosesItsParameterHandleAndSessionNumbers) {
  EXPECT_EQ(tpm_error(0), 0U);
  EXPECT_EQ(tpm_error(0x9a2), 0x0a2U);       // session 1
  EXPECT_EQ(tpm_error(0xaa2), 0x0a2U);       // session 2
  EXPECT_EQ(tpm_error(0x1c4), 0x084U);       // parameter 1
  EXPECT_EQ(tpm_error(0x5e0), 0x0a0U);       // parameter 5
  EXPECT_EQ(tpm_error(0x18b), 0x08bU);       // handle 1
  EXPECT_EQ(tpm_error(0x12f), 0x12fU);       // format zero has no numbers
  EXPECT_EQ(tpm_error(0x921), 0x921U);       // a warning
  EXPECT_EQ(tpm_error(0x000b09a2), 0x0a2U);  // by way of a resource manager
  EXPECT_EQ(tpm_error(0x000a000a), 0U);      // the transport's, not the TPM's
  EXPECT_EQ(tpm_error(0x00070007), 0U);
}

TEST(ResponseCode, MeansWhatTheStepMakesOfIt) {
  expect_explained(0x9a2, Step::officer, Errc::refused, "PIN wrong");
  expect_explained(0x98e, Step::officer, Errc::refused, "PIN wrong");
  expect_explained(0x9a2, Step::sign, Errc::tpm, "did not accept an authorisation");
  expect_explained(0x12f, Step::officer, Errc::refused, "administrators must unlock");
  expect_explained(0x12f, Step::sign, Errc::tpm, "does not allow");
  expect_explained(0x1c4, Step::policy_or, Errc::refused, "not enough, or not these, officers");
  expect_explained(0x2c4, Step::create_key, Errc::tpm, "key type not supported");
  expect_explained(0x1c4, Step::nv, Errc::tpm, "0x084");
  expect_explained(0x1df, Step::load_key, Errc::refused, "belongs to another TPM or is damaged");
  expect_explained(0x14c, Step::nv, Errc::refused, "defined already");
  expect_explained(0x1c4, Step::firmware, Errc::refused, "firmware measurements are not the approved ones");
  expect_explained(0x126, Step::floor, Errc::refused, "firmware is older than the floor");
  expect_explained(0x84, Step::roster, Errc::refused, "roster in the TPM is not the roster on disk");
  EXPECT_EQ(advice(0x12f, Step::officer).recovery, "u in the console's list, or coldseal-admin unlock");
}

// Every code that the design's table of errors names has words of its own: none falls back to the generic text.
TEST(ResponseCode, EveryKnownCodeHasAMeaning) {
  const std::pair<std::uint32_t, Step> known[] = {
      {0x9a2, Step::officer}, {0x12f, Step::officer}, {0x98e, Step::officer}, {0x921, Step::officer},
      {0x1c4, Step::policy_or}, {0x126, Step::other}, {0x128, Step::other}, {0x151, Step::other},
      {0x99d, Step::sign}, {0x9a4, Step::sign}, {0x1cf, Step::other}, {0x5db, Step::other}, {0x2db, Step::other},
      {0x1e3, Step::ticket}, {0x4e3, Step::ticket}, {0x5e0, Step::ticket}, {0x3e0, Step::ticket},
      {0x1df, Step::load_key}, {0x3df, Step::other}, {0x182, Step::other}, {0x149, Step::nv}, {0x14a, Step::nv},
      {0x18b, Step::nv}, {0x2c4, Step::create_key}, {0x902, Step::other}, {0x903, Step::other}, {0x922, Step::other},
      {0x90a, Step::other}, {0x920, Step::other}, {0x923, Step::other}, {0x100, Step::other}, {0x101, Step::other},
      {0x120, Step::other}, {0x14b, Step::nv}, {0x14c, Step::nv}, {0x143, Step::other}, {0x1c4, Step::firmware}, {0x84, Step::roster},
      {0x126, Step::floor}, {0x99d, Step::gate}, {0x9a2, Step::owner}, {0x98e, Step::owner}, {0x2db, Step::vendor},
      {0x9a2, Step::pin_change}, {0x1cf, Step::gate}};
  for (const auto& [code, step] : known) {
    const Advice found = advice(code, step);
    EXPECT_EQ(found.cause.find("answered with"), std::string::npos) << std::hex << code;
    EXPECT_FALSE(found.consequence.empty()) << std::hex << code;
    EXPECT_FALSE(found.next_step.empty()) << std::hex << code;
    EXPECT_FALSE(found.recovery.empty()) << std::hex << code;
  }
}

// Whatever the table says, it says whole: what happened, what follows, what to do, and how the screen that shows it begins that.
TEST(ResponseCode, NoMeaningLacksCauseConsequenceNextStepOrRecovery) {
  std::vector<KnownCode> all = known_codes();
  EXPECT_GT(all.size(), 50U);
  all.push_back({0x000a000a, Step::sign});       // transport
  all.push_back({0x00070007, Step::officer});    // software stack
  all.push_back({0x0bf, Step::other});           // a code without a row
  for (const KnownCode& known : all) {
    const Advice found = advice(known.code, known.step);
    EXPECT_FALSE(found.cause.empty()) << std::hex << known.code;
    EXPECT_FALSE(found.consequence.empty()) << std::hex << known.code;
    EXPECT_FALSE(found.next_step.empty()) << std::hex << known.code;
    const bool starts_here = found.recovery == "enter it again at this prompt" || found.recovery == "open the request again in the console's list" ||
                             found.recovery.starts_with("t in the console's list") || found.recovery.starts_with("u in the console's list") || found.recovery.starts_with("l in the console's list") || found.recovery.starts_with("coldseal-admin ");
    EXPECT_TRUE(starts_here) << std::hex << known.code << ' ' << found.recovery;
    const std::string text = explain(known.code, known.step).text();
    for (const std::string& part : {found.cause, found.consequence, found.next_step, found.recovery})
      EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

// Who does not stand at a prompt for a PIN cannot enter anything again.
TEST(ResponseCode, OnlyStepsOfAPersonsPinSayEnterItAgainAtThisPrompt) {
  for (const KnownCode& known : known_codes()) {
    const bool has_prompt = known.step == Step::officer || known.step == Step::pin_change || known.step == Step::policy_or;
    if (!has_prompt) {
      EXPECT_NE(advice(known.code, known.step).recovery, "enter it again at this prompt") << std::hex << known.code;
    }
  }
  EXPECT_EQ(advice(0x922, Step::officer).recovery, "enter it again at this prompt");
  EXPECT_NE(advice(0x922, Step::sign).recovery, "enter it again at this prompt");
}

TEST(ResponseCode, OfTheTransportSaysThatTheTpmIsNotReachable) {
  expect_explained(0x000a000a, Step::sign, Errc::tpm, "TPM not reachable (0x0a000a)");
  expect_explained(0x000a0001, Step::officer, Errc::tpm, "TPM not reachable");
  expect_explained(0x00070007, Step::officer, Errc::tpm, "TPM not reachable");
}

TEST(ResponseCode, WithoutAnEntryIsShownInHex) {
  expect_explained(0x9bf, Step::sign, Errc::tpm, "error 0x0bf (code 0x000009bf)");
  expect_explained(0x0007000b, Step::sign, Errc::tpm, "TPM software stack answered with code 0x0007000b");
  expect_explained(0x000c0001, Step::sign, Errc::tpm, "TPM resource manager answered with code 0x000c0001");
}

}  // namespace
}  // namespace tpm
