// Packages that are wrong, or unusual and right, through the commands people run. N37 to N41 are numbered as in the list of cases that
// this project keeps; below them, what may be built to exhaust the program: it runs with a limit on its memory and processor time.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "crypto/base/text.hpp"
#include "crypto/formats/catalog.hpp"
#include "crypto/keys/pem.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/process.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/support/temp_dir.hpp"

namespace tests {
namespace {

namespace fs = std::filesystem;
using base::Bytes;
using nlohmann::json;

constexpr std::string_view kCaseInf =
    "[Version]\r\nSignature=\"$WINDOWS NT$\"\r\nClass=System\r\nProvider=P\r\nDriverVer=11/20/2025,1.2.3.4\r\nPnpLockdown=1\r\nCatalogFile=sample.cat\r\n"
    "[Manufacturer]\r\nP=Std,NTamd64\r\n[Std.NTamd64]\r\nD=Inst,ROOT\\Sample\r\n[Inst.NT]\r\nCopyFiles=L\r\n[L]\r\nsample.sys\r\nsample.txt\r\n"
    "[SourceDisksNames]\r\n1=Disk\r\n[SourceDisksFiles]\r\nsample.sys=1\r\nsample.txt=1\r\n";

class PackageCase : public testing::Test {
 protected:
  PackageCase() {
    write_text(package() / "sample.inf", kCaseInf);
    write_file(package() / "sample.sys", build_pe(driver_description()));
    write_text(package() / "sample.txt", "flat");
    write_text(folder_ / "root.pem", keys::pem_block("CERTIFICATE", vendor_.root().der()));
  }
  fs::path package() const { return folder_ / "package"; }
  void change_inf(std::string_view old, std::string_view by) const {
    std::string inf = read_text(package() / "sample.inf");
    const std::size_t at = inf.find(old);
    ASSERT_NE(at, std::string::npos) << old;
    write_text(package() / "sample.inf", inf.replace(at, old.size(), by));
  }
  json create(int wanted, const Command& more = {}, const std::string& os = "10_X64") const {
    Command command = {program("coldseal"), "catalog", "create", package(), "--os", os, "--json"};
    command.insert(command.end(), more.begin(), more.end());
    const Finished made = run(command);
    EXPECT_EQ(made.status, wanted) << made.output;
    const json report = json::parse(made.output, nullptr, false);
    EXPECT_FALSE(report.is_discarded()) << made.output;
    return report.is_discarded() ? json::object() : report;
  }
  void sign_catalog(const std::string& name = "sample.cat") {
    const auto catalog = formats::Catalog::parse(read_file(package() / name));
    ASSERT_TRUE(catalog.has_value());
    write_file(package() / name, vendor_.sign({der::oids::kCertificateTrustList, catalog->ctl()}));
  }
  json verify(int wanted) const {
    const Finished verdict = run({program("coldseal"), "verify", package(), "--trust", folder_ / "root.pem", "--at", "2026-06-01T00:00:00Z", "--json"});
    EXPECT_EQ(verdict.status, wanted) << verdict.output;
    return json::parse(verdict.output).at("paths").at(0);
  }
  static bool has(const json& findings, std::string_view id, std::string_view severity, std::string_view words = "") {
    for (const json& finding : findings)
      if (finding.at("id") == id && finding.at("severity") == severity && finding.at("cause").get<std::string>().find(words) != std::string::npos) return true;
    return false;
  }
  static const json& file(const json& report, std::string_view path) {
    for (const json& each : report.at("files"))
      if (each.at("path") == path) return each;
    throw std::runtime_error("no " + std::string(path) + " in\n" + report.dump(1));
  }
  std::vector<std::string> members(const std::string& name = "sample.cat") const {
    std::vector<std::string> files;
    const auto catalog = formats::Catalog::parse(read_file(package() / name));
    for (const formats::CatalogEntry& entry : catalog->entries())
      if (entry.digest) files.push_back(*entry.attribute("File"));
    std::sort(files.begin(), files.end());
    return files;
  }
  TempDir folder_;
  Vendor vendor_;
};

TEST_F(PackageCase, N37FilesChangedMissingOrForgottenSinceTheCatalogWasMade) {
  create(0);
  sign_catalog();
  verify(0);
  write_text(package() / "sample.txt", "changed");
  EXPECT_TRUE(has(file(verify(1), "sample.cat").at("findings"), "catalog.file-changed", "error", "sample.txt"));
  fs::remove(package() / "sample.txt");
  EXPECT_TRUE(has(file(verify(0), "sample.cat").at("findings"), "catalog.file-missing", "warning", "sample.txt"));
  // A file that the INF installs and the catalog does not list: the catalog is of a time when it did not.
  change_inf("sample.txt\r\n[SourceDisksNames]", "[SourceDisksNames]");
  create(0);
  sign_catalog();
  change_inf("sample.sys\r\n[SourceDisksNames]", "sample.sys\r\nsample.txt\r\n[SourceDisksNames]");
  write_text(package() / "sample.txt", "flat");
  const json report = verify(1);
  EXPECT_TRUE(has(file(report, "sample.txt").at("findings"), "catalog.installed-file-not-covered", "error"));
  EXPECT_TRUE(has(file(report, "sample.inf").at("findings"), "catalog.installed-file-not-covered", "error"));   // it was changed too
}

TEST_F(PackageCase, N38ADriverSignedAfterItsCatalogWasMade) {
  create(0);
  sign_catalog();
  write_file(package() / "sample.sys", vendor_.sign_pe(read_file(package() / "sample.sys")));   // all its bytes are others, its image is not
  EXPECT_EQ(file(verify(0), "sample.sys").at("vouchedBy").size(), 1U);
  write_text(package() / "sample.txt", "flat ");
  verify(1);
}

TEST_F(PackageCase, N39DecoratedCatalogNamesUtf16StringsSubfoldersAndCompressedFiles) {
  fs::create_directory(package() / "x64");
  fs::rename(package() / "sample.sys", package() / "x64/Sample.SYS");
  change_inf("CatalogFile=sample.cat", "CatalogFile=other.cat\r\nCatalogFile.NTamd64=%Cat%");
  change_inf("sample.sys=1\r\n", "%Driver%=2\r\n");
  change_inf("1=Disk\r\n", "1=Disk\r\n2=Disk,,,\\X64\r\n");
  std::string inf = read_text(package() / "sample.inf") + "[Strings]\r\nCat=\"Sample.CAT\"\r\nDriver=\"sample.sys\"\r\n";
  Bytes utf16 = {0xFF, 0xFE};
  base::append(utf16, *base::utf16le_from_utf8(inf));
  write_file(package() / "sample.inf", utf16);
  create(0);
  EXPECT_FALSE(fs::exists(package() / "other.cat"));
  EXPECT_EQ(members(), (std::vector<std::string>{"sample.inf", "sample.sys", "sample.txt"}));
  fs::rename(package() / "x64/Sample.SYS", package() / "x64/sample.sy_");
  EXPECT_TRUE(has(create(1).at("findings"), "inf.file-compressed", "error", "22.9.1"));
}

TEST_F(PackageCase, N40DriverVerInTheFutureTooOldMalformedAndAtMidnight) {
  change_inf("11/20/2025", "11/20/2048");
  EXPECT_TRUE(has(create(1).at("findings"), "inf.driverver-future", "error", "22.9.7"));
  EXPECT_FALSE(fs::exists(package() / "sample.cat"));
  change_inf("11/20/2048", "04/20/2009");
  EXPECT_TRUE(has(create(1).at("findings"), "inf.driverver-too-old", "error", "must be postdated to 4/21/2009 for newest OS"));
  create(0, {}, "Vista_X64");   // no such date for that system
  change_inf("04/20/2009", "20/04/2025");
  EXPECT_TRUE(has(create(1).at("findings"), "inf.driverver-missing", "error", "22.9.6"));
  // A date that has begun nowhere but in the far east: on the machine's calendar it may be today.
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const std::string tomorrow = base::rfc3339(now + std::chrono::hours(24)).substr(0, 10);
  change_inf("20/04/2025", fmt::format("{}/{}/{}", tomorrow.substr(5, 2), tomorrow.substr(8, 2), tomorrow.substr(0, 4)));
  EXPECT_TRUE(has(create(1).at("findings"), "inf.driverver-future", "error", "current date (UTC)"));
  const Finished local = run({"env", "TZ=UTC-23:59", program("coldseal"), "catalog", "create", package(), "--os", "10_X64", "--use-local-time"});
  const bool is_first_minute = base::rfc3339(now).substr(11, 5) == "00:00";
  EXPECT_EQ(local.status, is_first_minute ? 1 : 0) << local.output;
}

TEST_F(PackageCase, N41SignatureAttributesOfAFileThatIsNotCopied) {
  write_text(package() / "sample.inf", read_text(package() / "sample.inf") + "[SignatureAttributes]\r\nother.dll=Sig\r\nsample.sys=Sig\r\n[Sig]\r\nPETrust=true\r\n");
  EXPECT_TRUE(has(create(0).at("findings"), "inf.signature-attributes-unused", "warning", "other.dll"));
  const auto catalog = formats::Catalog::parse(read_file(package() / "sample.cat"));
  for (const formats::CatalogEntry& entry : catalog->entries())
    EXPECT_TRUE(!entry.digest || (entry.attribute("PETrusted") != nullptr) == (*entry.attribute("File") == "sample.sys"));
}

TEST_F(PackageCase, FindsWhatKeepsADriverFromWorking) {
  change_inf("CopyFiles=L\r\n", "CopyFiles=L,L2\r\nCopyINF=second.inf\r\n[L2]\r\nsample.sys,other.sys\r\n[Inst.NT.Services]\r\nAddService=S,2,Svc\r\n[Svc]\r\nStartType=0\r\nServiceBinary=%12%\\sample.sys\r\n");
  change_inf("sample.sys=1\r\n", "sample.sys=1\r\nother.sys=1\r\n");
  write_file(package() / "other.sys", driver_of_size(8192));
  write_text(package() / "d3d8.dll", "Windows has this one itself");
  const json findings = create(0, {}, "10_X64,Server10_X64").at("findings");
  EXPECT_TRUE(has(findings, "inf.name-clash", "warning", "are both installed as sample.sys")) << findings.dump(1);
  EXPECT_TRUE(has(findings, "inf.copyinf-missing", "warning", "second.inf"));
  EXPECT_TRUE(has(findings, "inf.boot-start-not-signed", "warning", "sample.sys"));
  EXPECT_TRUE(has(findings, "inf.redistribution", "warning", "22.9.8: Possible Windows file redistribution violation (\\d3d8.dll --> d3d8.dll). File not copied by installation inf so this is a warning only."));
  EXPECT_TRUE(has(findings, "package.beyond-attestation", "note", "Server10_X64"));
  for (const json& finding : findings) EXPECT_FALSE(finding.at("remedy").get<std::string>().empty()) << finding.dump();
}

// 384 MiB of address space, libraries included, and ten seconds of processor time: a program that believed what a file says about
// sizes, or followed it in circles, would end with a signal.
class LimitedPackage : public PackageCase {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the address sanitizer needs more address space than the limit";
#endif
  }
  static Finished limited(const std::string& arguments) {
    return run({"sh", "-c", fmt::format("ulimit -v 393216; ulimit -t 10; exec {} {}", program("coldseal"), arguments)});
  }
  void expect_refused(const std::string& words) const {
    const Finished made = limited(fmt::format("catalog create {} --os 10_X64", package().string()));
    EXPECT_EQ(made.status, 1) << made.output.substr(0, 2000);
    EXPECT_NE(made.output.find(words), std::string::npos) << made.output.substr(0, 2000);
    EXPECT_FALSE(fs::exists(package() / "sample.cat"));
    EXPECT_EQ(limited(fmt::format("inspect {} --os 10_X64", package().string())).status, 1);
  }
  void append(const std::string& piece, std::size_t times) const {
    std::ofstream out(package() / "sample.inf", std::ios::app | std::ios::binary);
    for (std::size_t i = 0; i < times; ++i) out << piece;
  }
};

TEST_F(LimitedPackage, RefusesAnInfOf64Mebibytes) {
  append(std::string(1 << 20, ';') + "\r\n", 64);
  expect_refused("over the limit of 16777216");
}

TEST_F(LimitedPackage, RefusesAnInfOfOneEndlessLine) {
  append("[a]\r\nkey = ", 1);
  append(std::string(1 << 20, 'x'), 12);
  expect_refused("longer than 65536 bytes");
}

TEST_F(LimitedPackage, RefusesAnInfOfOneLineContinuedForEver) {
  append("[a]\r\nkey = ", 1);
  append("x, \\\r\n", 150000);
  expect_refused("longer than 65536 bytes");
}

TEST_F(LimitedPackage, RefusesAnInfWithAMillionSections) {
  std::ofstream out(package() / "sample.inf", std::ios::app | std::ios::binary);
  for (std::size_t i = 0; i < 1000000; ++i) out << '[' << i << "]\n";
  out.close();
  expect_refused("more than 20000 sections");
}

TEST_F(LimitedPackage, ReadsIncludesAndCopiedInfsThatGoInCircles) {
  change_inf("CopyFiles=L\r\n", "CopyFiles=L\r\nInclude=other.inf,sample.inf\r\nNeeds=Inst.NT\r\nCopyINF=other.inf\r\n");
  std::string other = read_text(package() / "sample.inf");
  other.replace(other.find("Include=other.inf"), 17, "Include=sample.inf");
  other.replace(other.find("CopyINF=other.inf"), 17, "CopyINF=sample.inf");
  write_text(package() / "other.inf", other);
  const Finished made = limited(fmt::format("catalog create {} --os 10_X64", package().string()));
  EXPECT_EQ(made.status, 0) << made.output;
  EXPECT_EQ(members(), (std::vector<std::string>{"other.inf", "sample.inf", "sample.sys", "sample.txt"}));
}

TEST_F(LimitedPackage, DoesNotFollowStringsThatReferToThemselves) {
  std::string strings = "[Strings]\r\nA=\"%A%%A%\"\r\nB=\"%C%%C%\"\r\nC=\"%B%%B%\"\r\n";
  change_inf("Provider=P", "Provider=%A%%B%");
  append(strings, 1);
  const Finished made = limited(fmt::format("catalog create {} --os 10_X64", package().string()));
  EXPECT_EQ(made.status, 0) << made.output;
  EXPECT_NE(limited(fmt::format("inspect {} --os 10_X64", package().string())).output.find("%A%%A%%C%%C%"), std::string::npos);
}

TEST_F(LimitedPackage, RefusesStringsThatGrowBeyondTheLimit) {
  change_inf("CopyFiles=L", "CopyFiles=" + std::string("%X%%X%%X%%X%%X%"));
  append("[Strings]\r\nX=\"" + std::string(1000, 'x') + "\"\r\n", 1);
  expect_refused("after its %strings% are replaced");
}

TEST_F(LimitedPackage, ReadsACatalogOf5000FilesAndRefusesWrongLengths) {
  formats::CatalogContent content;
  content.this_update = at("2026-01-01T00:00:00Z");
  for (std::size_t i = 0; i < 5000; ++i) {
    const std::string text = std::to_string(i);
    content.members.push_back({"f" + text, "2:10.0", *formats::member_digests(base::MemorySource(base::as_bytes(text)))});
  }
  Bytes catalog = formats::unsigned_catalog(*formats::encode_ctl(content));
  write_file(folder_ / "big.cat", catalog);
  const Finished shown = limited(fmt::format("catalog show {} --json", (folder_ / "big.cat").string()));
  EXPECT_EQ(shown.status, 0) << shown.output.substr(0, 500);
  EXPECT_EQ(json::parse(shown.output).at("members").size(), 10000U);   // with the SHA-1 twins
  for (const std::uint8_t wrong : Bytes{0x7F, 0x84, 0x88, 0xFF}) {   // in the length of the outermost element
    catalog[1] = wrong;
    write_file(folder_ / "big.cat", catalog);
    const Finished refused = limited(fmt::format("catalog show {}", (folder_ / "big.cat").string()));
    EXPECT_TRUE(refused.status == 1 || refused.status == 2) << refused.status << " " << refused.output.substr(0, 500);
    EXPECT_NE(refused.output.find("catalog: "), std::string::npos) << refused.output.substr(0, 500);
  }
}

}  // namespace
}  // namespace tests
