// What test-signer signs, judged by osslsigncode with certificates made by openssl; and what osslsigncode signs, judged
// by us.
#include <gtest/gtest.h>

#include <array>
#include <regex>

#include "crypto/base/text.hpp"
#include "crypto/certificate.hpp"
#include "crypto/cms/signed_data.hpp"
#include "crypto/der/oids.hpp"
#include "crypto/der/writer.hpp"
#include "crypto/formats/pe_image.hpp"
#include "crypto/package/verification.hpp"
#include "tests/interop/authenticode_fixture.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

using tests::Authenticode;
using base::Bytes;
using base::MemorySource;

std::string line_value(const std::string& output, const std::string& label) {
  std::smatch match;
  return std::regex_search(output, match, std::regex(label + R"(\s*: ([0-9A-F]+))")) ? match[1].str() : "";
}

TEST_F(Authenticode, OsslsigncodeTakesImagesOfEverySizeAndShape) {
  make_rsa();
  std::vector<std::string> names;
  for (std::size_t odd = 0; odd < 8; ++odd) {
    names.push_back("driver" + std::to_string(odd) + ".sys");
    tests::write_file(dir_ / "in" / names.back(), tests::driver_of_size(0x1E00 + odd));
  }
  tests::write_file(dir_ / "in" / "program64.exe", tests::build_pe(tests::program_description(true)));
  tests::write_file(dir_ / "in" / "program32.exe", tests::build_pe(tests::program_description(false)));
  names.insert(names.end(), {"program64.exe", "program32.exe"});
  std::vector<std::string> arguments = {"--chain", file("root.pem"), "--in"};
  for (const std::string& name : names) arguments.push_back((dir_ / "in" / name).string());
  arguments.insert(arguments.end(), {"--out-dir", dir_.path().string()});
  const tests::Outcome signed_all = test_signer(arguments);
  ASSERT_EQ(signed_all.status, 0) << signed_all.output;
  for (const std::string& name : names) {
    expect_both_accept(name);
    const tests::Outcome theirs = osslsigncode_verify(name);
    const package::Verdict ours = our_verdict(name);
    EXPECT_EQ(line_value(theirs.output, "Calculated message digest "), base::upper_ascii(ours.file_digest->hex()))
        << name;
    // 2.9 prints what it calculated only where it differs; 2.5 prints both numbers always.
    if (theirs.output.find("Calculated PE checksum") != std::string::npos) {
      EXPECT_EQ(line_value(theirs.output, "Calculated PE checksum"), line_value(theirs.output, "Current PE checksum   "))
          << theirs.output;
    }
  }
}

TEST_F(Authenticode, OsslsigncodeTakesEcdsaSignatures) {
  make_p256();
  tests::write_file(dir_ / "in.sys", tests::build_pe(tests::driver_description()));
  ASSERT_EQ(test_signer({"--in", file("in.sys"), "--out", file("out.sys")}).status, 0);
  expect_both_accept("out.sys");
}

TEST_F(Authenticode, OsslsigncodeShowsDescriptionAndUrl) {
  make_rsa();
  tests::write_file(dir_ / "in.sys", tests::build_pe(tests::driver_description()));
  ASSERT_EQ(test_signer({"--description", "Sample driver", "--url", "https://example.com/d", "--digest", "sha384",
                         "--in", file("in.sys"), "--out", file("out.sys")})
                .status,
            0);
  const tests::Outcome theirs = osslsigncode_verify("out.sys");
  EXPECT_EQ(theirs.status, 0) << theirs.output;
  EXPECT_NE(theirs.output.find("Text description: Sample driver"), std::string::npos) << theirs.output;
  EXPECT_NE(theirs.output.find("URL description: https://example.com/d"), std::string::npos) << theirs.output;
  EXPECT_NE(theirs.output.find("SHA384"), std::string::npos) << theirs.output;
}

TEST_F(Authenticode, BothRefuseForgedFiles) {
  make_rsa();
  tests::write_file(dir_ / "in.sys", tests::driver_of_size(0x2003));
  ASSERT_EQ(test_signer({"--in", file("in.sys"), "--out", file("good.sys")}).status, 0);
  expect_both_accept("good.sys");
  const Bytes good = tests::read_file(dir_ / "good.sys");
  const auto image = formats::PeImage::parse(MemorySource(good));
  const std::size_t table = image->table_offset();
  struct Forgery {
    std::string name;
    std::size_t at;
  };
  for (const Forgery& forgery : std::initializer_list<Forgery>{{"stub.sys", 0x50},
                                                               {"code.sys", 0x401},
                                                               {"overlay.sys", 0x2002},
                                                               {"padding.sys", 0x2004},
                                                               {"signed-digest.sys", table + 0x55},
                                                               {"signature.sys", good.size() - 0x40},
                                                               {"revision.sys", table + 5}}) {
    Bytes bad = good;
    bad.at(forgery.at) ^= 1;
    tests::write_file(dir_ / forgery.name, bad);
    expect_both_refuse(forgery.name);
  }
  Bytes trailing = good;
  trailing.resize(trailing.size() + 64, 'J');
  tests::write_file(dir_ / "trailing.sys", trailing);
  expect_both_refuse("trailing.sys");
}

TEST_F(Authenticode, BothRefuseAStrangersSignature) {
  make_rsa();
  tests::write_file(dir_ / "in.sys", tests::build_pe(tests::driver_description()));
  ASSERT_EQ(test_signer({"--in", file("in.sys"), "--out", file("out.sys")}).status, 0);
  make_p256();  // another root
  expect_both_refuse("out.sys");
}

TEST_F(Authenticode, WeTakeWhatOsslsigncodeSigns) {
  make_rsa();
  for (std::size_t odd = 0; odd < 8; odd += 3) {
    tests::write_file(dir_ / "in.sys", tests::driver_of_size(0x1E00 + odd));
    std::filesystem::remove(dir_ / "theirs.sys");
    const tests::Outcome outcome =
        tests::run_program({"osslsigncode", "sign", "-certs", file("leaf.pem"), "-key", file("leaf.key"), "-h",
                            "sha256", "-n", "Sample", "-in", file("in.sys"), "-out", file("theirs.sys")});
    ASSERT_EQ(outcome.status, 0) << outcome.output;
    const package::Verdict ours = our_verdict("theirs.sys");
    EXPECT_TRUE(ours.valid());
    for (const package::Finding& finding : ours.findings) ADD_FAILURE() << finding.id << ": " << finding.cause;
  }
}

TEST_F(Authenticode, ReplacingOsslsigncodesSignatureGivesAGoodFile) {
  make_rsa();
  tests::write_file(dir_ / "in.sys", tests::driver_of_size(0x1E05));
  ASSERT_EQ(tests::run_program({"osslsigncode", "sign", "-certs", file("leaf.pem"), "-key", file("leaf.key"), "-in",
                                file("in.sys"), "-out", file("theirs.sys")})
                .status,
            0);
  const tests::Outcome refused = test_signer({"--in", file("theirs.sys"), "--out", file("ours.sys")});
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_FALSE(std::filesystem::exists(dir_ / "ours.sys"));
  ASSERT_EQ(test_signer({"--replace", "--in", file("theirs.sys"), "--out", file("ours.sys")}).status, 0);
  expect_both_accept("ours.sys");
  ASSERT_EQ(test_signer({"--in", file("in.sys"), "--out", file("direct.sys")}).status, 0);
  EXPECT_EQ(tests::read_file(dir_ / "ours.sys"), tests::read_file(dir_ / "direct.sys"));
}

TEST_F(Authenticode, OpensslFindsTheSignatureGoodAsPkcs7) {
  make_rsa();
  tests::write_file(dir_ / "in.sys", tests::build_pe(tests::driver_description()));
  ASSERT_EQ(test_signer({"--in", file("in.sys"), "--out", file("out.sys")}).status, 0);
  const Bytes bytes = tests::read_file(dir_ / "out.sys");
  const MemorySource source(bytes);
  const auto entries = formats::PeImage::parse(source)->certificates(source);
  const auto data = cms::SignedData::parse(entries->front().der);
  tests::write_file(dir_ / "signature.der", entries->front().der);
  tests::write_file(dir_ / "content", data->content_octets());
  openssl({"smime", "-verify", "-noverify", "-inform", "der", "-in", file("signature.der"), "-content", file("content"),
           "-out", file("content.out")});
}

TEST_F(Authenticode, OsslsigncodeTakesASignedCatalog) {
  make_rsa();
  // CertificateTrustList of a catalog without members: usage, list identifier, time, algorithm.
  const Bytes list =
      der::sequence({der::sequence({der::oid(der::oids::kCatalogList)}), der::octet_string(Bytes(16, 0x42)),
                     der::utc_time(*base::time_from_rfc3339("2026-11-23T00:00:00Z")),
                     der::sequence({der::oid(der::oids::kCatalogListMember2), der::null()}), der::sequence({})});
  tests::write_file(dir_ / "in.cat", *cms::without_signer({der::oids::kCertificateTrustList, list}));
  const tests::Outcome outcome = test_signer({"--in", file("in.cat"), "--out", file("out.cat")});
  ASSERT_EQ(outcome.status, 0) << outcome.output;
  const tests::Outcome theirs = osslsigncode_verify("out.cat");
  EXPECT_EQ(theirs.status, 0) << theirs.output;
}

TEST_F(Authenticode, TestSignerSaysNoAndWritesNothing) {
  make_rsa();
  tests::write_file(dir_ / "in.sys", tests::build_pe(tests::driver_description()));
  const auto expect_status = [&](int status, const std::vector<std::string>& arguments) {
    const tests::Outcome outcome = test_signer(arguments);
    EXPECT_EQ(outcome.status, status) << outcome.output;
    EXPECT_FALSE(outcome.output.empty());
    EXPECT_FALSE(std::filesystem::exists(dir_ / "out.sys")) << outcome.output;
  };
  const std::vector<std::string> in_out = {"--in", file("in.sys"), "--out", file("out.sys")};
  expect_status(1, {"--append", "--in", file("in.sys"), "--out", file("out.sys")});  // nothing to append to
  expect_status(2, {"--append", "--replace", "--in", file("in.sys"), "--out", file("out.sys")});
  expect_status(2, {"--form", "jsign", "--in", file("in.sys"), "--out", file("out.sys")});
  expect_status(2, {"--form", "osslsigncode", "--in", file("in.sys"), "--out", file("out.sys")});
  expect_status(2, {"--digest", "sha1", "--in", file("in.sys"), "--out", file("out.sys")});
  expect_status(2, {"--in", file("none.sys"), "--out", file("out.sys")});
  expect_status(2, {"--in", file("in.sys")});
  tests::write_file(dir_ / "other" / "in.sys", tests::build_pe(tests::driver_description()));
  expect_status(2, {"--in", file("in.sys"), file("other/in.sys"), "--out-dir", file("both")});
  EXPECT_FALSE(std::filesystem::exists(dir_ / "both" / "in.sys"));
  expect_status(2, {"--in", file("in.sys"), "--out", file("no-folder") + "/out.sys"});
  expect_status(2, {"--chain", file("leaf.key"), "--in", file("in.sys"), "--out", file("out.sys")});
  expect_status(1, {"--in", file("leaf.pem"), "--out", file("out.sys")});  // neither PE nor catalog
  Bytes gap = tests::read_file(dir_ / "in.sys");
  gap.at(0x80 + 24 + 240 + 16) ^= 0xFF;  // SizeOfRawData of the first section
  tests::write_file(dir_ / "gap.sys", gap);
  expect_status(1, {"--in", file("gap.sys"), "--out", file("out.sys")});
  std::size_t left_over = 0;  // temporary files
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path()))
    if (entry.path().filename().string().starts_with("out.sys")) ++left_over;
  EXPECT_EQ(left_over, 0U);
  make_certificates({"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}, "serverAuth");
  expect_status(1, in_out);  // the certificate is not for code signing
}

}  // namespace
