#include "usb/wire/request.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crypto/base/limits.hpp"

namespace wire {
namespace {

using base::Errc;

Request sample() {
  Request request;
  request.profile = "release";
  request.os_targets = {"10_X64", "10_RS5_ARM64"};
  request.operations = {Operation::embed, Operation::catalog};
  request.note = "build 1234 \xE2\x9C\x93";
  request.created = base::Time(std::chrono::seconds(1795450800));   // 2026-11-23T16:20:00Z
  request.nonce.fill(0x5A);
  request.files = {{"driver.inf", 5, crypto::sha256(base::as_bytes("hello"))},
                   {"x64/driver.sys", 0, crypto::sha256({})}};
  return request;
}

// Written by hand, so that writer and reader cannot agree on a mistake.
constexpr std::string_view kSampleJson =
    R"({"created":"2026-11-23T16:20:00Z","files":[)"
    R"({"path":"driver.inf","sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","size":5},)"
    R"({"path":"x64/driver.sys","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}],)"
    R"("nonce":"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a","note":"build 1234 ✓","operations":["embed","catalog"],)"
    R"("os":["10_X64","10_RS5_ARM64"],"profile":"release"})";

// The sample with one piece of its text replaced.
std::string edited(std::string_view from, std::string_view to) {
  std::string json(kSampleJson);
  const std::size_t at = json.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return json.replace(at, from.size(), to);
}

void expect_refused(const std::string& json, Errc code, std::string_view why) {
  const base::Result<Request> result = Request::from_json(json);
  ASSERT_FALSE(result) << json.substr(0, 400);
  EXPECT_EQ(result.error().code(), code) << result.error().text();
  EXPECT_NE(result.error().text().find(why), std::string::npos) << result.error().text();
}

TEST(Request, IsWrittenAsThePublishedForm) { EXPECT_EQ(sample().to_json(), kSampleJson); }

TEST(Request, ComesBackFromItsJson) {
  const base::Result<Request> read = Request::from_json(kSampleJson);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->to_json(), kSampleJson);
  EXPECT_EQ(read->profile, "release");
  EXPECT_EQ(read->operations.size(), 2U);
  EXPECT_EQ(read->files[1].path, "x64/driver.sys");
  EXPECT_EQ(read->id(), crypto::sha256(base::as_bytes(kSampleJson)).hex());
}

TEST(Request, RefusesUnknownAndMissingFields) {
  expect_refused(edited(R"("profile":"release"})", R"("profile":"release","x":1})"), Errc::malformed, "unknown field \"x\"");
  expect_refused(edited(R"(,"size":5})", R"(,"size":5,"x":1})"), Errc::malformed, "unknown field \"x\"");
  expect_refused(edited(R"("created":"2026-11-23T16:20:00Z",)", ""), Errc::malformed, "created: missing");
  expect_refused(edited(R"("nonce":"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",)", ""), Errc::malformed, "nonce: missing");
  expect_refused(edited(R"(,"profile":"release"})", "}"), Errc::malformed, "profile: missing");
  expect_refused(edited(R"("path":"driver.inf",)", ""), Errc::malformed, "path: missing");
  expect_refused("{}", Errc::malformed, "missing");
  expect_refused("[]", Errc::malformed, "not an object");
}

TEST(Request, RefusesJsonThatIsNotCanonical) {
  expect_refused(edited(R"("created":)", R"("created": )"), Errc::malformed, "canonical");
  expect_refused(std::string(kSampleJson) + "\n", Errc::malformed, "canonical");
  expect_refused(edited(R"("profile":"release"})", R"("profile":"release","profile":"release"})"), Errc::malformed, "canonical");
  expect_refused(edited("release", R"(\u0072elease)"), Errc::malformed, "canonical");
  expect_refused(edited(R"("size":5)", R"("size":5e0)"), Errc::malformed, "not whole");
  expect_refused(edited(R"("size":0)", R"("size":-0)"), Errc::malformed, "2^53");
  expect_refused(edited(R"("nonce")", R"("Nonce")"), Errc::malformed, "canonical");   // sorts elsewhere
  expect_refused(std::string(kSampleJson) + "x", Errc::malformed, "not JSON");
  expect_refused("", Errc::malformed, "not JSON");
}

TEST(Request, RefusesWrongKindsAndNumbers) {
  expect_refused(edited(R"("size":5)", R"("size":"5")"), Errc::malformed, "whole number");
  expect_refused(edited(R"("size":5)", R"("size":-5)"), Errc::malformed, "2^53");
  expect_refused(edited(R"("size":5)", R"("size":9007199254740992)"), Errc::malformed, "2^53");
  expect_refused(edited(R"("size":5)", R"("size":4294967296)"), Errc::malformed, "at most");
  expect_refused(edited(R"("profile":"release")", R"("profile":1)"), Errc::malformed, "not text");
  expect_refused(edited(R"("profile":"release")", R"("profile":"")"), Errc::malformed, "empty");
  expect_refused(edited(R"("profile":"release")", R"("profile":"../x")"), Errc::malformed, "not a name");
  expect_refused(edited(R"(["embed","catalog"])", R"({})"), Errc::malformed, "not a list");
}

TEST(Request, RefusesListsThatAreNotAsTheyShouldBe) {
  expect_refused(edited(R"(["embed","catalog"])", "[]"), Errc::malformed, "empty");
  expect_refused(edited(R"(["embed","catalog"])", R"(["catalog","embed"])"), Errc::malformed, "in the order");
  expect_refused(edited(R"(["embed","catalog"])", R"(["embed","embed"])"), Errc::malformed, "each once");
  expect_refused(edited(R"(["embed","catalog"])", R"(["timestamp"])"), Errc::malformed, "not an operation");
  expect_refused(edited(R"(["embed","catalog"])", R"(["catalog","page-hashes"])"), Errc::malformed, "page-hashes says how to embed or append");
  expect_refused(edited(R"(["10_X64","10_RS5_ARM64"])", "[]"), Errc::malformed, "empty");
  expect_refused(edited(R"("10_RS5_ARM64")", R"("10_x64")"), Errc::malformed, "given twice");
  expect_refused(edited(R"("10_RS5_ARM64")", R"("10 X64")"), Errc::malformed, "not a name");
}

TEST(Request, RefusesNonceTimeAndDigestOfAnotherShape) {
  expect_refused(edited("5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a", "5a5a"), Errc::malformed, "nonce: not 32 lower-case hex");
  expect_refused(edited("5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a", "5A5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"), Errc::malformed, "nonce");
  expect_refused(edited("2026-11-23T16:20:00Z", "2026-11-23T16:20:00+00:00"), Errc::malformed, "created");
  expect_refused(edited("2026-11-23T16:20:00Z", "2026-02-30T16:20:00Z"), Errc::malformed, "created");
  expect_refused(edited("2cf24dba", "2CF24dba"), Errc::malformed, "sha256");
}

TEST(Request, RefusesPathsThatAreNotAllowed) {
  expect_refused(edited("driver.inf", "../x.inf"), Errc::refused, "leads elsewhere");
  expect_refused(edited("driver.inf", "NUL.inf"), Errc::refused, "device name");
  expect_refused(edited("driver.inf", "X64/DRIVER.SYS"), Errc::refused, "differ only in case");
  expect_refused(edited("driver.inf", "x64"), Errc::refused, "file and a folder");
}

TEST(Request, RefusesFilesOutOfOrderOrTwice) {
  expect_refused(edited("driver.inf", "zz.inf"), Errc::malformed, "not sorted");
  expect_refused(edited("driver.inf", "x64/driver.sys"), Errc::malformed, "not sorted");
}

TEST(Request, HoldsItsLimits) {
  expect_refused(std::string(10U << 20, ' '), Errc::too_large, "at most");
  expect_refused(std::string(1000, '['), Errc::malformed, "nested deeper");
  Request request = sample();
  request.note = std::string(base::limits::kNoteBytes + 1, 'n');
  expect_refused(request.to_json(), Errc::malformed, "note");
  request = sample();
  request.files.clear();
  expect_refused(request.to_json(), Errc::malformed, "empty");
  for (std::size_t i = 0; i < 5; ++i)
    request.files.push_back({"f" + std::to_string(i), base::limits::kFileBytes, crypto::sha256({})});
  expect_refused(request.to_json(), Errc::too_large, "together");
  request.files.clear();
  for (std::size_t i = 0; i <= base::limits::kPackageFiles; ++i)
    request.files.push_back({"f" + std::to_string(100000 + i), 1, crypto::sha256({})});
  expect_refused(request.to_json(), Errc::malformed, "items");
  request.files.pop_back();
  EXPECT_TRUE(Request::from_json(request.to_json()));
}

TEST(Request, IdChangesWithEverythingInIt) {
  const std::string id = sample().id();
  EXPECT_TRUE(is_request_id(id));
  Request other = sample();
  other.nonce[15] ^= 1;
  EXPECT_NE(other.id(), id);
  other = sample();
  other.files[0].size = 6;
  EXPECT_NE(other.id(), id);
}

TEST(Request, GivesEachCatalogAnIdentifierOfItsOwn) {
  const Request request = sample();
  EXPECT_EQ(request.list_identifier("Driver.CAT"), request.list_identifier("driver.cat"));
  EXPECT_NE(request.list_identifier("a.cat"), request.list_identifier("b.cat"));
  Request other = sample();
  other.nonce[0] ^= 1;
  EXPECT_NE(other.list_identifier("a.cat"), request.list_identifier("a.cat"));
  // printf 'coldseal catalog list identifier\0ZZZZZZZZZZZZZZZZdriver.cat' | sha256sum
  EXPECT_EQ(base::hex(request.list_identifier("driver.cat")), "bbbb5504dbcb024aa103d909bff6cd44");
}

TEST(RequestId, IsSixtyFourLowerCaseHexDigits) {
  EXPECT_TRUE(is_request_id(std::string(64, 'a')));
  EXPECT_FALSE(is_request_id(std::string(64, 'A')));
  EXPECT_FALSE(is_request_id(std::string(63, 'a')));
  EXPECT_FALSE(is_request_id(std::string(65, 'a')));
  EXPECT_FALSE(is_request_id(".."));
}

}  // namespace
}  // namespace wire
