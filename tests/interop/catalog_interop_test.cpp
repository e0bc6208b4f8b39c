// A catalog made from a package and signed by our own path, judged by openssl and osslsigncode.
#include <gtest/gtest.h>

#include "crypto/formats/catalog.hpp"
#include "crypto/keys/pem.hpp"
#include "crypto/package/inspection.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/program.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

using base::Bytes;

constexpr std::string_view kCatalogInf =
    "[Version]\r\nSignature=\"$WINDOWS NT$\"\r\nClass=System\r\nProvider=P\r\nDriverVer=11/20/2025,1.2.3.4\r\nCatalogFile=sample.cat\r\n"
    "[Manufacturer]\r\nP=Std,NTamd64\r\n[Std.NTamd64]\r\nD=Inst,ROOT\\Sample\r\n[Inst]\r\nCopyFiles=L\r\n[L]\r\nsample.sys\r\nsample.txt\r\n"
    "[SourceDisksNames]\r\n1=Disk\r\n[SourceDisksFiles]\r\nsample.sys=1\r\nsample.txt=1\r\n";

class CatalogInterop : public testing::Test {
 protected:
  CatalogInterop() {
    package_.add("sample.inf", kCatalogInf);
    package_.add("sample.sys", tests::build_pe(tests::driver_description()));
    package_.add("sample.txt", "flat");
    const package::Inspection inspection = package::inspect(package_.files(), {"10_X64", "10_RS5_X64"}, tests::at("2026-11-23T00:00:00Z"));
    EXPECT_FALSE(inspection.has_errors());
    base::require(inspection.catalogs.size() == 1, "one catalog is planned");
    formats::CatalogContent content;
    content.this_update = tests::at("2026-11-23T16:20:00Z");
    content.os = inspection.catalogs[0].os;
    content.hardware_ids = inspection.catalogs[0].hardware_ids;
    for (const package::PlannedMember& member : inspection.catalogs[0].members)
      content.members.push_back({member.file, member.os_attr, *formats::member_digests(package_.source(member.path))});
    ctl_ = *formats::encode_ctl(content);
    for (const package::PackageFile& file : package_.files()) tests::write_file(dir_ / file.path, *base::read_all(*file.bytes, 1U << 20));
    tests::write_text(dir_ / "root.pem", keys::pem_block("CERTIFICATE", vendor_.root().der()));
    tests::write_file(dir_ / "sample.cat", vendor_.sign({der::oids::kCertificateTrustList, ctl_}));
  }
  std::string file(std::string_view name) const { return (dir_ / name).string(); }
  tests::Outcome verify(std::string_view name) const {
    return tests::run_program({"osslsigncode", "verify", "-CAfile", file("root.pem"), "-catalog", file("sample.cat"), "-in", file(name)});
  }

  tests::TempDir dir_;
  tests::Vendor vendor_{tests::Vendor::Kind::rsa3072};
  tests::Package package_;
  Bytes ctl_;
};

// coldseal signature, on a catalog: the same four verbs as on files that hold their signature.
TEST_F(CatalogInterop, ACatalogsSignatureIsListedTakenOffKeptAndPutBack) {
  const auto signature = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {std::string(COLDSEAL_BIN_DIR) + "/coldseal", "signature"});
    return tests::run_program(arguments);
  };
  const tests::Outcome listed = signature({"list", file("sample.cat")});
  EXPECT_EQ(listed.status, 0) << listed.output;
  for (const char* const wanted : {"primary", "sha256", "Test Leaf"}) EXPECT_NE(listed.output.find(wanted), std::string::npos) << listed.output;
  // A signed catalog is its signature: the content stands inside.
  ASSERT_EQ(signature({"extract", file("sample.cat"), "-o", file("kept.der")}).status, 0);
  EXPECT_EQ(tests::read_file(dir_ / "kept.der"), tests::read_file(dir_ / "sample.cat"));
  const tests::Outcome removed = signature({"remove", file("sample.cat"), "-o", file("bare.cat")});
  ASSERT_EQ(removed.status, 0) << removed.output;
  EXPECT_EQ(tests::read_file(dir_ / "bare.cat"), *cms::without_signer({der::oids::kCertificateTrustList, ctl_}));
  EXPECT_NE(signature({"list", file("bare.cat")}).output.find("no signature"), std::string::npos);
  EXPECT_EQ(signature({"remove", file("bare.cat"), "-o", file("no.cat")}).status, 1);
  const tests::Outcome attached = signature({"attach", file("bare.cat"), file("kept.der"), "-o", file("back.cat")});
  ASSERT_EQ(attached.status, 0) << attached.output;
  EXPECT_EQ(tests::read_file(dir_ / "back.cat"), tests::read_file(dir_ / "sample.cat"));
  // Not on another catalog, and not a second one, which Windows would not look at.
  formats::CatalogContent other;
  other.this_update = tests::at("2026-11-24T16:20:00Z");
  tests::write_file(dir_ / "other.cat", formats::unsigned_catalog(*formats::encode_ctl(other)));
  EXPECT_EQ(signature({"attach", file("other.cat"), file("kept.der"), "-o", file("no.cat")}).status, 1);
  EXPECT_EQ(signature({"attach", file("sample.cat"), file("kept.der"), "--append", "-o", file("no.cat")}).status, 1);
  EXPECT_EQ(signature({"extract", file("bare.cat"), "-o", file("no.der")}).status, 1);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "no.cat"));
}

TEST_F(CatalogInterop, OpensslReadsTheUnsignedFile) {
  tests::write_file(dir_ / "unsigned.cat", formats::unsigned_catalog(ctl_));
  const tests::Outcome parsed = tests::run_program({"openssl", "asn1parse", "-inform", "DER", "-in", file("unsigned.cat")});
  EXPECT_EQ(parsed.status, 0) << parsed.output;
  EXPECT_NE(parsed.output.find("1.3.6.1.4.1.311.12.1.3"), std::string::npos);
  const tests::Outcome pkcs7 = tests::run_program({"openssl", "pkcs7", "-inform", "DER", "-in", file("unsigned.cat"), "-noout"});
  EXPECT_EQ(pkcs7.status, 0) << pkcs7.output;
}

TEST_F(CatalogInterop, OsslsigncodeTakesTheSignedCatalog) {
  const tests::Outcome outcome = tests::run_program({"osslsigncode", "verify", "-CAfile", file("root.pem"), "-in", file("sample.cat")});
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("Signature verification: ok"), std::string::npos) << outcome.output;
  const auto catalog = formats::Catalog::parse(tests::read_file(dir_ / "sample.cat"));
  ASSERT_TRUE(catalog.has_value()) << catalog.error().text();
  EXPECT_TRUE(catalog->is_signed());
  EXPECT_EQ(catalog->ctl(), ctl_);
}

TEST_F(CatalogInterop, OsslsigncodeFindsTheDriverInTheCatalogBeforeAndAfterItIsSigned) {
  const tests::Outcome before = verify("sample.sys");
  EXPECT_EQ(before.status, 0) << before.output;
  const Bytes unsigned_driver = tests::read_file(dir_ / "sample.sys");
  const Bytes signed_driver = vendor_.sign_pe(unsigned_driver);
  const auto catalog = formats::Catalog::parse(tests::read_file(dir_ / "sample.cat"));
  const base::MemorySource source(signed_driver);
  EXPECT_NE(catalog->covering(*formats::member_digests(source)), nullptr);
  tests::write_file(dir_ / "signed.sys", signed_driver);
  const tests::Outcome after = verify("signed.sys");
  EXPECT_EQ(after.status, 0) << after.output;

  Bytes changed = unsigned_driver;
  changed[0x200] ^= 1;   // its code
  tests::write_file(dir_ / "sample.sys", changed);
  EXPECT_NE(verify("sample.sys").status, 0);
  const base::MemorySource changed_source(changed);
  EXPECT_EQ(catalog->covering(*formats::member_digests(changed_source)), nullptr);
}

}  // namespace
