// Cabinets: the bytes of osslsigncode, verdicts both ways, and what cabextract and gcab make of signed ones.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "crypto/cms/signature_edit.hpp"
#include "crypto/formats/cab_file.hpp"
#include "tests/interop/authenticode_fixture.hpp"
#include "tests/interop/recent_osslsigncode.hpp"
#include "tests/support/cab_builder.hpp"

namespace {

using base::Bytes;
using base::MemorySource;

class Cabinet : public tests::Authenticode {
 protected:
  void SetUp() override { make_rsa(); }
  void sign(std::vector<std::string> more, const std::string& in, const std::string& out) const {
    more.insert(more.end(), {"--in", file(in), "--out", file(out)});
    const tests::Outcome outcome = test_signer(more);
    ASSERT_EQ(outcome.status, 0) << outcome.output;
  }
  tests::Outcome coldseal(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), std::string(COLDSEAL_BIN_DIR) + "/coldseal");
    return tests::run_program(arguments);
  }
  // A cabinet with compressed files in it, by somebody else.
  void make_with_gcab(const std::string& name) const {
    tests::write_text(dir_ / "a.inf", std::string(5000, 'a'));
    tests::write_file(dir_ / "b.sys", Bytes(70000, 0x42));
    const tests::Outcome made = tests::run_program({"gcab", "-c", "-n", "-z", file(name), file("a.inf"), file("b.sys")});
    ASSERT_EQ(made.status, 0) << made.output;
  }
  package::Verdict cab_verdict(std::string_view name) const {
    const Bytes bytes = tests::read_file(dir_ / name);
    const auto roots = crypto::certificates_from_pem(tests::read_text(dir_ / "root.pem"));
    const auto leaf = crypto::certificates_from_pem(tests::read_text(dir_ / "leaf.pem"));
    return package::verify_cab(MemorySource(bytes), *roots, leaf->front().not_before() + std::chrono::hours(24));
  }
  void expect_both_take(std::string_view name) const {
    const tests::Outcome theirs = osslsigncode_verify(name);
    EXPECT_EQ(theirs.status, 0) << theirs.output;
    const package::Verdict ours = cab_verdict(name);
    for (const package::Finding& finding : ours.findings) ADD_FAILURE() << finding.id << ": " << finding.cause;
  }
};

TEST_F(Cabinet, OsslsigncodesFormIsItsBytes) {
  const std::string program = tests::recent_osslsigncode();
  if (program.empty()) GTEST_SKIP() << tests::kNoRecentOsslsigncode;
  make_with_gcab("gcab.cab");
  tests::write_file(dir_ / "one.cab", tests::build_cab());
  tests::write_file(dir_ / "two.cab", tests::build_cab({{{"one", "two"}, {"three"}}, 0, {}}));
  for (const std::string name : {"gcab.cab", "one.cab", "two.cab"}) {
    std::filesystem::remove(dir_ / "theirs.cab");
    const tests::Outcome outcome =
        tests::run_program({program, "sign", "-certs", file("leaf.pem"), "-key", file("leaf.key"), "-h", "sha256", "-time",
                            "1700000000", "-in", file(name), "-out", file("theirs.cab")});
    ASSERT_EQ(outcome.status, 0) << outcome.output;
    sign({"--form", "osslsigncode", "--signing-time", "1700000000"}, name, "ours.cab");
    EXPECT_EQ(tests::read_file(dir_ / "ours.cab"), tests::read_file(dir_ / "theirs.cab")) << name;
  }
}

TEST_F(Cabinet, SignedCabinetsAreReadByCabextractAndGcabAsBefore) {
  make_with_gcab("in.cab");
  sign({}, "in.cab", "signed.cab");
  expect_both_take("signed.cab");
  sign({"--append", "--digest", "sha384"}, "signed.cab", "two.cab");
  for (const std::string name : {"signed.cab", "two.cab"}) {
    const tests::Outcome tested = tests::run_program({"cabextract", "-t", file(name)});
    EXPECT_EQ(tested.status, 0) << tested.output;
    EXPECT_NE(tested.output.find("a.inf  OK"), std::string::npos) << tested.output;
    EXPECT_NE(tested.output.find("b.sys  OK"), std::string::npos) << tested.output;
    const tests::Outcome listed = tests::run_program({"gcab", "-t", file(name)});
    EXPECT_EQ(listed.status, 0) << listed.output;
    const tests::Outcome extracted = tests::run_program({"gcab", "-x", "-C", file("out"), file(name)});
    EXPECT_EQ(extracted.status, 0) << extracted.output;
    EXPECT_EQ(tests::read_file(dir_ / "out/b.sys"), Bytes(70000, 0x42));
    std::filesystem::remove_all(dir_ / "out");
  }
}

TEST_F(Cabinet, AnAreaThatWasReservedIsUsedOrReplaced) {
  for (const std::size_t size : {20U, 24U, 6144U}) {
    tests::CabDescription description;
    description.reserve = Bytes(size);
    tests::write_file(dir_ / "in.cab", tests::build_cab(description));
    sign({}, "in.cab", "signed.cab");
    expect_both_take("signed.cab");
    EXPECT_EQ(tests::run_program({"cabextract", "-t", file("signed.cab")}).status, 0) << size;
    std::filesystem::remove(dir_ / "signed.cab");
  }
}

TEST_F(Cabinet, WeTakeWhatOsslsigncodeSignsAndBothRefuseItTamperedWith) {
  make_with_gcab("in.cab");
  const tests::Outcome outcome = tests::run_program({"osslsigncode", "sign", "-certs", file("leaf.pem"), "-key", file("leaf.key"),
                                                     "-h", "sha256", "-in", file("in.cab"), "-out", file("theirs.cab")});
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  expect_both_take("theirs.cab");
  const Bytes good = tests::read_file(dir_ / "theirs.cab");
  for (const std::size_t at : {70U, 100U, 200U}) {   // folder table, file table, data
    Bytes bad = good;
    bad.at(at) ^= 1;
    tests::write_file(dir_ / "bad.cab", bad);
    EXPECT_NE(osslsigncode_verify("bad.cab").status, 0) << at;
    EXPECT_FALSE(cab_verdict("bad.cab").valid()) << at;
  }
  sign({"--replace"}, "theirs.cab", "ours.cab");
  sign({}, "in.cab", "direct.cab");
  EXPECT_EQ(tests::read_file(dir_ / "ours.cab"), tests::read_file(dir_ / "direct.cab"));
}

TEST_F(Cabinet, SignaturesAreListedRemovedExtractedAndAttached) {
  make_with_gcab("in.cab");
  sign({}, "in.cab", "signed.cab");
  const tests::Outcome listed = coldseal({"signature", "list", file("signed.cab")});
  EXPECT_EQ(listed.status, 0) << listed.output;
  for (const char* const wanted : {"primary", "sha256", "Interop Leaf"})
    EXPECT_NE(listed.output.find(wanted), std::string::npos) << listed.output;
  ASSERT_EQ(coldseal({"signature", "remove", file("signed.cab"), "-o", file("bare.cab")}).status, 0);
  EXPECT_EQ(tests::read_file(dir_ / "bare.cab"), tests::read_file(dir_ / "in.cab"));
  ASSERT_EQ(coldseal({"signature", "extract", file("signed.cab"), "-o", file("s.der")}).status, 0);
  const tests::Outcome attached = coldseal({"signature", "attach", file("bare.cab"), file("s.der"), "-o", file("back.cab")});
  ASSERT_EQ(attached.status, 0) << attached.output;
  EXPECT_EQ(tests::read_file(dir_ / "back.cab"), tests::read_file(dir_ / "signed.cab"));
  tests::write_file(dir_ / "other.cab", tests::build_cab());
  EXPECT_EQ(coldseal({"signature", "attach", file("other.cab"), file("s.der"), "-o", file("no.cab")}).status, 1);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "no.cab"));
  // The second one of two goes, the first stays as it was.
  sign({"--append", "--digest", "sha384"}, "signed.cab", "two.cab");
  ASSERT_EQ(coldseal({"signature", "remove", file("two.cab"), "--nested", "1", "-o", file("one.cab")}).status, 0);
  EXPECT_EQ(tests::read_file(dir_ / "one.cab"), tests::read_file(dir_ / "signed.cab"));
}

TEST_F(Cabinet, DualSignaturesAreSha1WithSha256Nested) {
  make_with_gcab("in.cab");
  sign({"--dual"}, "in.cab", "dual.cab");
  const tests::Outcome theirs = osslsigncode_verify("dual.cab");
  EXPECT_EQ(theirs.status, 0) << theirs.output;
  const package::Verdict ours = cab_verdict("dual.cab");
  EXPECT_TRUE(ours.valid());
  EXPECT_EQ(ours.signatures, 2U);
  ASSERT_EQ(ours.findings.size(), 1U);
  EXPECT_EQ(ours.findings.front().id, "signature.sha1");
}

}  // namespace
