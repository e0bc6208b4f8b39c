// Page hashes, appended signatures and editing, judged by osslsigncode; and osslsigncode's own form, byte for byte.
#include <gtest/gtest.h>

#include "crypto/cms/signature_edit.hpp"
#include "crypto/formats/pe_image.hpp"
#include "tests/interop/authenticode_fixture.hpp"
#include "tests/interop/recent_osslsigncode.hpp"
#include "tests/support/pe_builder.hpp"

namespace {

using base::Bytes;
using base::MemorySource;
using tests::Authenticode;

class SignatureForms : public Authenticode {
 protected:
  void sign(std::vector<std::string> more, const std::string& in, const std::string& out) const {
    more.insert(more.end(), {"--in", file(in), "--out", file(out)});
    const tests::Outcome outcome = test_signer(more);
    ASSERT_EQ(outcome.status, 0) << outcome.output;
  }
  tests::Outcome coldseal(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), std::string(COLDSEAL_BIN_DIR) + "/coldseal");
    return tests::run_program(arguments);
  }
  Bytes primary(std::string_view name) const {
    const Bytes bytes = tests::read_file(dir_ / name);
    const MemorySource source(bytes);
    return formats::PeImage::parse(source)->certificates(source)->front().der;
  }
};

Bytes three_sections(std::size_t odd = 0) {
  tests::PeDescription description = tests::driver_description();
  description.sections.push_back({".data", 0xC0000040, Bytes(0x5200, 0x11)});
  description.sections.push_back({".rsrc", 0x40000040, Bytes(0x1000, 0x22)});
  description.overlay = Bytes(odd, 0x33);
  return tests::build_pe(description);
}

TEST_F(SignatureForms, OsslsigncodesFormIsItsBytes) {
  const std::string program = tests::recent_osslsigncode();
  if (program.empty()) GTEST_SKIP() << tests::kNoRecentOsslsigncode;
  make_rsa();
  for (const bool page_hashes : {false, true})
    for (const std::size_t odd : {0U, 3U, 1000U}) {
      tests::write_file(dir_ / "in.sys", three_sections(odd));
      std::filesystem::remove(dir_ / "theirs.sys");
      std::vector<std::string> theirs = {program, "sign", "-certs", file("leaf.pem"), "-key", file("leaf.key"), "-h",
                                         "sha256", "-time", "1700000000"};
      std::vector<std::string> ours = {"--form", "osslsigncode", "--signing-time", "1700000000"};
      if (page_hashes) {
        theirs.emplace_back("-ph");
        ours.emplace_back("--page-hashes");
      }
      theirs.insert(theirs.end(), {"-in", file("in.sys"), "-out", file("theirs.sys")});
      const tests::Outcome outcome = tests::run_program(theirs);
      ASSERT_EQ(outcome.status, 0) << outcome.output;
      sign(ours, "in.sys", "ours.sys");
      EXPECT_EQ(tests::read_file(dir_ / "ours.sys"), tests::read_file(dir_ / "theirs.sys"))
          << (page_hashes ? "with" : "without") << " page hashes, " << odd << " bytes of overlay";
    }
}

TEST_F(SignatureForms, OsslsigncodeTakesOurPageHashesAndRefusesOthers) {
  make_rsa();
  tests::write_file(dir_ / "in.sys", three_sections());
  sign({"--page-hashes"}, "in.sys", "out.sys");
  expect_both_accept("out.sys");
  const tests::Outcome theirs = osslsigncode_verify("out.sys");
  EXPECT_NE(theirs.output.find("Page hash"), std::string::npos) << theirs.output;
  Bytes bad = tests::read_file(dir_ / "out.sys");
  bad.at(0x1000) ^= 1;
  tests::write_file(dir_ / "bad.sys", bad);
  expect_both_refuse("bad.sys");
  const package::Verdict verdict = our_verdict("bad.sys");
  EXPECT_TRUE(std::ranges::any_of(verdict.findings, [](const auto& finding) { return finding.id == "pe.page-hashes"; }));
}

TEST_F(SignatureForms, AnAppendedSignatureLeavesTheFirstAsItWasAndBothAreGood) {
  make_rsa();
  tests::write_file(dir_ / "in.sys", three_sections(5));
  sign({}, "in.sys", "one.sys");
  sign({"--append", "--digest", "sha384"}, "one.sys", "two.sys");
  expect_both_accept("two.sys");
  EXPECT_EQ(our_verdict("two.sys").signatures, 2U);
  EXPECT_EQ(our_verdict("two.sys").approved_digest, our_verdict("one.sys").approved_digest);
  const auto nested = cms::nested_signatures(primary("two.sys"));
  ASSERT_EQ(nested->size(), 1U);
  // A nested signature is judged like any other.
  Bytes wrong = nested->front();
  wrong.at(wrong.size() - 20) ^= 1;
  tests::write_file(dir_ / "wrong.der", wrong);
  ASSERT_EQ(coldseal({"signature", "attach", file("one.sys"), file("wrong.der"), "--append", "-o", file("bad.sys")}).status, 0);
  EXPECT_FALSE(our_verdict("bad.sys").valid());
}

TEST_F(SignatureForms, RemovedSignaturesLeaveTheFileThatOsslsigncodeLeaves) {
  make_rsa();
  tests::write_file(dir_ / "in.sys", three_sections(5));
  sign({}, "in.sys", "signed.sys");
  const tests::Outcome ours = coldseal({"signature", "remove", file("signed.sys"), "-o", file("ours.sys")});
  ASSERT_EQ(ours.status, 0) << ours.output;
  const tests::Outcome theirs =
      tests::run_program({"osslsigncode", "remove-signature", "-in", file("signed.sys"), "-out", file("theirs.sys")});
  ASSERT_EQ(theirs.status, 0) << theirs.output;
  EXPECT_EQ(tests::read_file(dir_ / "ours.sys"), tests::read_file(dir_ / "theirs.sys"));
  // Signing what is left gives the file as it was: padding stayed, so the digest did.
  sign({}, "ours.sys", "again.sys");
  EXPECT_EQ(tests::read_file(dir_ / "again.sys"), tests::read_file(dir_ / "signed.sys"));
}

TEST_F(SignatureForms, AnExtractedSignatureCanBeAttachedAgainAndOnlyToItsFile) {
  make_rsa();
  tests::write_file(dir_ / "in.sys", three_sections());
  tests::write_file(dir_ / "other.sys", three_sections(8));
  sign({"--page-hashes"}, "in.sys", "signed.sys");
  ASSERT_EQ(coldseal({"signature", "extract", file("signed.sys"), "-o", file("signature.der")}).status, 0);
  EXPECT_EQ(tests::read_file(dir_ / "signature.der"), primary("signed.sys"));
  const tests::Outcome attached =
      coldseal({"signature", "attach", file("in.sys"), file("signature.der"), "-o", file("attached.sys")});
  ASSERT_EQ(attached.status, 0) << attached.output;
  EXPECT_EQ(tests::read_file(dir_ / "attached.sys"), tests::read_file(dir_ / "signed.sys"));
  const tests::Outcome refused =
      coldseal({"signature", "attach", file("other.sys"), file("signature.der"), "-o", file("no.sys")});
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_FALSE(std::filesystem::exists(dir_ / "no.sys"));
}

TEST_F(SignatureForms, NoFolderIsReplacedByAFile) {
  make_rsa();
  tests::write_file(dir_ / "in.sys", three_sections());
  sign({}, "in.sys", "signed.sys");
  std::filesystem::create_directory(dir_ / "folder");
  tests::write_text(dir_ / "folder/file", "kept");
  ASSERT_EQ(coldseal({"signature", "extract", file("signed.sys"), "-o", file("signature.der")}).status, 0);
  for (const std::vector<std::string>& words : {std::vector<std::string>{"signature", "remove", file("signed.sys")},
                                                {"signature", "attach", file("in.sys"), file("signature.der")},
                                                {"signature", "extract", file("signed.sys")}}) {
    std::vector<std::string> command = words;
    command.insert(command.end(), {"-o", file("folder")});
    const tests::Outcome refused = coldseal(command);
    EXPECT_EQ(refused.status, 1) << words[1] << refused.output;
    EXPECT_NE(refused.output.find("a folder"), std::string::npos) << refused.output;
    EXPECT_EQ(tests::read_text(dir_ / "folder/file"), "kept") << words[1];
  }
}

TEST_F(SignatureForms, ListShowsEverySignature) {
  make_rsa();
  tests::write_file(dir_ / "in.sys", three_sections());
  sign({"--page-hashes"}, "in.sys", "one.sys");
  sign({"--append", "--digest", "sha384"}, "one.sys", "two.sys");
  const tests::Outcome listed = coldseal({"signature", "list", file("two.sys")});
  EXPECT_EQ(listed.status, 0);
  for (const char* const wanted : {"primary", "nested 1", "sha384", "SHA-256", "Interop Leaf"})
    EXPECT_NE(listed.output.find(wanted), std::string::npos) << wanted << "\n" << listed.output;
}

}  // namespace
