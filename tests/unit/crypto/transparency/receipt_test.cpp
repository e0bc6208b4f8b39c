#include "crypto/transparency/receipt.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "crypto/base/limits.hpp"
#include "crypto/transparency/canonical_json.hpp"
#include "tests/support/sample_receipt.hpp"
#include "tests/support/software_key.hpp"

namespace transparency {
namespace {

using tests::sample_receipt;
using tests::sample_refused_receipt;

TEST(Receipt, ComesBackFromItsJson) {
  for (const Receipt& receipt : {sample_receipt(), sample_refused_receipt()}) {
    const base::Result<std::string> json = receipt.to_json();
    ASSERT_TRUE(json) << json.error().text();
    const base::Result<Receipt> read = Receipt::from_json(*json);
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(*read->to_json(), *json);
  }
  const Receipt read = *Receipt::from_json(*sample_receipt().to_json());
  EXPECT_EQ(read.key->officers, 2U);
  EXPECT_EQ(read.approvals[1].officer, "ben");
  EXPECT_EQ(read.outputs[2].operation, OutputOperation::embedded);
  EXPECT_EQ(read.signing_set->fingerprint(), sample_receipt().signing_set->fingerprint());
}

TEST(Receipt, IsAnInTotoStatement) {
  const Json json = Json::parse(*sample_receipt().to_json());
  EXPECT_EQ(json["_type"], "https://in-toto.io/Statement/v1");
  EXPECT_EQ(json["predicateType"], "urn:coldseal:receipt:v1");
  EXPECT_EQ(json["subject"][0]["name"], "driver.cat");
  EXPECT_EQ(json["subject"][0]["digest"]["sha256"], crypto::sha256(base::as_bytes("catalog")).hex());
  EXPECT_EQ(json["predicate"]["request"]["id"], std::string(64, 'a'));
}

TEST(Receipt, OfARefusalHasTheRequestAsItsSubject) {
  const Json json = Json::parse(*sample_refused_receipt().to_json());
  EXPECT_EQ(json["subject"], Json::array({{{"digest", {{"sha256", std::string(64, 'a')}}}, {"name", "request"}}}));
}

void expect_not_made(Receipt receipt, std::string_view why) {
  const base::Result<std::string> json = receipt.to_json();
  ASSERT_FALSE(json) << why;
  EXPECT_NE(json.error().text().find(why), std::string::npos) << json.error().text();
}

TEST(Receipt, SaysWhatTheTpmProvesOnlyWhereItSigned) {
  const Json signed_json = Json::parse(*sample_receipt().to_json())["predicate"];
  EXPECT_EQ(signed_json["key"]["proof"], "tpm");
  EXPECT_EQ(signed_json["signingSet"]["proof"], "tpm");
  for (const char* const group : {"appliance", "approvals", "certificate", "findings", "log", "outputs", "request", "result"})
    EXPECT_EQ(signed_json[group]["proof"], "stated") << group;
  Receipt rejected = sample_receipt();
  rejected.outcome = Outcome::rejected;
  rejected.reason = "wrong version";
  rejected.rejection = Receipt::Rejection{"ben", rejected.created};
  rejected.outputs.clear();
  rejected.catalogs.clear();
  expect_not_made(rejected, "does not say what became of this request");   // the line still says that it was signed
  tests::SoftwareKey key = tests::SoftwareKey::generate_p256();
  rejected = tests::in_log(rejected, key);
  const base::Result<std::string> text = rejected.to_json();
  ASSERT_TRUE(text) << text.error().text();
  const Json rejected_json = Json::parse(*text)["predicate"];
  EXPECT_EQ(rejected_json["key"]["proof"], "stated");
  EXPECT_EQ(rejected_json["signingSet"]["proof"], "stated");
  EXPECT_EQ(rejected_json["result"]["rejectedBy"]["officer"], "ben");
}

Receipt changed(const std::function<void(Receipt&)>& change) {
  Receipt receipt = sample_receipt();
  change(receipt);
  return receipt;
}

TEST(Receipt, IsNotMadeWhenItsGroupsDisagree) {
  expect_not_made(changed([](Receipt& r) { r.approvals.pop_back(); }), "1 approvals for a key of 2 officers");
  expect_not_made(changed([](Receipt& r) { r.approvals[1].officer = "ana"; }), "approved twice");
  expect_not_made(changed([](Receipt& r) { r.key->officers = 0; }), "approvals for a key of 0");
  expect_not_made(changed([](Receipt& r) { r.certificate.reset(); }), "is missing");
  expect_not_made(changed([](Receipt& r) { r.signing_set.reset(); }), "is missing");
  expect_not_made(changed([](Receipt& r) { r.submitter.reset(); }), "is missing");
  expect_not_made(changed([](Receipt& r) { r.reason = "because"; }), "a reason stands exactly where");
  expect_not_made(changed([](Receipt& r) { r.rejection = Receipt::Rejection{"ana", {}}; }), "disagree");
  expect_not_made(changed([](Receipt& r) { r.outcome = Outcome::rejected; r.reason = "no"; }), "has outputs");
  expect_not_made(changed([](Receipt& r) { r.catalogs.clear(); }), "catalogs");
  expect_not_made(changed([](Receipt& r) { r.catalogs = {"driver.sys"}; }), "catalogs");
  expect_not_made(changed([](Receipt& r) { r.outputs.clear(); }), "");
  expect_not_made(changed([](Receipt& r) { std::swap(r.outputs[0], r.outputs[1]); }), "not sorted");
  expect_not_made(changed([](Receipt& r) { r.outputs[1].path = "driver.cat"; }), "not sorted");
}

TEST(Receipt, IsNotMadeOfBrokenFields) {
  expect_not_made(changed([](Receipt& r) { r.request_id = "abc"; }), "id: not 64");
  expect_not_made(changed([](Receipt& r) { r.log.head = ""; }), "head");
  expect_not_made(changed([](Receipt& r) { r.appliance.mode = "testing"; }), "mode");
  expect_not_made(changed([](Receipt& r) { r.findings[0].severity = "fatal"; }), "severity");
  expect_not_made(changed([](Receipt& r) { r.approvals[0].officer = "a\x1B[2J"; }), "do not show");
  expect_not_made(changed([](Receipt& r) { r.approvals[0].officer = ""; }), "officer: empty");
  expect_not_made(changed([](Receipt& r) { r.key->name.pop_back(); r.signing_set->key_name.pop_back(); }), "name");
}

TEST(Receipt, IsNotMadeWhenItsLogLineSaysSomethingElse) {
  const Receipt another = changed([](Receipt& r) { r.request_id = std::string(64, 'e'); });
  expect_not_made(another, "does not say what became of this request");
  expect_not_made(changed([](Receipt& r) { r.signing_set->items.pop_back(); }), "does not say that this request's signing set was signed");
  expect_not_made(changed([](Receipt& r) { r.outputs[0].sha256 = crypto::sha256({}); }), "about other outputs");
  expect_not_made(changed([](Receipt& r) { r.log.index = 16; }), "index and head are not those of the line");
  expect_not_made(changed([](Receipt& r) { r.log.line.replace(r.log.line.find("signed"), 6, "refused"); }), "index and head are not");
  expect_not_made(changed([](Receipt& r) { r.log.line = "{}"; }), "log: line");
  expect_not_made(changed([](Receipt& r) { r.log.tlog_proof.replace(r.log.tlog_proof.find("index 17"), 8, "index 16"); }), "about another line");
  expect_not_made(changed([](Receipt& r) { r.log.tlog_proof.replace(r.log.tlog_proof.find("\n18\n"), 4, "\n19\n"); }), "log");
  expect_not_made(changed([](Receipt& r) { r.log.tlog_proof.clear(); }), "tlogProof");
}

TEST(Receipt, EscapesTextThatIsNotUtf8) {
  const Receipt receipt = changed([](Receipt& r) { r.findings[0].cause = "bad \xFF byte"; });
  const base::Result<std::string> json = receipt.to_json();
  ASSERT_TRUE(json) << json.error().text();
  EXPECT_EQ(Receipt::from_json(*json)->findings[0].cause, "bad \\xff byte");
}

void expect_refused(const std::function<void(Json&)>& change, std::string_view why) {
  Json json = Json::parse(*sample_receipt().to_json());
  change(json);
  const base::Result<Receipt> read = Receipt::from_json(canonical(json));
  ASSERT_FALSE(read) << why;
  EXPECT_EQ(read.error().code(), base::Errc::malformed);
  EXPECT_NE(read.error().text().find(why), std::string::npos) << read.error().text();
}

TEST(Receipt, RefusesWhatWasAltered) {
  expect_refused([](Json& j) { j["x"] = 1; }, "unknown field");
  expect_refused([](Json& j) { j["predicate"]["x"] = 1; }, "unknown field");
  expect_refused([](Json& j) { j["predicate"]["key"]["x"] = 1; }, "unknown field");
  expect_refused([](Json& j) { j["predicate"].erase("log"); }, "log: missing");
  expect_refused([](Json& j) { j["_type"] = "https://in-toto.io/Statement/v0.1"; }, "_type");
  expect_refused([](Json& j) { j["predicateType"] = "urn:coldseal:receipt:v2"; }, "predicateType");
  expect_refused([](Json& j) { j["predicate"]["signingSet"]["items"][0]["file"] = "other.sys"; }, "fingerprint");
  expect_refused([](Json& j) { j["predicate"]["signingSet"]["words"] = "zoo zoo zoo zoo zoo zoo zoo zoo"; }, "words");
  expect_refused([](Json& j) { j["predicate"]["signingSet"]["items"][0]["digest"] = "md5:00"; }, "is not a digest");
  expect_refused([](Json& j) { j["predicate"]["key"]["name"] = std::string(68, '1'); }, "fingerprint");
  expect_refused([](Json& j) { j["predicate"]["key"] = nullptr; }, "there is no key");
  expect_refused([](Json& j) { j["predicate"]["key"]["proof"] = "stated"; }, "proof");
  expect_refused([](Json& j) { j["predicate"]["log"]["proof"] = "tpm"; }, "proof");
  expect_refused([](Json& j) { j["predicate"]["result"]["outcome"] = "done"; }, "none of the words");
  expect_refused([](Json& j) { j["predicate"]["outputs"]["files"][0]["operation"] = "moved"; }, "none of the words");
  expect_refused([](Json& j) { j["predicate"]["outputs"]["files"][0]["path"] = "x"; }, "path");
  expect_refused([](Json& j) { j["subject"].push_back(j["subject"][0]); }, "not the same files");
  expect_refused([](Json& j) { j["subject"].erase(0); }, "path");
  expect_refused([](Json& j) { j["subject"][0]["digest"]["sha1"] = "00"; }, "unknown field");
}

TEST(Receipt, HasRoomForALargestPackageAndItsCatalogs) {
  Receipt receipt = changed([](Receipt& r) {
    for (std::size_t i = r.outputs.size(); i < base::limits::kOutputFiles; ++i)
      r.outputs.push_back({"z" + std::to_string(100000 + i), crypto::sha256({}), OutputOperation::unchanged});
  });
  tests::SoftwareKey key = tests::SoftwareKey::generate_p256();
  receipt = tests::in_log(receipt, key);
  EXPECT_TRUE(receipt.to_json());
  expect_not_made(changed([&](Receipt& r) {
                    r.outputs = receipt.outputs;
                    r.outputs.push_back({"zz", crypto::sha256({}), OutputOperation::unchanged});
                  }),
                  "items, at most");
}

TEST(Receipt, RefusesJsonThatIsNotCanonicalOrTooLarge) {
  EXPECT_FALSE(Receipt::from_json(*sample_receipt().to_json() + " "));
  EXPECT_EQ(Receipt::from_json(std::string((16U << 20) + 1, ' ')).error().code(), base::Errc::too_large);
}

}  // namespace
}  // namespace transparency
