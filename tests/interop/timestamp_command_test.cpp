// coldseal timestamp against a real authority (openssl ts) on the loopback, and against one that misbehaves in every way.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "crypto/cms/signature_edit.hpp"
#include "crypto/der/writer.hpp"
#include "crypto/formats/cab_file.hpp"
#include "crypto/formats/pe_image.hpp"
#include "crypto/keys/submitter_key.hpp"
#include "crypto/timestamp.hpp"
#include "crypto/transparency/dsse.hpp"
#include "tests/interop/timestamp_fixture.hpp"
#include "tests/support/cab_builder.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sample_receipt.hpp"

namespace {

using base::Bytes;
using base::MemorySource;

class TimestampCommand : public tests::WithAuthority {
 protected:
  void SetUp() override {
    make_rsa();
    make_authority();
    server_.emplace(tests::Command{"python3", std::string(COLDSEAL_TEST_DATA_DIR) + "/../interop/tsa_server.py", dir_.path().string()},
                    dir_ / "server.log");
    server_->wait_for("listening on ");
    const std::string log = server_->log();
    port_ = log.substr(log.find("listening on ") + 13);
    port_ = port_.substr(0, port_.find('\n'));
    tests::write_file(dir_ / "in.sys", tests::driver_of_size(0x2003));
    sign({}, "in.sys", "signed.sys");
  }
  void sign(std::vector<std::string> more, const std::string& in, const std::string& out) const {
    more.insert(more.end(), {"--in", file(in), "--out", file(out)});
    const tests::Outcome outcome = test_signer(more);
    ASSERT_EQ(outcome.status, 0) << outcome.output;
  }
  std::string url(const std::string& path) const { return "http://127.0.0.1:" + port_ + "/" + path; }
  tests::Outcome coldseal(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), std::string(COLDSEAL_BIN_DIR) + "/coldseal");
    return tests::run_program(arguments);
  }
  // One try, no pause.
  tests::Outcome timestamp(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"timestamp", "--pause", "0", "--trust", file("tsa-root.pem")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    if (std::find(more.begin(), more.end(), "--tries") == more.end()) arguments.insert(arguments.end(), {"--tries", "1"});
    return coldseal(arguments);
  }
  Bytes primary(std::string_view name) const {
    const Bytes bytes = tests::read_file(dir_ / name);
    const MemorySource source(bytes);
    return formats::PeImage::parse(source)->certificates(source)->front().der;
  }
  package::Verdict verdict(std::string_view name, base::Time time) const {
    const Bytes bytes = tests::read_file(dir_ / name);
    return package::verify_pe(MemorySource(bytes), roots(true), time);
  }
  void expect_valid_long_after(std::string_view name) const {
    const package::Verdict late = verdict(name, expired());
    for (const package::Finding& finding : late.findings) ADD_FAILURE() << name << ": " << finding.id << ": " << finding.cause;
    EXPECT_TRUE(late.timestamp);
  }
  void expect_osslsigncode_takes_timestamp(std::string_view name) const {
    const tests::Outcome theirs = tests::run_program({"osslsigncode", "verify", "-CAfile", file("root.pem"), "-TSA-CAfile",
                                                      file("tsa-root.pem"), "-in", file(name)});
    EXPECT_EQ(theirs.status, 0) << theirs.output;
    // 2.9 and 2.5 say it in these words.
    EXPECT_TRUE(theirs.output.find("Timestamp verified") != std::string::npos ||
                theirs.output.find("Timestamp Server Signature verification: ok") != std::string::npos)
        << theirs.output;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) found.push_back(entry.path().filename());
    std::sort(found.begin(), found.end());
    return found;
  }
  // Exit status 1 and those words; the file is untouched and nothing lies beside it.
  void expect_nothing_written(const std::vector<std::string>& arguments, std::string_view words, int status = 1) {
    const Bytes before = tests::read_file(dir_ / "signed.sys");
    const auto names_before = names();
    std::vector<std::string> all = arguments;
    all.push_back(file("signed.sys"));
    const tests::Outcome outcome = timestamp(all);
    EXPECT_EQ(outcome.status, status) << outcome.output;
    EXPECT_NE(outcome.output.find(words), std::string::npos) << "wanted: " << words << "\n" << outcome.output;
    EXPECT_EQ(tests::read_file(dir_ / "signed.sys"), before) << words;
    EXPECT_EQ(names(), names_before) << words;
  }

  std::optional<tests::Background> server_;
  std::string port_;
};

Bytes without_timestamps(const Bytes& signature) {
  return *cms::with_every_signature(signature, [](base::ByteView der, const std::string&) { return cms::without_timestamp(der); });
}

TEST_F(TimestampCommand, StampsEverySignatureOfAnImageAndChangesNothingElse) {
  sign({"--append", "--digest", "sha384", "--page-hashes"}, "signed.sys", "two.sys");
  const Bytes before = primary("two.sys");
  const auto digest = verdict("two.sys", base::Time{}).file_digest;
  const tests::Outcome outcome = timestamp({"--tsa", url("good"), file("two.sys")});
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("(primary)"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("(nested 1)"), std::string::npos) << outcome.output;
  EXPECT_EQ(without_timestamps(primary("two.sys")), before);
  EXPECT_EQ(verdict("two.sys", expired()).file_digest, digest);
  expect_valid_long_after("two.sys");
  expect_osslsigncode_takes_timestamp("two.sys");
  // A second time there is nothing to do; and new ones are asked for only with --again.
  const Bytes stamped = tests::read_file(dir_ / "two.sys");
  EXPECT_EQ(timestamp({"--tsa", url("error"), file("two.sys")}).status, 0);
  EXPECT_EQ(tests::read_file(dir_ / "two.sys"), stamped);
  ASSERT_EQ(timestamp({"--again", "--tsa", url("good"), file("two.sys")}).status, 0);
  EXPECT_NE(tests::read_file(dir_ / "two.sys"), stamped);
  expect_valid_long_after("two.sys");
}

TEST_F(TimestampCommand, StampsOneSlotWhenAsked) {
  sign({"--append", "--digest", "sha384"}, "signed.sys", "two.sys");
  ASSERT_EQ(timestamp({"--slot", "nested 1", "--tsa", url("good"), file("two.sys")}).status, 0);
  const auto data = cms::SignedData::parse(primary("two.sys"));
  EXPECT_EQ(data->signers().front().unsigned_attribute(der::oids::kSpcRfc3161Timestamp), nullptr);
  const auto nested = cms::nested_signatures(primary("two.sys"));
  EXPECT_NE(cms::SignedData::parse(nested->front())->signers().front().unsigned_attribute(der::oids::kSpcRfc3161Timestamp), nullptr);
  ASSERT_EQ(timestamp({"--slot", "primary", "--tsa", url("good"), file("two.sys")}).status, 0);
  expect_valid_long_after("two.sys");
}

TEST_F(TimestampCommand, StampsCabinetsAndCatalogs) {
  tests::write_file(dir_ / "in.cab", tests::build_cab({{{"one", "two"}, {"three"}}, 0, {}}));
  sign({}, "in.cab", "signed.cab");
  const Bytes list =
      der::sequence({der::sequence({der::oid(der::oids::kCatalogList)}), der::octet_string(Bytes(16, 0x42)),
                     der::utc_time(*base::time_from_rfc3339("2026-11-23T00:00:00Z")),
                     der::sequence({der::oid(der::oids::kCatalogListMember2), der::null()}), der::sequence({})});
  tests::write_file(dir_ / "in.cat", *cms::without_signer({der::oids::kCertificateTrustList, list}));
  sign({}, "in.cat", "signed.cat");
  const Bytes cat_before = tests::read_file(dir_ / "signed.cat");
  const tests::Outcome outcome = timestamp({"--tsa", url("good"), file("signed.cab"), file("signed.cat")});
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  const Bytes cab = tests::read_file(dir_ / "signed.cab");
  const Bytes cat = tests::read_file(dir_ / "signed.cat");
  EXPECT_EQ(without_timestamps(cat), cat_before);
  for (const package::Verdict& late : {package::verify_cab(MemorySource(cab), roots(true), expired()),
                                       package::verify_catalog_signature(cat, roots(true), expired())}) {
    EXPECT_TRUE(late.timestamp);
    for (const package::Finding& finding : late.findings) ADD_FAILURE() << finding.id << ": " << finding.cause;
  }
  expect_osslsigncode_takes_timestamp("signed.cab");
  expect_osslsigncode_takes_timestamp("signed.cat");
}

TEST_F(TimestampCommand, StampsEveryEntryOfAnEfiImage) {
  tests::PeDescription description = tests::driver_description();
  description.subsystem = 11;
  tests::write_file(dir_ / "in.efi", tests::build_pe(description));
  sign({}, "in.efi", "one.efi");
  sign({"--digest", "sha384"}, "in.efi", "other.efi");
  ASSERT_EQ(coldseal({"signature", "extract", file("other.efi"), "-o", file("other.der")}).status, 0);
  ASSERT_EQ(coldseal({"signature", "attach", file("one.efi"), file("other.der"), "--entry", "-o", file("two.efi")}).status, 0);
  ASSERT_EQ(timestamp({"--tsa", url("good"), file("two.efi")}).status, 0);
  const Bytes bytes = tests::read_file(dir_ / "two.efi");
  const MemorySource source(bytes);
  const auto table = formats::PeImage::parse(source)->certificates(source);
  ASSERT_EQ(table->size(), 2U);
  for (const formats::WinCertificate& entry : *table)
    EXPECT_NE(cms::SignedData::parse(entry.der)->signers().front().unsigned_attribute(der::oids::kSpcRfc3161Timestamp), nullptr);
}

TEST_F(TimestampCommand, TakesNothingFromAnAuthorityThatMisbehaves) {
  struct Case {
    const char* path;
    const char* words;
  };
  for (const Case& each : std::initializer_list<Case>{{"html", "content type \"text/html\""},
                                                      {"redirect", "redirects to /good"},
                                                      {"error", "HTTP status 500"},
                                                      {"garbage", "timestamp reply"},
                                                      {"empty", "timestamp reply"},
                                                      {"huge", "reply of over"},
                                                      {"chunked", "reply of over"},
                                                      {"endless", "reply of over"},
                                                      {"headers", "waiting for the reply"},
                                                      {"noise", "waiting for the reply"},
                                                      {"close", "waiting for the reply"},
                                                      {"short", "waiting for the reply"},
                                                      {"nonce", "timestamp has nonce"},
                                                      {"nononce", "timestamp has nonce"},
                                                      {"imprint", "timestamp is for"},
                                                      {"rejected", "the timestamp authority refused (status 2)"},
                                                      {"tampered", "signature does not fit"},
                                                      {"trailing", "timestamp reply"}})
    expect_nothing_written({"--tsa", url(each.path)}, each.words);
}

TEST_F(TimestampCommand, WaitsForNoAuthorityLongerThanItWasTold) {
  expect_nothing_written({"--timeout", "1", "--tsa", url("slow")}, "took longer than 1000 ms");
  expect_nothing_written({"--timeout", "1", "--tsa", url("drip")}, "took longer than 1000 ms");
}

TEST_F(TimestampCommand, AsksForAPolicyAndTakesNoOther) {
  expect_nothing_written({"--tsa-policy", "1.2.3.4", "--tsa", url("policy")}, "timestamp is under policy 1.2.3.5, 1.2.3.4 was asked for");
  expect_nothing_written({"--tsa-policy", "1.2.3.9", "--tsa", url("good")}, "the timestamp authority refused");
  expect_nothing_written({"--tsa-policy", "yes", "--tsa", url("good")}, "an OID", 2);
  ASSERT_EQ(timestamp({"--tsa-policy", "1.2.3.5", "--tsa", url("good"), file("signed.sys")}).status, 0);
  expect_valid_long_after("signed.sys");
}

TEST_F(TimestampCommand, AsksTheNextAuthorityAndAnotherRound) {
  const tests::Outcome outcome = timestamp({"--tsa", url("error"), "--tsa", "http://127.0.0.1:1/", "--tsa", url("parameters"),
                                            file("signed.sys")});
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  expect_valid_long_after("signed.sys");
  sign({}, "in.sys", "again.sys");
  EXPECT_EQ(timestamp({"--tries", "3", "--tsa", url("good-after/2/a"), file("again.sys")}).status, 0);
  expect_valid_long_after("again.sys");
  sign({}, "in.sys", "never.sys");
  const tests::Outcome never = timestamp({"--tries", "2", "--tsa", url("good-after/2/b"), "--tsa", url("html"), file("never.sys")});
  EXPECT_EQ(never.status, 1);
  for (const char* const wanted : {"HTTP status 503", "content type"})   // what each of them said
    EXPECT_NE(never.output.find(wanted), std::string::npos) << never.output;
}

TEST_F(TimestampCommand, SaysWhatIsWrongWithAnAddress) {
  expect_nothing_written({"--tsa", "https://127.0.0.1/"}, "no TLS", 2);
  expect_nothing_written({"--tsa", "ftp://127.0.0.1/"}, "http://HOST", 2);
  expect_nothing_written({"--tsa", "http://user:word@127.0.0.1/"}, "user name", 2);
  expect_nothing_written({"--tsa", "http://127.0.0.1:x/"}, "no port", 2);
  expect_nothing_written({"--tsa", "http:///"}, "no host", 2);
  expect_nothing_written({"--tsa", "http://a b/"}, "printable ASCII", 2);
  expect_nothing_written({}, "one of --tsa, --queries and --replies", 2);
}

TEST_F(TimestampCommand, WritesNoFileWhenOneOfSeveralGetsNoTimestamp) {
  sign({}, "in.sys", "first.sys");
  const Bytes first = tests::read_file(dir_ / "first.sys");
  tests::write_file(dir_ / "unsigned.sys", tests::read_file(dir_ / "in.sys"));
  for (const char* const bad : {"unsigned.sys", "root.pem", "none.sys"}) {
    const tests::Outcome outcome = timestamp({"--tsa", url("good"), file("first.sys"), file(bad)});
    EXPECT_NE(outcome.status, 0) << bad;
    EXPECT_EQ(tests::read_file(dir_ / "first.sys"), first) << bad;
  }
  // The authority answers once and then no more; the second signature differs from the first.
  tests::write_file(dir_ / "in2.sys", tests::driver_of_size(0x2103));
  sign({}, "in2.sys", "second.sys");
  server_->end();
  EXPECT_EQ(timestamp({"--tsa", url("good"), file("first.sys"), file("second.sys")}).status, 1);
  EXPECT_EQ(tests::read_file(dir_ / "first.sys"), first);
}

TEST_F(TimestampCommand, TakesNoAuthorityThatTheRootsDoNotVouchFor) {
  const std::vector<std::string> stranger = {"timestamp", "--tries", "1", "--trust", file("root.pem"), "--tsa", url("good"),
                                             file("signed.sys")};
  const Bytes before = tests::read_file(dir_ / "signed.sys");
  const tests::Outcome refused = coldseal(stranger);
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_NE(refused.output.find("cannot be relied on"), std::string::npos) << refused.output;
  EXPECT_EQ(tests::read_file(dir_ / "signed.sys"), before);
  const tests::Outcome unchecked = coldseal({"timestamp", "--tries", "1", "--tsa", url("good"), file("signed.sys")});
  EXPECT_EQ(unchecked.status, 0) << unchecked.output;
  EXPECT_NE(unchecked.output.find("no roots were given"), std::string::npos) << unchecked.output;
}

TEST_F(TimestampCommand, TakesNoAuthorityWhoseCertificateAllowsMoreThanTimeStamping) {
  for (const char* const purpose : {"critical,timeStamping,codeSigning"}) {
    make_authority(purpose);
    const tests::Outcome outcome = timestamp({"--tsa", url("good"), file("signed.sys")});   // openssl refuses to be one as well
    EXPECT_EQ(outcome.status, 1) << outcome.output;
  }
}

TEST_F(TimestampCommand, CarriesQueriesAndRepliesAcrossAnotherGap) {
  sign({"--append", "--digest", "sha384"}, "signed.sys", "two.sys");
  const Bytes before = tests::read_file(dir_ / "two.sys");
  ASSERT_EQ(timestamp({"--queries", file("gap"), file("two.sys")}).status, 0);
  EXPECT_EQ(tests::read_file(dir_ / "two.sys"), before);
  std::vector<std::string> queries;
  for (const auto& entry : std::filesystem::directory_iterator(dir_ / "gap")) queries.push_back(entry.path().stem().string());
  ASSERT_EQ(queries.size(), 2U);
  // Asked again, the same questions stand: a reply may be on its way.
  const Bytes question = tests::read_file(dir_ / ("gap/" + queries[0] + ".tsq"));
  ASSERT_EQ(timestamp({"--queries", file("gap"), file("two.sys")}).status, 0);
  EXPECT_EQ(tests::read_file(dir_ / ("gap/" + queries[0] + ".tsq")), question);

  const auto take = [&] { return timestamp({"--replies", file("gap"), file("two.sys")}); };
  EXPECT_NE(take().status, 0);   // no reply yet
  reply("gap/" + queries[0] + ".tsq", "gap/" + queries[0] + ".tsr");
  EXPECT_NE(take().status, 0);   // one of two
  std::filesystem::copy_file(dir_ / ("gap/" + queries[0] + ".tsr"), dir_ / ("gap/" + queries[1] + ".tsr"));
  const tests::Outcome swapped = take();
  EXPECT_EQ(swapped.status, 1) << swapped.output;
  EXPECT_NE(swapped.output.find("timestamp is for"), std::string::npos) << swapped.output;
  EXPECT_EQ(tests::read_file(dir_ / "two.sys"), before);
  std::filesystem::remove(dir_ / ("gap/" + queries[1] + ".tsr"));
  reply("gap/" + queries[1] + ".tsq", "gap/" + queries[1] + ".tsr");
  const tests::Outcome taken = take();
  ASSERT_EQ(taken.status, 0) << taken.output;
  expect_valid_long_after("two.sys");
}

TEST_F(TimestampCommand, StampsEverySignedFileOfAFolderAndLeavesTheOthers) {
  std::filesystem::create_directories(dir_ / "out/x64");
  std::filesystem::copy_file(dir_ / "signed.sys", dir_ / "out/x64/a.sys");
  std::filesystem::copy_file(dir_ / "in.sys", dir_ / "out/unsigned.sys");
  tests::write_file(dir_ / "in.cab", tests::build_cab());
  sign({}, "in.cab", "out/b.cab");
  tests::write_text(dir_ / "out/readme.txt", "text");
  std::filesystem::permissions(dir_ / "out/x64/a.sys", std::filesystem::perms(0640));
  const tests::Outcome outcome = timestamp({"--tsa", url("good"), "--all", file("out")});
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  expect_valid_long_after("out/x64/a.sys");
  const Bytes cab = tests::read_file(dir_ / "out/b.cab");
  EXPECT_TRUE(package::verify_cab(MemorySource(cab), roots(true), expired()).timestamp);
  EXPECT_EQ(tests::read_file(dir_ / "out/unsigned.sys"), tests::read_file(dir_ / "in.sys"));
  EXPECT_EQ(tests::read_text(dir_ / "out/readme.txt"), "text");
  EXPECT_EQ(std::filesystem::status(dir_ / "out/x64/a.sys").permissions(), std::filesystem::perms(0640));
}

TEST_F(TimestampCommand, CountersignaturesThatOsslsigncodeFetchedCountAndAreReplaced) {
  const tests::Outcome theirs = tests::run_program({"osslsigncode", "sign", "-certs", file("leaf.pem"), "-key", file("leaf.key"), "-h",
                                                    "sha256", "-t", url("legacy"), "-in", file("in.sys"), "-out", file("old.sys")});
  ASSERT_EQ(theirs.status, 0) << theirs.output;
  const package::Verdict old = verdict("old.sys", expired());
  EXPECT_TRUE(old.valid());
  EXPECT_TRUE(old.timestamp);
  EXPECT_TRUE(std::any_of(old.findings.begin(), old.findings.end(), [](const auto& finding) { return finding.id == "timestamp.legacy"; }));
  const Bytes before = tests::read_file(dir_ / "old.sys");
  EXPECT_FALSE(package::verify_pe(MemorySource(before), roots(false), expired()).valid());
  EXPECT_EQ(timestamp({"--tsa", url("good"), file("old.sys")}).status, 0);   // it has one
  EXPECT_EQ(tests::read_file(dir_ / "old.sys"), before);
  ASSERT_EQ(timestamp({"--again", "--tsa", url("good"), file("old.sys")}).status, 0);
  const package::Verdict again = verdict("old.sys", expired());   // osslsigncode's certificates may be out of order: a warning
  EXPECT_TRUE(again.valid() && again.timestamp);
  EXPECT_FALSE(std::any_of(again.findings.begin(), again.findings.end(), [](const auto& finding) { return finding.id == "timestamp.legacy"; }));
}

// What collect brings: files and receipt. The receipt key is a software key here.
TEST_F(TimestampCommand, StampsWhatTheReceiptSaysWasSignedAndTheReceiptStillFits) {
  std::filesystem::create_directories(dir_ / "got/files");
  std::filesystem::copy_file(dir_ / "signed.sys", dir_ / "got/files/a.sys");
  std::filesystem::copy_file(dir_ / "signed.sys", dir_ / "got/files/foreign.sys");
  auto key = keys::SubmitterKey::generate();
  tests::write_text(dir_ / "receipt.pem", key.public_key_pem());
  const auto leaf = crypto::certificates_from_pem(tests::read_text(dir_ / "leaf.pem"))->front();
  const auto signer = cms::SignedData::parse(primary("signed.sys"))->signers().front();
  const crypto::Digest flat = crypto::sha256(tests::read_file(dir_ / "signed.sys"));
  transparency::Receipt receipt = tests::sample_receipt();
  receipt.appliance.receipt_keyid = crypto::sha256(key.public_key_der()).hex();
  receipt.certificate->sha256 = leaf.fingerprint();
  receipt.key->spki_sha256 = crypto::sha256(leaf.public_key_der());
  receipt.signing_set->items = {{"a.sys", "primary", crypto::sha256(signer.signed_attributes_der)}};
  receipt.outputs = {{"a.sys", flat, transparency::OutputOperation::embedded},
                     {"foreign.sys", flat, transparency::OutputOperation::already_signed}};
  receipt.catalogs.clear();
  const auto text = transparency::Envelope::sign(transparency::kStatementPayloadType, tests::in_log(receipt, key).to_json().value(), key);
  tests::write_text(dir_ / "got/receipt.dsse.json", text->text());
  const auto verify = [&] {
    return coldseal({"verify", file("got/files"), "--receipt", file("got/receipt.dsse.json"), "--trust", file("receipt.pem"),
                     "--trust", file("root.pem"), "--trust", file("tsa-root.pem")});
  };
  const tests::Outcome before = verify();
  ASSERT_EQ(before.status, 0) << before.output;

  const tests::Outcome outcome = timestamp({"--trust", file("receipt.pem"), "--tsa", url("good"), "--all", file("got")});
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_EQ(crypto::sha256(tests::read_file(dir_ / "got/files/foreign.sys")), flat);   // not the appliance's signature
  expect_valid_long_after("got/files/a.sys");
  const tests::Outcome after = verify();
  EXPECT_EQ(after.status, 0) << after.output;
  // Anything else that changed is still noticed.
  sign({"--description", "something else"}, "in.sys", "other.sys");
  std::filesystem::copy_file(dir_ / "other.sys", dir_ / "got/files/a.sys", std::filesystem::copy_options::overwrite_existing);
  const tests::Outcome changed = verify();
  EXPECT_EQ(changed.status, 1);
  EXPECT_NE(changed.output.find("receipt.file-changed"), std::string::npos) << changed.output;
}

}  // namespace
