// Every key and digest that Coldseal signs with, judged by osslsigncode; EFI images judged by sbverify.
#include <gtest/gtest.h>

#include "crypto/formats/pe_image.hpp"
#include "tests/interop/authenticode_fixture.hpp"
#include "tests/support/cab_builder.hpp"
#include "tests/support/pe_builder.hpp"

namespace {

using base::Bytes;
using base::MemorySource;

class Algorithms : public tests::Authenticode {
 protected:
  void sign(std::vector<std::string> more, const std::string& in, const std::string& out) const {
    more.insert(more.end(), {"--replace", "--in", file(in), "--out", file(out)});
    const tests::Outcome outcome = test_signer(more);
    ASSERT_EQ(outcome.status, 0) << outcome.output;
  }
  tests::Outcome sbverify(const std::string& name) const {
    return tests::run_program({"sbverify", "--cert", file("root.pem"), file(name)});
  }
  void write_efi(const std::string& name) const {
    tests::PeDescription description = tests::driver_description();
    description.subsystem = 11;
    description.overlay = Bytes(13, 0x4F);
    tests::write_file(dir_ / name, tests::build_pe(description));
  }
};

TEST_F(Algorithms, OsslsigncodeTakesEveryKeyWithEveryDigest) {
  const std::vector<std::vector<std::string>> keys = {
      {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}, {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"},
      {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"}, {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
      {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"}};
  tests::write_file(dir_ / "in.sys", tests::driver_of_size(0x2003));
  tests::write_file(dir_ / "in.cab", tests::build_cab());
  for (const std::vector<std::string>& key : keys) {
    make_certificates(key);
    for (const std::string digest : {"sha256", "sha384", "sha512"}) {
      SCOPED_TRACE(key.back() + " " + digest);
      if (key[1] == "EC" && digest == "sha512") {   // no signature algorithm identifier of ours goes with it
        EXPECT_NE(test_signer({"--digest", digest, "--in", file("in.sys"), "--out", file("no.sys")}).status, 0);
        continue;
      }
      sign({"--digest", digest}, "in.sys", "out.sys");
      expect_both_accept("out.sys");
      EXPECT_EQ(crypto::digest_name(our_verdict("out.sys").file_digest->algorithm()), digest);   // of the image as well
      sign({"--digest", digest}, "in.cab", "out.cab");
      const tests::Outcome theirs = osslsigncode_verify("out.cab");
      EXPECT_EQ(theirs.status, 0) << theirs.output;
      Bytes bad = tests::read_file(dir_ / "out.sys");
      bad.at(0x600) ^= 1;
      tests::write_file(dir_ / "bad.sys", bad);
      expect_both_refuse("bad.sys");
    }
  }
}

TEST_F(Algorithms, DualSignaturesAreSha1WithAnotherNestedAndOsslsigncodeTakesBoth) {
  make_rsa();
  tests::write_file(dir_ / "in.sys", tests::driver_of_size(0x2003));
  sign({"--dual", "--page-hashes"}, "in.sys", "dual.sys");
  const tests::Outcome theirs = osslsigncode_verify("dual.sys");
  EXPECT_EQ(theirs.status, 0) << theirs.output;
  EXPECT_NE(theirs.output.find("SHA1"), std::string::npos) << theirs.output;
  EXPECT_NE(theirs.output.find("SHA256"), std::string::npos) << theirs.output;
  const package::Verdict ours = our_verdict("dual.sys");
  EXPECT_TRUE(ours.valid());
  EXPECT_EQ(ours.signatures, 2U);
  EXPECT_EQ(ours.file_digest->algorithm(), crypto::DigestAlgorithm::sha1);
  ASSERT_EQ(ours.findings.size(), 1U);
  EXPECT_EQ(ours.findings.front().id, "signature.sha1");
  Bytes bad = tests::read_file(dir_ / "dual.sys");
  bad.at(0x600) ^= 1;
  tests::write_file(dir_ / "bad.sys", bad);
  expect_both_refuse("bad.sys");
}

TEST_F(Algorithms, Sha1IsSignedOnlyInDualSignaturesWithRsa) {
  make_p256();
  tests::write_file(dir_ / "in.sys", tests::driver_of_size(0x2003));
  for (const std::vector<std::string>& more : {std::vector<std::string>{"--dual"}, {"--digest", "sha1"}}) {
    std::vector<std::string> arguments = more;
    arguments.insert(arguments.end(), {"--in", file("in.sys"), "--out", file("no.sys")});
    const tests::Outcome outcome = test_signer(arguments);
    EXPECT_NE(outcome.status, 0) << outcome.output;
    EXPECT_FALSE(std::filesystem::exists(dir_ / "no.sys"));
  }
}

TEST_F(Algorithms, SbverifyTakesSignedEfiImages) {   // SHA-256 is what it knows
  for (const std::vector<std::string>& key : {std::vector<std::string>{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
                                              {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"},
                                              {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}}) {
    make_certificates(key);
    write_efi("in.efi");
    sign({}, "in.efi", "out.efi");
    const tests::Outcome taken = sbverify("out.efi");
    EXPECT_EQ(taken.status, 0) << taken.output;
    EXPECT_NE(taken.output.find("Signature verification OK"), std::string::npos) << taken.output;
    Bytes bad = tests::read_file(dir_ / "out.efi");
    bad.at(0x600) ^= 1;
    tests::write_file(dir_ / "bad.efi", bad);
    EXPECT_NE(sbverify("bad.efi").status, 0);
  }
}

TEST_F(Algorithms, SbverifyTakesAnEfiImageWithTwoSignaturesSideBySide) {
  make_rsa();
  write_efi("in.efi");
  sign({}, "in.efi", "one.efi");
  sign({"--description", "second"}, "in.efi", "other.efi");
  const std::string coldseal = std::string(COLDSEAL_BIN_DIR) + "/coldseal";
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), coldseal);
    const tests::Outcome outcome = tests::run_program(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.output;
    return outcome.output;
  };
  run({"signature", "extract", file("other.efi"), "-o", file("other.der")});
  run({"signature", "attach", file("one.efi"), file("other.der"), "--entry", "-o", file("two.efi")});
  const tests::Outcome listed = tests::run_program({"sbverify", "--list", file("two.efi")});
  EXPECT_NE(listed.output.find("signature 2"), std::string::npos) << listed.output;
  EXPECT_EQ(sbverify("two.efi").status, 0);
  EXPECT_NE(run({"signature", "list", file("two.efi")}).find("entry 2"), std::string::npos);
  // Firmware tries both: so does the policy uefi.
  EXPECT_NE(run({"verify", file("two.efi"), "--policy", "uefi", "--trust", file("root.pem")}).find("valid"), std::string::npos);
  // Only EFI images hold more than one.
  tests::write_file(dir_ / "in.sys", tests::build_pe(tests::driver_description()));
  sign({}, "in.sys", "one.sys");
  run({"signature", "extract", file("one.sys"), "-o", file("one.der")});
  const tests::Outcome refused = tests::run_program({coldseal, "signature", "attach", file("one.sys"), file("one.der"), "--entry",
                                                     "-o", file("no.sys")});
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_FALSE(std::filesystem::exists(dir_ / "no.sys"));
}

}  // namespace
