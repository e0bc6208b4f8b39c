// Catalogs that coldseal makes and test-signer signs, judged by osslsigncode and openssl: version 1, large ones, long chains.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "crypto/base/text.hpp"
#include "crypto/formats/catalog.hpp"
#include "tests/interop/authenticode_fixture.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/process.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;
using base::Bytes;

class SignedCatalog : public Authenticode {
 protected:
  // An INF that copies sample.sys and `texts` small files, for any architecture.
  fs::path write_package(std::size_t texts, std::size_t hardware_ids = 1) const {
    const fs::path folder = dir_ / "package";
    fs::create_directory(folder);
    std::string inf =
        "[Version]\r\nSignature=\"$WINDOWS NT$\"\r\nClass=System\r\nProvider=P\r\nDriverVer=11/20/2025,1.2.3.4\r\nPnpLockdown=1\r\n"
        "CatalogFile=sample.cat\r\n[Manufacturer]\r\nP=Std,NTamd64\r\n[Std.NTamd64]\r\n";
    for (std::size_t i = 0; i < hardware_ids; ++i) inf += fmt::format("Device {0}=Inst,USB\\VID_1209&PID_{0:04X}&MI_00\r\n", i);
    inf += "[Inst]\r\nCopyFiles=L\r\n[SourceDisksNames]\r\n1=Disk\r\n";
    std::string list = "[L]\r\nsample.sys\r\n";
    std::string sources = "[SourceDisksFiles]\r\nsample.sys=1\r\n";
    for (std::size_t i = 0; i < texts; ++i) {
      const std::string name = fmt::format("file{:04}.txt", i);
      write_text(folder / name, "text " + name);
      list += name + "\r\n";
      sources += name + "=1\r\n";
    }
    write_text(folder / "sample.inf", inf + list + sources);
    write_file(folder / "sample.sys", build_pe(driver_description()));
    return folder;
  }
  // Makes the package's catalog, signs it, and returns it.
  Bytes make_and_sign(const fs::path& package, const std::string& os, const std::vector<std::string>& more = {}) const {
    const Finished made = run({program("coldseal"), "catalog", "create", package, "--os", os, "-o", dir_.path()});
    EXPECT_EQ(made.status, 0) << made.output;
    std::vector<std::string> arguments = {"--in", file("sample.cat"), "--out", file("signed.cat")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome signed_it = test_signer(arguments);
    EXPECT_EQ(signed_it.status, 0) << signed_it.output;
    return read_file(dir_ / "signed.cat");
  }
  void expect_accepted(const std::string& root = "root.pem") const {
    const Outcome alone = run_program({"osslsigncode", "verify", "-CAfile", file(root), "-in", file("signed.cat")});
    EXPECT_EQ(alone.status, 0) << alone.output;
    const Outcome covers = run_program({"osslsigncode", "verify", "-CAfile", file(root), "-catalog", file("signed.cat"), "-in", file("package/sample.sys")});
    EXPECT_EQ(covers.status, 0) << covers.output;
    // openssl does not know the content; it takes any that a PKCS#7 reader can step over.
    const Outcome read = run_program({"openssl", "pkcs7", "-inform", "DER", "-in", file("signed.cat"), "-noout"});
    EXPECT_EQ(read.status, 0) << read.output;
  }
  // osslsigncode says no when the driver, or the list, is another.
  void expect_changes_noticed(Bytes catalog) const {
    Bytes driver = read_file(dir_ / "package/sample.sys");
    driver[0x200] ^= 1;
    write_file(dir_ / "other.sys", driver);
    EXPECT_NE(run_program({"osslsigncode", "verify", "-CAfile", file("root.pem"), "-catalog", file("signed.cat"), "-in", file("other.sys")}).status, 0);
    const std::string_view text = base::as_text(catalog);
    const std::size_t at = text.find(std::string_view("s\0a\0m\0p\0l\0e\0", 12));
    ASSERT_NE(at, std::string_view::npos);
    catalog[at] ^= 1;
    write_file(dir_ / "other.cat", catalog);
    EXPECT_NE(run_program({"osslsigncode", "verify", "-CAfile", file("root.pem"), "-in", file("other.cat")}).status, 0);
  }
};

TEST_F(SignedCatalog, SignaturesAreListedExtractedRemovedAndAttachedOnlyToTheirCatalog) {
  make_rsa();
  const Bytes signed_bytes = make_and_sign(write_package(1), "10_X64");
  const auto signature = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {program("coldseal"), "signature"});
    return run_program(words);
  };
  const Outcome listed = signature({"list", file("signed.cat")});
  EXPECT_NE(listed.output.find("CN=Interop Leaf"), std::string::npos) << listed.output;
  ASSERT_EQ(signature({"extract", file("signed.cat"), "-o", file("signature.der")}).status, 0);
  const Outcome removed = signature({"remove", file("signed.cat"), "-o", file("bare.cat")});
  ASSERT_EQ(removed.status, 0) << removed.output;
  EXPECT_EQ(read_file(dir_ / "bare.cat"), read_file(dir_ / "sample.cat")) << "as it was before it was signed";
  EXPECT_NE(signature({"list", file("bare.cat")}).output.find("no signature"), std::string::npos);
  EXPECT_EQ(signature({"remove", file("bare.cat"), "-o", file("no.cat")}).status, 1) << "there is none";
  ASSERT_EQ(signature({"attach", file("bare.cat"), file("signature.der"), "-o", file("again.cat")}).status, 0);
  EXPECT_EQ(read_file(dir_ / "again.cat"), signed_bytes);

  write_text(dir_ / "package/file0000.txt", "another text");
  fs::create_directory(dir_ / "other");
  run_well({program("coldseal"), "catalog", "create", dir_ / "package", "--os", "10_X64", "-o", dir_ / "other"});
  const Outcome refused = signature({"attach", file("other/sample.cat"), file("signature.der"), "-o", file("no.cat")});
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_FALSE(fs::exists(dir_ / "no.cat"));
}

TEST_F(SignedCatalog, OfVersion1IsAccepted) {
  make_rsa();
  const Bytes catalog = make_and_sign(write_package(3), "7_X64,Server2008R2_X64");
  EXPECT_EQ(formats::Catalog::parse(catalog)->version(), 1U);
  expect_accepted();
  expect_changes_noticed(catalog);
}

// A length of two bytes was all that a reader once expected there.
TEST_F(SignedCatalog, OfMoreThan64KiBIsAccepted) {
  make_p256();
  const Bytes catalog = make_and_sign(write_package(100, 600), "10_X64");
  EXPECT_GT(catalog.size(), 65536U);
  EXPECT_EQ(formats::Catalog::parse(catalog)->hardware_ids().size(), 600U);
  expect_accepted();
  expect_changes_noticed(catalog);
}

TEST_F(SignedCatalog, Of5000FilesIsAccepted) {
  make_p256();
  const Bytes catalog = make_and_sign(write_package(4998), "10_X64,10_RS5_X64");   // and the INF, and the driver
  EXPECT_EQ(formats::Catalog::parse(catalog)->entries().size(), 10000U);
  expect_accepted();
  expect_changes_noticed(catalog);
}

TEST_F(SignedCatalog, OfVersion1And5000FilesIsAccepted) {
  make_p256();
  const Bytes catalog = make_and_sign(write_package(4998), "7_X64");
  EXPECT_EQ(formats::Catalog::parse(catalog)->entries().size(), 5000U);
  expect_accepted();
}

// Leaf, two authorities below the root, and a certificate by another root for the first root's key: what a driver for old systems
// carries, so that it leads to either. Windows finds no signature in a catalog whose certificates are out of DER order (KB4580358).
class SignedCatalogWithALongChain : public SignedCatalog {
 protected:
  void certify(const std::string& subject, const std::string& key, const std::string& issuer, const std::string& out) const {
    openssl({"req", "-new", "-key", file(key), "-subj", subject, "-out", file("request.csr")});
    write_text(dir_ / "ca.ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n");
    openssl({"x509", "-req", "-in", file("request.csr"), "-CA", file(issuer + ".pem"), "-CAkey", file(issuer + ".key"), "-CAcreateserial",
             "-days", "2000", "-sha384", "-extfile", file("ca.ext"), "-out", file(out)});
  }
  void make_chain() {
    make_rsa();   // root, and a leaf below it that is replaced
    openssl({"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", file("other.key")});
    openssl({"req", "-x509", "-new", "-key", file("other.key"), "-subj", "/C=US/O=Other/CN=Other Root", "-days", "3650", "-sha384", "-addext",
             "keyUsage=critical,keyCertSign", "-out", file("other.pem")});
    for (const char* const key : {"upper.key", "lower.key"}) openssl({"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", file(key)});
    certify("/C=DE/O=Interop/CN=Upper", "upper.key", "root", "upper.pem");
    certify("/C=DE/O=Interop/CN=Lower", "lower.key", "upper", "lower.pem");
    certify("/C=DE/O=Interop/CN=Interop Root", "root.key", "other", "cross.pem");
    openssl({"x509", "-req", "-in", file("leaf.csr"), "-CA", file("lower.pem"), "-CAkey", file("lower.key"), "-CAcreateserial", "-days", "1000",
             "-sha256", "-extfile", file("leaf.ext"), "-out", file("leaf.pem")});
    write_text(dir_ / "chain.pem", read_text(dir_ / "lower.pem") + read_text(dir_ / "upper.pem") + read_text(dir_ / "root.pem"));
  }
  // As openssl finds them in the file, in its order.
  std::vector<Bytes> certificates() const {
    const Outcome listed = run_program({"openssl", "pkcs7", "-inform", "DER", "-in", file("signed.cat"), "-print_certs"});
    EXPECT_EQ(listed.status, 0) << listed.output;
    constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
    std::vector<Bytes> all;
    for (std::size_t at = listed.output.find(kBegin); at != std::string::npos; at = listed.output.find(kBegin, at)) {
      at += kBegin.size();
      std::string base64 = listed.output.substr(at, listed.output.find("-----END", at) - at);
      std::erase(base64, '\n');
      const auto der = base::from_base64(base64);
      EXPECT_TRUE(der.has_value());
      all.push_back(der.value_or(Bytes()));
    }
    return all;
  }
};

TEST_F(SignedCatalogWithALongChain, HasItsCertificatesInDerOrderAndIsAcceptedByEitherRoot) {
  make_chain();
  for (const std::string& os : {std::string("10_X64"), std::string("7_X64")}) {
    SCOPED_TRACE(os);
    fs::remove_all(dir_ / "package");
    fs::remove(dir_ / "signed.cat");
    const Bytes catalog = make_and_sign(write_package(3), os, {"--chain", file("chain.pem"), "--ac", file("cross.pem")});
    const std::vector<Bytes> found = certificates();
    ASSERT_EQ(found.size(), 4U);   // the root stays out
    // DER's order of a SET OF: by the encodings' bytes (X.690, 11.6).
    EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
    expect_accepted("root.pem");
    expect_accepted("other.pem");
    expect_changes_noticed(catalog);
    const Finished ours = run({program("coldseal"), "verify", dir_ / "package", "--catalog", file("signed.cat"), "--trust", file("other.pem")});
    EXPECT_EQ(ours.status, 0) << ours.output;
  }
}

}  // namespace
}  // namespace tests
