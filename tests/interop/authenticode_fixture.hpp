// Certificates by openssl, signatures by test-signer, verdicts by osslsigncode and by us.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "crypto/certificate.hpp"
#include "crypto/package/verification.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {

class Authenticode : public testing::Test {  // a root, and below it a leaf for code signing
 protected:
  void make_certificates(const std::vector<std::string>& leaf_key, std::string_view purpose = "codeSigning") {
    openssl({"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", file("root.key")});
    openssl({"req", "-x509", "-new", "-key", file("root.key"), "-subj", "/C=DE/O=Interop/CN=Interop Root", "-days",
             "3650", "-sha384", "-addext", "keyUsage=critical,keyCertSign", "-out", file("root.pem")});
    std::vector<std::string> key = {"genpkey", "-out", file("leaf.key")};
    key.insert(key.end(), leaf_key.begin(), leaf_key.end());
    openssl(key);
    openssl({"req", "-new", "-key", file("leaf.key"), "-subj", "/C=DE/O=Interop/CN=Interop Leaf", "-out",
             file("leaf.csr")});
    tests::write_text(dir_ / "leaf.ext",
                      "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=" +
                          std::string(purpose) + "\n");
    openssl({"x509", "-req", "-in", file("leaf.csr"), "-CA", file("root.pem"), "-CAkey", file("root.key"),
             "-CAcreateserial", "-days", "1000", "-sha256", "-extfile", file("leaf.ext"), "-out", file("leaf.pem")});
  }
  void make_rsa() { make_certificates({"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"}); }
  void make_p256() { make_certificates({"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}); }

  std::string file(std::string_view name) const { return (dir_ / name).string(); }
  static void openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "openssl");
    const tests::Outcome outcome = tests::run_program(arguments);
    ASSERT_EQ(outcome.status, 0) << outcome.output;
  }
  tests::Outcome test_signer(const std::vector<std::string>& more) const {
    std::vector<std::string> argv = {std::string(COLDSEAL_BIN_DIR) + "/test-signer", "--key", file("leaf.key"),
                                     "--cert", file("leaf.pem")};
    argv.insert(argv.end(), more.begin(), more.end());
    return tests::run_program(argv);
  }
  tests::Outcome osslsigncode_verify(std::string_view name) const {
    return tests::run_program({"osslsigncode", "verify", "-CAfile", file("root.pem"), "-in", file(name)});
  }
  package::Verdict our_verdict(std::string_view name) const {
    const base::Bytes bytes = tests::read_file(dir_ / name);
    const auto roots = crypto::certificates_from_pem(tests::read_text(dir_ / "root.pem"));
    const auto leaf = crypto::certificates_from_pem(tests::read_text(dir_ / "leaf.pem"));
    // Judged a day after the certificates were made, whenever that is.
    return package::verify_pe(base::MemorySource(bytes), *roots, leaf->front().not_before() + std::chrono::hours(24));
  }
  void expect_both_accept(std::string_view name) const {
    const tests::Outcome theirs = osslsigncode_verify(name);
    EXPECT_EQ(theirs.status, 0) << name << "\n" << theirs.output;
    EXPECT_NE(theirs.output.find("Signature verification: ok"), std::string::npos) << theirs.output;
    const package::Verdict ours = our_verdict(name);
    for (const package::Finding& finding : ours.findings)
      ADD_FAILURE() << name << ": " << finding.id << ": " << finding.cause;
  }
  void expect_both_refuse(std::string_view name) const {
    EXPECT_NE(osslsigncode_verify(name).status, 0) << name;
    EXPECT_FALSE(our_verdict(name).valid()) << name;
  }

  tests::TempDir dir_;
};

}  // namespace tests
