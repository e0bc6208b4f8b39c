// coldseal verify --policy kernel over whole packages: what the kernel would load, by the files' own signatures or by a catalog's.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "crypto/cms/signed_data.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/catalog.hpp"
#include "crypto/formats/pe_image.hpp"
#include "crypto/keys/pem.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/process.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kInf =
    "[Version]\r\nSignature=\"$WINDOWS NT$\"\r\nClass=System\r\nProvider=P\r\nDriverVer=11/20/2025,1.2.3.4\r\nPnpLockdown=1\r\n"
    "CatalogFile=sample.cat\r\n[Manufacturer]\r\nP=Std,NTamd64\r\n[Std.NTamd64]\r\nD=Inst,ROOT\\Sample\r\n[Inst.NT]\r\nCopyFiles=L\r\n[L]\r\nsample.sys\r\n"
    "[SourceDisksNames]\r\n1=Disk\r\n[SourceDisksFiles]\r\nsample.sys=1\r\n[Inst.NT.Services]\r\nAddService=Sample,2,Svc\r\n"
    "[Svc]\r\nServiceType=1\r\nStartType=3\r\nErrorControl=1\r\nServiceBinary=%12%\\sample.sys\r\n";

class KernelPackage : public testing::Test {
 protected:
  KernelPackage() {
    write_text(package() / "sample.inf", kInf);
    write_file(package() / "sample.sys", build_pe(driver_description()));
    write_text(folder_ / "trust/vendor.pem", keys::pem_block("CERTIFICATE", vendor_.root().der()));
    write_text(folder_ / "trust/microsoft.pem", keys::pem_block("CERTIFICATE", microsoft_.der()));
  }
  fs::path package() const { return folder_ / "package"; }
  void change_inf(std::string_view old, std::string_view by) const {
    std::string inf = read_text(package() / "sample.inf");
    const std::size_t at = inf.find(old);
    ASSERT_NE(at, std::string::npos);
    write_text(package() / "sample.inf", inf.replace(at, old.size(), by));
  }
  // The package's catalog, made by the program and signed.
  void add_catalog(bool by_microsoft, const std::string& os = "10_X64") {
    const Finished made = run({program("coldseal"), "catalog", "create", package(), "--os", os, "-o", folder_.path()});
    ASSERT_EQ(made.status, 0) << made.output;
    const cms::Content content{der::oids::kCertificateTrustList, formats::Catalog::parse(read_file(folder_ / "sample.cat"))->ctl()};
    write_file(package() / "sample.cat", by_microsoft ? signed_by_microsoft(content) : vendor_.sign(content));
  }
  base::Bytes signed_by_microsoft(const cms::Content& content) {
    const auto identity = crypto::SigningIdentity::assemble({microsoft_leaf_}, *microsoft_leaf_.public_key());
    const auto data = cms::UnsignedData::prepare(content, {}, *identity);
    return *data->with_signature(*vendor_.key().sign(data->to_be_signed()));
  }
  void embed_vendors_signature() { write_file(package() / "sample.sys", vendor_.sign_pe(build_pe(driver_description()))); }
  void embed_microsofts_signature() {
    const base::Bytes image = build_pe(driver_description());
    const base::MemorySource source(image);
    const crypto::DigestAlgorithm wanted[] = {crypto::DigestAlgorithm::sha256};
    const auto parsed = formats::PeImage::parse(source);
    const auto measured = parsed->measure(source, wanted);
    base::MemorySink out;
    ASSERT_TRUE(formats::write_signed(source, *parsed, *measured, signed_by_microsoft(formats::pe_content(measured->digest(wanted[0]))), out));
    write_file(package() / "sample.sys", out.bytes());
  }
  json verify(int wanted, const std::string& policy = "kernel") const {
    const Finished verdict = run({program("coldseal"), "verify", package(), "--trust", folder_ / "trust", "--at", "2026-06-01T00:00:00Z", "--policy", policy, "--json"});
    EXPECT_EQ(verdict.status, wanted) << verdict.output;
    return json::parse(verdict.output).at("paths").at(0).at("files");
  }
  static void expect_finding(const json& files, std::string_view path, std::string_view id, std::string_view severity) {
    for (const json& file : files)
      for (const json& finding : file.at("findings"))
        if (file.at("path") == path && finding.at("id") == id && finding.at("severity") == severity) return;
    ADD_FAILURE() << path << " has no " << severity << " " << id << ":\n" << files.dump(1);
  }

  static constexpr const char* kName = "C=US,O=Microsoft Corporation,CN=Microsoft Root Certificate Authority 2010";
  TempDir folder_;
  Vendor vendor_;
  crypto::Certificate microsoft_ = issue({.subject = kName, .is_ca = true, .code_signing = false}, root_key_pem(), kName, root_key_pem());
  crypto::Certificate microsoft_leaf_ = issue({.subject = "CN=Microsoft Windows Hardware Compatibility Publisher", .more_uses = {der::Oid("1.3.6.1.4.1.311.10.3.5")}},
                                              key_pem(Vendor::Kind::p256), kName, root_key_pem());
};

TEST_F(KernelPackage, LoadsByAMicrosoftSignedCatalogWhateverTheFilesOwnSignature) {
  add_catalog(true);
  verify(0);
  embed_vendors_signature();
  const json files = verify(0);
  expect_finding(files, "sample.sys", "kernel.not-microsoft", "note");
}

TEST_F(KernelPackage, DoesNotLoadByTheVendorsCatalog) {
  add_catalog(false);
  verify(0, "authenticode");
  const json files = verify(1);
  expect_finding(files, "sample.cat", "kernel.not-microsoft", "error");
  expect_finding(files, "sample.sys", "pe.not-signed", "error");
}

TEST_F(KernelPackage, WithoutKernelFilesMayHaveTheVendorsCatalog) {
  change_inf("CopyFiles=L\r\n", "");
  change_inf("AddService=Sample,2,Svc\r\n", "");
  fs::remove(package() / "sample.sys");
  add_catalog(false);
  expect_finding(verify(0), "sample.cat", "kernel.not-microsoft", "note");
}

TEST_F(KernelPackage, WithABootStartDriverNeedsASignatureInTheFile) {
  change_inf("StartType=3", "StartType=0x0");
  add_catalog(true);
  verify(0, "authenticode");
  expect_finding(verify(1), "sample.sys", "kernel.boot-start-not-embedded", "error");
  embed_vendors_signature();   // the boot loader does not ask the catalog instead
  expect_finding(verify(1), "sample.sys", "kernel.not-microsoft", "error");
  embed_microsofts_signature();
  verify(0);
}

TEST_F(KernelPackage, WithoutAnyCatalogIsStillHeldToTheBootStartRule) {
  change_inf("StartType=3", "StartType=0");
  expect_finding(verify(1), "sample.sys", "kernel.boot-start-not-embedded", "error");
}

TEST_F(KernelPackage, ForOldSystemsIsWarnedOfSha256) {
  add_catalog(true, "7_X64,10_X64");
  expect_finding(verify(0), "sample.cat", "kernel.sha256-on-old-systems", "warning");
}

}  // namespace
}  // namespace tests
