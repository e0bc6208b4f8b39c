// coldseal verify: signed files, catalogs and receipts, and everything that may be wrong with them.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "crypto/cms/signature_edit.hpp"
#include "crypto/cms/signed_data.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/catalog.hpp"
#include "crypto/formats/pe_image.hpp"
#include "crypto/keys/submitter_key.hpp"
#include "crypto/transparency/dsse.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sample_receipt.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using transparency::OutputOperation;

formats::MemberDigests digests_of(base::ByteView bytes) { return *formats::member_digests(base::MemorySource(bytes)); }

// What a signature's key signed: the digest of its signed attributes.
crypto::Digest approved_digest(base::ByteView signed_data) {
  const auto data = cms::SignedData::parse(signed_data);
  return crypto::sha256(data->signers().at(0).signed_attributes_der);
}

crypto::Digest approved_digest_of_pe(base::ByteView bytes) {
  const base::MemorySource file(bytes);
  return approved_digest(formats::PeImage::parse(file)->certificates(file)->at(0).der);
}

// A response as the appliance would write it: one PE signed inside, one PE and an INF signed by a catalog, and the receipt. The
// receipt key is a software key here: what makes it the appliance's is only that --trust names it.
class Verify : public testing::Test {
 protected:
  Verify() : receipt_key_(keys::SubmitterKey::generate()) {
    const base::Bytes image = read_file(fs::path(COLDSEAL_SAMPLE_DIR) / "coldsample.exe");
    write_file(files() / "program.exe", vendor_.sign_pe(image));
    fs::copy_file(fs::path(COLDSEAL_SAMPLE_DIR) / "coldsample.sys", files() / "driver.sys");
    fs::copy_file(fs::path(COLDSEAL_SAMPLE_DIR) / "coldsample.inf", files() / "driver.inf");
    const formats::CatalogContent content{
        .list_identifier = {},
        .this_update = at("2026-01-01T00:00:00Z"),
        .os = "_v100_X64",
        .hardware_ids = {"root\\coldsample"},
        .members = {{"driver.inf", "2:10.0", digests_of(read_file(files() / "driver.inf"))},
                    {"driver.sys", "2:10.0", digests_of(read_file(files() / "driver.sys"))}}};
    const base::Bytes ctl = *formats::encode_ctl(content);
    write_file(files() / "driver.cat", vendor_.sign({der::oids::kCertificateTrustList, ctl}));
    write_text(folder_ / "trust/receipt.pem", receipt_key_.public_key_pem());
    write_file(folder_ / "trust/root.crt", vendor_.root().der());
    write_receipt(receipt());
  }

  transparency::Receipt receipt() const {
    transparency::Receipt receipt = sample_receipt();
    receipt.appliance.receipt_keyid = crypto::sha256(receipt_key_.public_key_der()).hex();
    receipt.certificate->sha256 = vendor_.leaf().fingerprint();
    receipt.key->spki_sha256 = crypto::sha256(vendor_.leaf().public_key_der());
    receipt.signing_set->items = {{"program.exe", "primary", approved_digest_of_pe(read_file(files() / "program.exe"))},
                                  {"driver.cat", "primary", approved_digest(read_file(files() / "driver.cat"))}};
    receipt.outputs.clear();
    const auto add = [&](const std::string& path, OutputOperation operation) {
      receipt.outputs.push_back({path, crypto::sha256(read_file(files() / path)), operation});
    };
    add("driver.cat", OutputOperation::catalog_signed);
    add("driver.inf", OutputOperation::unchanged);
    add("driver.sys", OutputOperation::unchanged);
    add("program.exe", OutputOperation::embedded);
    return receipt;
  }
  void write_receipt(const transparency::Receipt& receipt) {
    const auto text = transparency::Envelope::sign(transparency::kStatementPayloadType, in_log(receipt, receipt_key_).to_json().value(), receipt_key_);
    write_text(receipt_file(), text->text());
  }

  fs::path files() const { return folder_ / "files"; }
  fs::path receipt_file() const { return folder_ / "receipt.dsse.json"; }
  // Runs verify over the folder, with the trust folder, at a time when the certificates are valid.
  Finished verify(const Command& more = {}) const {
    Command command = {program("coldseal"), "verify", files(), "--trust", folder_ / "trust", "--at", "2026-06-01T00:00:00Z"};
    command.insert(command.end(), more.begin(), more.end());
    return run(command);
  }
  void expect_receipt_finding(std::string_view id, std::string_view file = "") const {
    const Finished verdict = verify({"--receipt", receipt_file(), "--json"});
    EXPECT_EQ(verdict.status, 1) << verdict.output;
    const json report = json::parse(verdict.output);
    EXPECT_FALSE(report["valid"].get<bool>());
    bool found = false;
    for (const json& finding : report["receipt"]["findings"])
      if (finding["id"] == id && finding["file"] == file && finding["severity"] == "error") {
        found = true;
        EXPECT_FALSE(finding["cause"].get<std::string>().empty());
        EXPECT_FALSE(finding["remedy"].get<std::string>().empty());
      }
    EXPECT_TRUE(found) << id << "\n" << verdict.output;
  }

  TempDir folder_;
  Vendor vendor_;
  keys::SubmitterKey receipt_key_;
};

void change_a_byte(const fs::path& file, std::size_t at) {
  base::Bytes bytes = read_file(file);
  ASSERT_LT(at, bytes.size());
  bytes[at] ^= 1;
  write_file(file, bytes);
}

TEST_F(Verify, TakesAGoodResponseWhole) {
  const Finished verdict = verify({"--receipt", receipt_file()});
  EXPECT_EQ(verdict.status, 0) << verdict.output;
  for (const std::string& wanted : {std::string("by catalog"), std::string("2 officers must approve"), receipt().signing_set->words(), std::string("ana (PIN)")})
    EXPECT_NE(verdict.output.find(wanted), std::string::npos) << wanted << "\n" << verdict.output;
  const json report = json::parse(verify({"--receipt", receipt_file(), "--json"}).output);
  EXPECT_TRUE(report["valid"].get<bool>());
  EXPECT_EQ(report["receipt"]["statement"]["outcome"], "signed");
  EXPECT_EQ(report["paths"][0]["catalogMembers"].size(), 2U);
  for (const json& member : report["paths"][0]["catalogMembers"]) EXPECT_EQ(member["state"], "present");
}

TEST_F(Verify, NamesTheCatalogThatCoversAnUnsignedDriver) {
  const json report = json::parse(verify({"--json"}).output);
  bool found = false;
  for (const json& file : report["paths"][0]["files"])
    if (file["path"] == "driver.sys") {
      found = true;
      EXPECT_EQ(file["vouchedBy"], json::array({"driver.cat"}));
      EXPECT_TRUE(file["valid"].get<bool>());
    }
  EXPECT_TRUE(found);
  fs::rename(files() / "driver.cat", folder_ / "elsewhere.cat");
  EXPECT_EQ(verify().status, 1) << "unsigned, and no catalog";
  EXPECT_EQ(verify({"--catalog", folder_ / "elsewhere.cat"}).status, 0);
}

TEST_F(Verify, NotesWhatNoCatalogCoversAndADevelopmentAppliance) {
  write_text(files() / "readme.txt", "text");
  const json report = json::parse(verify({"--receipt", receipt_file(), "--json"}).output);
  const auto has = [](const json& findings, std::string_view id, std::string_view severity) {
    return std::any_of(findings.begin(), findings.end(),
                       [&](const json& finding) { return finding["id"] == id && finding["severity"] == severity; });
  };
  for (const json& file : report["paths"][0]["files"])
    EXPECT_EQ(has(file["findings"], "catalog.not-covered", "note"), file["path"] == "readme.txt" || file["path"] == "program.exe") << file;
  EXPECT_TRUE(has(report["receipt"]["findings"], "receipt.development", "warning"));
  EXPECT_TRUE(has(report["receipt"]["findings"], "receipt.file-extra", "error"));
}

TEST_F(Verify, RefusesAStatementOfAnotherTypeInPlaceOfAReceipt) {
  write_text(receipt_file(), transparency::Envelope::sign(transparency::kRequestPayloadType, in_log(receipt(), receipt_key_).to_json().value(), receipt_key_)->text());
  expect_receipt_finding("receipt.other-type");
}

TEST_F(Verify, RefusesALogProofByAnotherKeyThanTheReceipts) {
  SoftwareKey stranger = SoftwareKey::generate_p256();
  write_text(receipt_file(), transparency::Envelope::sign(transparency::kStatementPayloadType, in_log(receipt(), stranger).to_json().value(), receipt_key_)->text());
  expect_receipt_finding("receipt.log-proof");
}

// The rows of docs/verification.md that no reader of PE takes for an image, through the command: damaged drivers are not files.
TEST_F(Verify, ADriverWhoseHeaderWasDamagedIsNoOrdinaryFile) {
  const base::Bytes driver = vendor_.sign_pe(read_file(fs::path(COLDSEAL_SAMPLE_DIR) / "coldsample.sys"));
  const auto verify_one = [&](const char* const name, const base::Bytes& bytes, const Command& more = {}) {
    write_file(folder_ / name, bytes);
    Command command = {program("coldseal"), "verify", folder_ / name, "--trust", folder_ / "trust", "--at", "2026-06-01T00:00:00Z"};
    command.insert(command.end(), more.begin(), more.end());
    return run(command);
  };
  EXPECT_EQ(verify_one("good.sys", driver).status, 0);
  const auto damaged = [&](std::size_t at, base::Bytes by) {
    base::Bytes bytes = driver;
    std::copy(by.begin(), by.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
    return bytes;
  };
  for (const base::Bytes& bytes : {damaged(0, {'X'}), damaged(0x3C, {0xF0, 0xFF, 0xFF, 0xFF}), damaged(0x3C, {0xFC, 0xFF, 0xFF, 0x7F}),
                                   damaged(driver.at(0x3C), {'N', 'E'}), base::Bytes{'M', 'Z'}, base::Bytes{}})
    for (const Command& policy : {Command{}, Command{"--policy", "kernel"}}) {
      const Finished outcome = verify_one("bad.sys", bytes, policy);
      EXPECT_EQ(outcome.status, 1) << outcome.output;
      EXPECT_NE(outcome.output.find("pe.not-readable"), std::string::npos) << outcome.output;
    }
  EXPECT_NE(verify_one("renamed.bin", damaged(0x3C, {0xF0, 0xFF, 0xFF, 0xFF})).output.find("pe.not-readable"), std::string::npos);
  // What can hold no signature is not valid for want of one, when it is asked about by itself.
  const Finished text = verify_one("read.me", {'h', 'i'});
  EXPECT_EQ(text.status, 1);
  EXPECT_NE(text.output.find("file.not-signed"), std::string::npos) << text.output;
  const Finished listed = run({program("coldseal"), "verify", files() / "driver.inf", "--catalog", files() / "driver.cat", "--trust", folder_ / "trust",
                               "--at", "2026-06-01T00:00:00Z"});
  EXPECT_EQ(listed.status, 0) << listed.output;
}

TEST_F(Verify, RefusesAChangedImageAndAChangedCatalogMember) {
  change_a_byte(files() / "program.exe", 0x40);
  EXPECT_EQ(verify().status, 1);
  write_file(files() / "program.exe", vendor_.sign_pe(read_file(fs::path(COLDSEAL_SAMPLE_DIR) / "coldsample.exe")));
  EXPECT_EQ(verify().status, 0);
  change_a_byte(files() / "driver.inf", 10);
  const Finished changed = verify();
  EXPECT_EQ(changed.status, 1);
  EXPECT_NE(changed.output.find("catalog.file-changed"), std::string::npos) << changed.output;
  fs::remove(files() / "driver.inf");
  const Finished missing = verify();
  EXPECT_EQ(missing.status, 0) << missing.output;
  EXPECT_NE(missing.output.find("catalog.file-missing"), std::string::npos) << missing.output;
}

TEST_F(Verify, RefusesAFileThatTheInfInstallsAndNoCatalogLists) {
  fs::create_directory(folder_ / "bare");
  fs::copy_file(files() / "driver.cat", folder_ / "bare/driver.cat");
  fs::copy_file(files() / "driver.inf", folder_ / "bare/driver.inf");
  // By its name the INF installs it, and its own signature is good; but it is another image than the catalog's.
  write_file(folder_ / "bare/coldsample.sys", vendor_.sign_pe(read_file(fs::path(COLDSEAL_SAMPLE_DIR) / "coldsample.exe")));
  const Finished verdict = run({program("coldseal"), "verify", folder_ / "bare", "--trust", folder_ / "trust", "--at", "2026-06-01T00:00:00Z"});
  EXPECT_EQ(verdict.status, 1) << verdict.output;
  EXPECT_NE(verdict.output.find("catalog.installed-file-not-covered"), std::string::npos) << verdict.output;
}

TEST_F(Verify, RefusesACatalogThatIsNoneOrIsBroken) {
  change_a_byte(files() / "driver.cat", read_file(files() / "driver.cat").size() - 1);   // in the signature
  EXPECT_EQ(verify().status, 1);
  write_text(files() / "driver.cat", "not a catalog");
  const Finished verdict = verify();
  EXPECT_EQ(verdict.status, 1);
  EXPECT_NE(verdict.output.find("catalog.not-readable"), std::string::npos) << verdict.output;
}

TEST_F(Verify, RefusesARootItWasNotGiven) {
  const Vendor stranger(Vendor::Kind::rsa3072);
  const Finished without = run({program("coldseal"), "verify", files(), "--at", "2026-06-01T00:00:00Z"});
  EXPECT_EQ(without.status, 0) << without.output;
  EXPECT_NE(without.output.find("chain.not-checked"), std::string::npos) << without.output;
  const Finished expired = run({program("coldseal"), "verify", files(), "--trust", folder_ / "trust", "--at", "2036-06-01T00:00:00Z"});
  EXPECT_EQ(expired.status, 1) << expired.output;
  write_file(folder_ / "trust/root.crt", stranger.leaf().der());
  EXPECT_EQ(verify().status, 1);
}

TEST_F(Verify, NoticesFilesThatAreNotTheReceipts) {
  write_text(files() / "extra.txt", "x");
  expect_receipt_finding("receipt.file-extra", "extra.txt");
  fs::remove(files() / "extra.txt");
  const std::string inf = read_text(files() / "driver.inf");
  write_text(files() / "driver.inf", inf + " ");
  expect_receipt_finding("receipt.file-changed", "driver.inf");
  fs::remove(files() / "driver.inf");
  expect_receipt_finding("receipt.file-missing", "driver.inf");
  write_text(files() / "driver.inf", inf);
  EXPECT_EQ(verify({"--receipt", receipt_file()}).status, 0);
}

// A profile for old Windows: the officers approved two signatures in one file, and the file's bytes are the receipt's in every case here.
TEST_F(Verify, WantsBothSignaturesThatWereApprovedForAFile) {
  using crypto::DigestAlgorithm;
  Vendor rsa(Vendor::Kind::rsa3072);   // SHA-1 is for RSA only
  write_file(folder_ / "trust/rsa-root.crt", rsa.root().der());
  fs::remove(files() / "driver.cat");
  fs::remove(files() / "driver.sys");
  const base::Bytes image = read_file(fs::path(COLDSEAL_SAMPLE_DIR) / "coldsample.exe");
  const base::MemorySource source(image);
  const auto parsed = *formats::PeImage::parse(source);
  const DigestAlgorithm both[] = {DigestAlgorithm::sha1, DigestAlgorithm::sha256};
  const auto measured = *parsed.measure(source, both);
  const auto prepared = [&](DigestAlgorithm algorithm) {
    return *cms::UnsignedData::prepare(formats::pe_content(measured.digest(algorithm)), {}, rsa.identity(), algorithm, crypto::Sha1::for_old_windows);
  };
  const auto signed_data = [&](const cms::UnsignedData& data) { return *data.with_signature(*rsa.key().sign(data.to_be_signed())); };
  const cms::UnsignedData first = prepared(DigestAlgorithm::sha1);
  const cms::UnsignedData second = prepared(DigestAlgorithm::sha256);
  const auto deliver = [&](const std::vector<base::Bytes>& nested, std::vector<transparency::SigningItem> items) {
    base::MemorySink out;
    const base::Bytes signature = *cms::with_nested_signatures(signed_data(first), nested);
    EXPECT_TRUE(formats::write_signed(source, parsed, measured, signature, out));
    write_file(files() / "program.exe", out.bytes());
    
    transparency::Receipt changed = sample_receipt();
    changed.appliance.receipt_keyid = crypto::sha256(receipt_key_.public_key_der()).hex();
    changed.certificate->sha256 = rsa.leaf().fingerprint();
    changed.key->spki_sha256 = crypto::sha256(rsa.leaf().public_key_der());
    changed.signing_set->items = std::move(items);
    changed.catalogs.clear();
    changed.outputs.clear();
    for (const char* const name : {"driver.inf", "program.exe"})
      changed.outputs.push_back({name, crypto::sha256(read_file(files() / name)), std::string_view(name) == "program.exe" ? OutputOperation::embedded : OutputOperation::unchanged});
    write_receipt(changed);
  };
  const transparency::SigningItem primary{"program.exe", "primary", first.to_be_signed()};
  const transparency::SigningItem inner{"program.exe", "nested", second.to_be_signed()};
  const base::Bytes ours = signed_data(second);
  deliver({ours}, {primary, inner});
  const Finished good = verify({"--receipt", receipt_file()});
  EXPECT_EQ(good.status, 0) << good.output;
  deliver({}, {primary, inner});   // the second is missing
  expect_receipt_finding("receipt.not-approved", "program.exe");
  deliver({ours}, {inner});   // only the second was approved
  expect_receipt_finding("receipt.not-approved", "program.exe");
  deliver({ours}, {primary, {"program.exe", "nested", crypto::sha256({})}});
  expect_receipt_finding("receipt.not-approved", "program.exe");
  deliver({rsa.sign(formats::pe_content(measured.digest(DigestAlgorithm::sha256)), {"another description", ""})}, {primary, inner});
  expect_receipt_finding("receipt.not-approved", "program.exe");
}

TEST_F(Verify, NoticesASignatureByAnotherCertificateOrKeyThanTheReceipts) {
  transparency::Receipt other = receipt();
  other.certificate->sha256 = crypto::sha256({});
  write_receipt(other);
  expect_receipt_finding("receipt.other-certificate", "program.exe");
  other = receipt();
  other.key->spki_sha256 = crypto::sha256({});
  write_receipt(other);
  expect_receipt_finding("receipt.other-key-signed", "driver.cat");
}

TEST_F(Verify, NoticesASignatureThatNobodyApproved) {
  transparency::Receipt other = receipt();
  other.signing_set->items[0].digest = crypto::sha256({});
  write_receipt(other);
  expect_receipt_finding("receipt.not-approved", "program.exe");
  other = receipt();
  other.signing_set->items.pop_back();
  write_receipt(other);
  expect_receipt_finding("receipt.not-approved", "driver.cat");
}

TEST_F(Verify, BelievesNoReceiptOfAnotherKeyOrChangedAfterwards) {
  const std::string good = read_text(receipt_file());
  fs::remove(folder_ / "trust/receipt.pem");
  expect_receipt_finding("receipt.key-not-trusted");
  write_text(folder_ / "trust/receipt.pem", keys::SubmitterKey::generate().public_key_pem());
  expect_receipt_finding("receipt.key-not-trusted");
  write_text(folder_ / "trust/receipt.pem", receipt_key_.public_key_pem());
  std::string altered = good;
  altered[40] = altered[40] == 'A' ? 'B' : 'A';   // in the payload
  write_text(receipt_file(), altered);
  expect_receipt_finding("receipt.signature-wrong");
  write_text(receipt_file(), good + "\n");
  expect_receipt_finding("receipt.malformed");
  transparency::Receipt other = receipt();
  other.appliance.receipt_keyid = std::string(64, '0');
  write_receipt(other);
  expect_receipt_finding("receipt.other-key");
}

TEST_F(Verify, SaysThatARequestWasRefusedOrRejected) {
  transparency::Receipt refused = sample_refused_receipt();
  refused.appliance.receipt_keyid = receipt().appliance.receipt_keyid;
  write_receipt(refused);
  expect_receipt_finding("receipt.refused");
  refused.outcome = transparency::Outcome::rejected;
  refused.rejection = transparency::Receipt::Rejection{"ben", refused.created};
  write_receipt(refused);
  expect_receipt_finding("receipt.rejected");
}

TEST_F(Verify, SaysWhatItCannotUse) {
  EXPECT_EQ(run({program("coldseal"), "verify", folder_ / "none"}).status, 2);
  EXPECT_EQ(verify({"--at", "yesterday"}).status, 2);
  EXPECT_EQ(verify({"--receipt", folder_ / "none"}).status, 2);
  EXPECT_EQ(verify({files(), "--receipt", receipt_file()}).status, 2) << "a receipt is about one folder";
  write_text(folder_ / "trust/private.pem", receipt_key_.pem(nullptr));
  const Finished verdict = verify();
  EXPECT_EQ(verdict.status, 2);
  EXPECT_NE(verdict.output.find("private.pem"), std::string::npos) << verdict.output;
}

}  // namespace
}  // namespace tests
