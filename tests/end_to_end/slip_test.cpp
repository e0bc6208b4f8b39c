// coldseal slip: what goes on paper, and that nothing goes there which the receipt key did not sign. The QR code is read by zbarimg.
#include <gtest/gtest.h>

#include <filesystem>

#include "crypto/base/words.hpp"
#include "crypto/keys/submitter_key.hpp"
#include "crypto/transparency/dsse.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sample_receipt.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;

class Slip : public testing::Test {
 protected:
  Slip() { write_text(folder_ / "key.pem", key_.public_key_pem()); }
  void write(transparency::Receipt receipt, crypto::Signer& log_key) {
    receipt.appliance.receipt_keyid = crypto::sha256(key_.public_key_der()).hex();
    const auto statement = in_log(std::move(receipt), log_key).to_json();
    write_text(receipt_file(), transparency::Envelope::sign(transparency::kStatementPayloadType, statement.value(), key_)->text());
  }
  fs::path receipt_file() const { return folder_ / "receipt.dsse.json"; }
  Finished slip(const Command& more = {}) const {
    Command command = {program("coldseal"), "slip", receipt_file(), "--trust", folder_ / "key.pem"};
    command.insert(command.end(), more.begin(), more.end());
    return run(command);
  }

  const TempDir folder_;
  keys::SubmitterKey key_ = keys::SubmitterKey::generate();
};

TEST_F(Slip, SaysWhoApprovedWhatWhenAndWhatTheTpmProves) {
  const transparency::Receipt receipt = sample_receipt();
  write(receipt, key_);
  const Finished printed = slip();
  ASSERT_EQ(printed.status, 0) << printed.output;
  const std::string digest = crypto::sha256(read_file(receipt_file())).hex();
  for (const std::string& wanted :
       {std::string("APPROVAL SLIP"), receipt.request_id, base::fingerprint_words(*base::from_hex(receipt.request_id)), std::string("ana (PIN) at "),
        std::string("ben (PIN) at "), std::string("key           TPM  class release, 2 officers must approve"), "signing set   TPM  " + receipt.signing_set->words(),
        receipt.signing_set->fingerprint().hex(), std::string("driver.sys (primary) sha256:"), receipt.outputs[2].sha256.hex(),
        std::string("note inf.pnplockdown-missing"), digest, std::string("development mode"), std::string("18 of the audit log")})
    EXPECT_NE(printed.output.find(wanted), std::string::npos) << wanted << "\nis not in\n" << printed.output;
}

TEST_F(Slip, OfARefusalSaysThatNothingWasSigned) {
  write(sample_refused_receipt(), key_);
  const Finished printed = slip();
  EXPECT_EQ(printed.status, 0) << printed.output;
  EXPECT_NE(printed.output.find("outcome       box  refused"), std::string::npos) << printed.output;
  EXPECT_NE(printed.output.find("the submitter's key is not enrolled"), std::string::npos) << printed.output;
  EXPECT_EQ(printed.output.find(" TPM  "), std::string::npos) << printed.output;
}

TEST_F(Slip, AsAPageEscapesWhatPeopleWroteAndItsCodeIsTheReceiptsDigest) {
  transparency::Receipt receipt = sample_receipt();
  receipt.findings[0].cause = "<script>alert(\"&\")</script>";
  write(receipt, key_);
  ASSERT_EQ(slip({"--html", folder_ / "slip.html"}).status, 0);
  const std::string page = read_text(folder_ / "slip.html");
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;alert(&quot;&amp;&quot;)"), std::string::npos);
  const std::size_t begin = page.find("<svg");
  const std::size_t end = page.find("</svg>") + 6;
  ASSERT_NE(begin, std::string::npos);
  write_text(folder_ / "code.svg", page.substr(begin, end - begin));
  run_well({"rsvg-convert", "-w", "600", "-o", folder_ / "code.png", folder_ / "code.svg"});
  const std::string read = run_well({"zbarimg", "--quiet", "--raw", folder_ / "code.png"});
  EXPECT_NE(read.find("sha256:" + crypto::sha256(read_file(receipt_file())).hex()), std::string::npos) << read;
}

TEST_F(Slip, IsNotMadeOfAReceiptThatDoesNotHold) {
  keys::SubmitterKey stranger = keys::SubmitterKey::generate();
  write(sample_receipt(), stranger);   // the log's checkpoint is not the appliance's
  EXPECT_EQ(slip({"--html", folder_ / "no.html"}).status, 1);
  write(sample_receipt(), key_);
  std::string text = read_text(receipt_file());
  text[text.find("\"payload\":\"") + 40] ^= 1;
  write_text(receipt_file(), text);
  EXPECT_EQ(slip({"--html", folder_ / "no.html"}).status, 1);
  write(sample_receipt(), key_);
  write_text(folder_ / "key.pem", stranger.public_key_pem());
  EXPECT_EQ(slip({"--html", folder_ / "no.html"}).status, 1);
  EXPECT_FALSE(fs::exists(folder_ / "no.html"));
  EXPECT_EQ(run({program("coldseal"), "slip", folder_ / "none.json", "--trust", folder_ / "key.pem"}).status, 2);
}

}  // namespace
}  // namespace tests
