#include "appliance/receipt_parts.hpp"

#include <gtest/gtest.h>

#include "crypto/base/limits.hpp"
#include "tests/support/sample_receipt.hpp"
#include "tests/support/software_key.hpp"
#include "tests/support/temp_dir.hpp"

namespace appliance {
namespace {

namespace limits = base::limits;
using package::Finding;
using package::Severity;

crypto::PublicKey any_public_key() {
  const auto key = tests::SoftwareKey::from_pem(tests::read_text(std::filesystem::path(COLDSEAL_TEST_DATA_DIR) / "keys/p256.key.pem"));
  return crypto::PublicKey::parse(key->public_key_der()).value();
}

std::vector<Finding> notes(std::size_t count, const std::string& cause = "worth knowing") {
  return std::vector<Finding>(count, Finding{"inf.not-copied", Severity::note, "a.dll", 0, cause, "none"});
}

void expect_receipt_holds(const std::vector<transparency::ShownFinding>& shown) {
  transparency::Receipt receipt = tests::sample_receipt();
  receipt.findings = shown;
  const auto written = expect_writable(receipt, any_public_key());
  EXPECT_TRUE(written) << written.error().text();
}

TEST(ReceiptParts, AsManyFindingsAsAReceiptHoldsKeepTheirOrder) {
  std::vector<Finding> findings = notes(limits::kFindings);
  findings.back().severity = Severity::warning;
  const auto shown = findings_for_receipt(findings);
  ASSERT_EQ(shown.size(), limits::kFindings);
  EXPECT_EQ(shown.front().severity, "note");
  EXPECT_EQ(shown.back().severity, "warning");
  expect_receipt_holds(shown);
}

TEST(ReceiptParts, OfMoreFindingsTheWorstComeFirstAndTheLastOneSaysHowManyAreLeftOut) {
  std::vector<Finding> findings = notes(limits::kFindings);
  findings.push_back({"deny-list.digest", Severity::warning, "b.sys", 0, "on the deny list", "take it out"});
  const auto shown = findings_for_receipt(findings);
  ASSERT_EQ(shown.size(), limits::kFindings);
  EXPECT_EQ(shown.front().id, "deny-list.digest");
  EXPECT_EQ(shown.back().id, "inspection.findings-left-out");
  EXPECT_EQ(shown.back().severity, "note");
  EXPECT_NE(shown.back().cause.find("2 more findings"), std::string::npos) << shown.back().cause;
  expect_receipt_holds(shown);
}

TEST(ReceiptParts, FindingsDoNotTakeMoreThanTheirShareOfTheReceiptHoweverTheyAreWritten) {
  for (const std::string& cause : {std::string(limits::kFactTextBytes, 'x'), std::string(limits::kFactTextBytes, '"'), std::string(limits::kFactTextBytes, '\x01')}) {
    const auto shown = findings_for_receipt(notes(limits::kFindings, cause));
    EXPECT_LT(shown.size(), limits::kFindings);
    EXPECT_EQ(shown.back().id, "inspection.findings-left-out");
    // With as many outputs, of names as long, as a request may have.
    transparency::Receipt receipt = tests::sample_receipt();
    receipt.findings = shown;
    receipt.outputs.clear();
    receipt.catalogs.clear();
    for (std::size_t i = 0; i < limits::kOutputFiles; ++i) {
      std::string path = std::to_string(100000 + i);
      path.resize(limits::kPathBytes, 'x');
      receipt.outputs.push_back({path, crypto::sha256({}), transparency::OutputOperation::already_signed});
    }
    const auto written = expect_writable(std::move(receipt), any_public_key());
    EXPECT_TRUE(written) << written.error().text();
  }
}

TEST(ReceiptParts, FindingsThatNoReceiptCouldHoldAsTheyAreAreCutAndEscaped) {
  std::string long_text(limits::kFactTextBytes - 1, 'x');
  long_text += "\xC3\xA4\xC3\xA4";   // a character across the limit
  const auto shown = findings_for_receipt({{"", Severity::note, long_text, 0, "signed by " + long_text, ""},
                                           {std::string(200, 'i') + "\x1b[2J", Severity::error, "\xff.sys", 0, "", ""}});
  ASSERT_EQ(shown.size(), 2U);
  EXPECT_EQ(shown[0].id, "finding.without-id");
  EXPECT_LE(shown[0].cause.size(), limits::kFactTextBytes);
  EXPECT_EQ(shown[1].id.size(), limits::kNameBytes);
  expect_receipt_holds(shown);
}

TEST(ReceiptParts, AReceiptThatWouldBeTooLargeIsFoundBeforeItIsSigned) {
  transparency::Receipt receipt = tests::sample_receipt();
  receipt.findings.assign(limits::kFindings, {"inf.not-copied", "note", "a.dll", std::string(limits::kFactTextBytes, '"')});
  const auto written = expect_writable(receipt, any_public_key());
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), base::Errc::too_large);
  EXPECT_EQ(written.error().text().find("receipt.too-large: "), 0U) << written.error().text();
}

TEST(ReceiptParts, AReceiptThatNobodyCouldReadIsFoundBeforeItIsSigned) {
  transparency::Receipt receipt = tests::sample_receipt();
  receipt.certificate->subject = std::string(limits::kFactTextBytes + 1, 'x');
  const auto written = expect_writable(receipt, any_public_key());
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().text().find("subject"), std::string::npos) << written.error().text();
}

}  // namespace
}  // namespace appliance
