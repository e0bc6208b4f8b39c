#include "crypto/package/inspection.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/package/inspection_builder.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/support/version_resource.hpp"

namespace package {
namespace {

const base::Time kToday = *base::time_from_rfc3339("2026-11-23T16:20:00Z");

constexpr std::string_view kVersion =
    "[Version]\r\nSignature=\"$WINDOWS NT$\"\r\nClass=System\r\nClassGuid={4d36e97d-e325-11ce-bfc1-08002be10318}\r\nProvider=%P%\r\n"
    "DriverVer=11/20/2026,1.2.3.4\r\nCatalogFile=Sample.CAT\r\nPnpLockdown=1\r\n[Strings]\r\nP=\"Maker\"\r\n";
constexpr std::string_view kInstall =
    "[Manufacturer]\r\n%P%=Std,NTamd64\r\n[Std.NTamd64]\r\n\"Device\"=Inst,ROOT\\Sample\r\n[Inst.NT]\r\nCopyFiles=Drivers\r\n[Inst.NT.Services]\r\n"
    "AddService=sample,2,Svc\r\n[Svc]\r\nStartType=3\r\nServiceBinary=%12%\\sample.sys\r\n[Drivers]\r\nSAMPLE.sys\r\n"
    "[SourceDisksNames]\r\n1=Disk\r\n[SourceDisksFiles]\r\nsample.sys=1\r\n";

std::string sample_inf() { return std::string(kVersion) + std::string(kInstall); }

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

tests::Package sample(const std::string& inf = sample_inf()) {
  tests::Package files;
  files.add("Sample.inf", inf);
  files.add("sample.sys", tests::build_pe(tests::driver_description()));
  return files;
}

Inspection inspected(const tests::Package& files, const std::vector<std::string>& targets = {"10_X64"}) { return inspect(files.files(), targets, kToday); }

const Finding* finding(const Inspection& inspection, std::string_view id) {
  const auto found = std::find_if(inspection.findings.begin(), inspection.findings.end(), [&](const Finding& f) { return f.id == id; });
  return found == inspection.findings.end() ? nullptr : &*found;
}

const Finding* finding(Inspection&&, std::string_view) = delete;   // it would point into what is gone

void expect_error(const Inspection& inspection, std::string_view id, std::string_view cause, std::uint32_t line) {
  const Finding* found = finding(inspection, id);
  ASSERT_NE(found, nullptr) << id;
  EXPECT_EQ(found->severity, Severity::error);
  EXPECT_NE(found->cause.find(cause), std::string::npos) << found->cause;
  EXPECT_EQ(found->line, line);
  EXPECT_FALSE(found->remedy.empty());
  EXPECT_TRUE(inspection.has_errors());
}

TEST(Inspection, PlansTheCatalogOfASoundPackage) {
  const Inspection inspection = inspected(sample());
  for (const Finding& found : inspection.findings) ADD_FAILURE() << found.id << ": " << found.cause;
  ASSERT_EQ(inspection.catalogs.size(), 1U);
  const PlannedCatalog& catalog = inspection.catalogs[0];
  EXPECT_EQ(catalog.path, "sample.cat");   // the .cat is written with a lower-case name
  EXPECT_EQ(catalog.os, "_v100_X64");
  EXPECT_EQ(catalog.hardware_ids, (std::vector<std::string>{"root\\sample"}));
  ASSERT_EQ(catalog.members.size(), 2U);
  EXPECT_EQ(catalog.members[0].path, "Sample.inf");
  EXPECT_EQ(catalog.members[0].file, "sample.inf");
  EXPECT_EQ(catalog.members[1].path, "sample.sys");   // as the package spells it, though the INF does not
  EXPECT_EQ(catalog.members[1].file, "sample.sys");
  EXPECT_EQ(catalog.members[1].os_attr, "2:10.0");
  ASSERT_EQ(inspection.pe_files.size(), 1U);
  EXPECT_EQ(inspection.pe_files[0].machine, "x64");
  EXPECT_FALSE(inspection.pe_files[0].is_signed);
}

TEST(Inspection, TellsWhatPeopleWantToRead) {
  std::string text;
  for (const Fact& fact : inspected(sample()).facts) text += fact.file + " " + fact.name + "=" + fact.value + "\n";
  EXPECT_EQ(text,
            "Sample.inf Class=System\nSample.inf ClassGuid={4d36e97d-e325-11ce-bfc1-08002be10318}\nSample.inf Provider=Maker\n"
            "Sample.inf DriverVer=11/20/2026, 1.2.3.4\nSample.inf PnpLockdown=1\nSample.inf CatalogFile (amd64)=Sample.CAT\n"
            "Sample.inf Service=sample, StartType 3, %12%\\sample.sys\nSample.inf Device=Device = ROOT\\Sample\n");
}

TEST(Inspection, FindsAFileThatIsCopiedAndNotThere) {
  tests::Package files;
  files.add("drv/Sample.inf", sample_inf());
  const Inspection inspection = inspected(files);
  expect_error(inspection, "inf.file-missing", "22.9.1: \\drv\\SAMPLE.sys in [Drivers] of \\drv\\Sample.inf is missing or cannot be decompressed", 23);
  ASSERT_EQ(inspection.catalogs.size(), 1U);
  EXPECT_EQ(inspection.catalogs[0].path, "drv/sample.cat");
  EXPECT_EQ(inspection.catalogs[0].members.size(), 1U);
}

TEST(Inspection, FollowsAPathBackAsLongAsItStaysInThePackage) {
  const auto with_disk = [](std::string_view disk) {
    tests::Package files;
    files.add("inf/Sample.inf", replaced(sample_inf(), "1=Disk", disk));
    files.add("bin/sample.sys", tests::build_pe(tests::driver_description()));
    return inspected(files);
  };
  const Inspection inside = with_disk("1=Disk,,,..\\bin");
  EXPECT_FALSE(inside.has_errors());
  ASSERT_EQ(inside.catalogs.size(), 1U);
  ASSERT_EQ(inside.catalogs[0].members.size(), 2U);
  EXPECT_EQ(inside.catalogs[0].members[1].path, "bin/sample.sys");
  EXPECT_EQ(finding(inside, "inf.not-copied"), nullptr);
  const Inspection outside = with_disk("1=Disk,,,..\\..\\bin");
  EXPECT_NE(finding(outside, "inf.file-missing"), nullptr);
}

TEST(Inspection, TakesSystemsForItaniumWithTheCatalogOfTheOthers) {
  const Inspection inspection = inspected(sample(), {"Server2003_IA64", "Server2003_X64"});
  EXPECT_FALSE(inspection.has_errors());
  ASSERT_EQ(inspection.catalogs.size(), 1U);
  EXPECT_EQ(inspection.catalogs[0].os, "Server2003IA64,Server2003X64");
}

TEST(Inspection, FindsACompressedFileOfTheSameName) {
  tests::Package files;
  files.add("Sample.inf", sample_inf());
  files.add("sample.sy_", "SZDD");
  expect_error(inspected(files), "inf.file-compressed", "SAMPLE.sy_", 23);
}

TEST(Inspection, FindsWhatIsWrongWithDriverVer) {
  const auto with = [](std::string_view value) { return inspected(sample(replaced(sample_inf(), "11/20/2026,1.2.3.4", value))); };
  expect_error(with(""), "inf.driverver-missing", "22.9.6", 6);
  expect_error(with("20.11.2026,1.2.3.4"), "inf.driverver-missing", "22.9.6", 6);
  expect_error(with("02/30/2026,1.2.3.4"), "inf.driverver-missing", "22.9.6", 6);
  expect_error(with("11/20/2026,1.2.3.65536"), "inf.driverver-missing", "22.9.6", 6);
  expect_error(with("11/20/2026,1..2"), "inf.driverver-missing", "22.9.6", 6);
  expect_error(with("11/24/2026,1.2.3.4"), "inf.driverver-future", "the current date (UTC) is 2026-11-23", 6);
  expect_error(with("04/20/2009,1.2.3.4"), "inf.driverver-too-old", "22.9.7", 6);
  expect_error(inspected(sample(replaced(sample_inf(), "DriverVer=", "DriverVersion="))), "inf.driverver-missing", "22.9.6: DriverVer missing", 0);
  EXPECT_FALSE(with("11/23/2026").has_errors());   // today, and no version: Visual Studio's samples do without
  EXPECT_FALSE(with("4-21-2009,1.0").has_errors());
}

TEST(Inspection, FindsATargetWithoutCatalog) {
  const std::string inf = replaced(sample_inf(), "CatalogFile=", "CatalogFile.NTamd64=");
  const Inspection inspection = inspected(sample(inf), {"10_X64", "10_X86"});
  expect_error(inspection, "inf.catalogfile-missing", "CatalogFile.ntx86", 0);
  ASSERT_EQ(inspection.catalogs.size(), 1U);
  EXPECT_EQ(inspection.catalogs[0].os, "_v100_X64");
}

TEST(Inspection, RefusesCatalogNamesThatLeaveTheFolderOrAreOtherFiles) {
  for (const std::string_view name : {"..\\evil.cat", "a/b.cat", "sample.sys", "c:x.cat", ".cat", "\"a\x1b.cat\"", "%x%.cat", "\"x.cat \""}) {
    const Inspection inspection = inspected(sample(replaced(sample_inf(), "Sample.CAT", name)));
    expect_error(inspection, "inf.catalogfile-malformed", "not a plain file name", 0);
    EXPECT_TRUE(inspection.catalogs.empty()) << name;
  }
}

TEST(Inspection, ListsTheIdsOfAllInfsInEveryCatalog) {
  tests::Package files = sample();
  files.add("_more/second.inf", replaced(replaced(sample_inf(), "ROOT\\Sample", "ROOT\\Second,root\\sample"), "sample.sys=1", "sample.sys=1"));
  files.add("_more/sample.sys", tests::build_pe(tests::driver_description()));
  const Inspection inspection = inspected(files);
  ASSERT_EQ(inspection.catalogs.size(), 2U);
  for (const PlannedCatalog& catalog : inspection.catalogs)
    EXPECT_EQ(catalog.hardware_ids, (std::vector<std::string>{"root\\sample", "root\\second"}));
  EXPECT_EQ(inspection.catalogs[1].path, "_more/sample.cat");
}

TEST(Inspection, GivesEachMemberTheVersionsOfTheTargetsThatInstallIt) {
  std::string inf = replaced(sample_inf(), "Std,NTamd64\r\n", "Std,NTamd64,NTarm64\r\n[Std.NTarm64]\r\n\"Device\"=Inst,ROOT\\Sample\r\n");
  inf = replaced(inf, "[Inst.NT]\r\n", "[Inst.NTarm64]\r\n[Inst.NT]\r\n");
  const Inspection inspection = inspected(sample(inf), {"6_3_X64", "10_RS3_ARM64"});
  ASSERT_EQ(inspection.catalogs.size(), 1U);
  EXPECT_EQ(inspection.catalogs[0].os, "_v63_X64,_v100_ARM64_RS3");
  ASSERT_EQ(inspection.catalogs[0].members.size(), 2U);
  EXPECT_EQ(inspection.catalogs[0].members[0].os_attr, "2:6.3,2:10.0");
  EXPECT_EQ(inspection.catalogs[0].members[1].os_attr, "2:6.3");
}

TEST(Inspection, WarnsOfASha1CatalogForNewSystems) {
  const Inspection both = inspected(sample(), {"7_X64", "10_X64"});
  EXPECT_FALSE(both.has_errors());
  ASSERT_EQ(both.catalogs.size(), 1U);
  EXPECT_EQ(both.catalogs[0].os, "7X64,_v100_X64");
  ASSERT_NE(finding(both, "catalog.sha1-only"), nullptr);
  EXPECT_EQ(finding(both, "catalog.sha1-only")->severity, Severity::warning);
  const Inspection old = inspected(sample(), {"7_X64"});
  EXPECT_EQ(finding(old, "catalog.sha1-only"), nullptr);
}

TEST(Inspection, HoldsDriverVerAgainstTheDateThatTheCallerGoesBy) {
  const tests::Package files = sample(replaced(sample_inf(), "11/20/2026", "11/24/2026"));
  const base::Time late = *base::time_from_rfc3339("2026-11-23T23:30:00Z");
  EXPECT_TRUE(inspect(files.files(), {"10_X64"}, late).has_errors());
  EXPECT_FALSE(inspect(files.files(), {"10_X64"}, {late + std::chrono::hours(1), true}).has_errors());   // an hour east of Greenwich
  const Inspection local = inspect(files.files(), {"10_X64"}, {late, true});
  expect_error(local, "inf.driverver-future", "the current date (local) is 2026-11-23", 6);
}

TEST(Inspection, WarnsWhenAnArchitectureHasNoModels) {
  const Inspection inspection = inspected(sample(), {"10_X64", "10_X86"});
  ASSERT_NE(finding(inspection, "inf.models-not-decorated"), nullptr);
  EXPECT_EQ(finding(inspection, "inf.models-not-decorated")->cause, "\\Sample.inf does not have NTX86 decorated model sections");
  EXPECT_FALSE(inspection.has_errors());
}

TEST(Inspection, FindsUnknownTargets) {
  expect_error(inspected(sample(), {"10_X46"}), "os.unknown", "did you mean 10_X64?", 0);
  expect_error(inspected(sample(), {}), "os.unknown", "at least one", 0);
}

TEST(Inspection, NotesSignedImagesAndFilesThatNoInfCopies) {
  tests::Package files;
  files.add("Sample.inf", sample_inf());
  files.add("sample.sys", tests::Vendor().sign_pe(tests::build_pe(tests::driver_description())));
  files.add("readme.txt", "hello");
  files.add("sample.cat", "old");
  const Inspection inspection = inspected(files);
  EXPECT_FALSE(inspection.has_errors());
  ASSERT_EQ(inspection.pe_files.size(), 1U);
  EXPECT_TRUE(inspection.pe_files[0].is_signed);
  ASSERT_NE(finding(inspection, "pe.already-signed"), nullptr);
  EXPECT_EQ(finding(inspection, "pe.already-signed")->file, "sample.sys");
  ASSERT_NE(finding(inspection, "inf.not-copied"), nullptr);
  EXPECT_EQ(finding(inspection, "inf.not-copied")->file, "readme.txt");
  ASSERT_NE(finding(inspection, "catalog.replaced"), nullptr);
}

TEST(Inspection, FindsImagesThatAreReadInTwoWaysOrNone) {
  tests::Package files = sample();
  const base::Bytes image = tests::build_pe(tests::driver_description());
  files.add("cut.sys", base::Bytes(image.begin(), image.begin() + 0x180));
  const Inspection of_cut = inspected(files);
  const Finding* found = finding(of_cut, "pe.not-readable");
  ASSERT_NE(found, nullptr);

  tests::Package two;
  base::Bytes overlapping = image;
  overlapping[0x80 + 24 + 61] = static_cast<std::uint8_t>(overlapping[0x80 + 24 + 61] + 2);   // SizeOfHeaders reaches into the first section
  two.add("two.sys", overlapping);
  const Inspection of_two = inspected(two);
  found = finding(of_two, "pe.ambiguous-layout");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->file, "two.sys");
  EXPECT_EQ(found->severity, Severity::error);
}

TEST(Inspection, AsksForAnEmbeddedSignatureOnBootStartDrivers) {
  const Inspection inspection = inspected(sample(replaced(sample_inf(), "StartType=3", "StartType=0")));
  ASSERT_NE(finding(inspection, "inf.boot-start"), nullptr);
  EXPECT_EQ(finding(inspection, "inf.boot-start")->severity, Severity::note);
}

TEST(Inspection, PlansWhatSignatureAttributesAskFor) {
  const std::string inf = sample_inf() + "[SignatureAttributes]\r\nSample.sys=Attr\r\nnot_there.dll=Attr\r\n[Attr]\r\nHalExt=true\r\n";
  const Inspection plain = inspected(sample(inf));
  EXPECT_FALSE(plain.has_errors());
  EXPECT_FALSE(plain.catalogs.at(0).is_pe_trusted);
  EXPECT_FALSE(plain.catalogs.at(0).members.at(1).has_page_hashes);
  ASSERT_NE(finding(plain, "inf.signature-attributes-unused"), nullptr);
  EXPECT_EQ(finding(plain, "inf.signature-attributes-unused")->line, 30U);
  const Inspection marked = inspected(sample(inf + "PETrust=True\r\nDRMLevel=1300\r\n"));
  EXPECT_TRUE(marked.catalogs.at(0).is_pe_trusted);
  EXPECT_TRUE(marked.catalogs.at(0).members.at(1).is_pe_trusted);
  EXPECT_TRUE(marked.catalogs.at(0).members.at(1).has_page_hashes);
  EXPECT_EQ(marked.catalogs.at(0).members.at(1).drm_level, "1300");
  EXPECT_EQ(marked.catalogs.at(0).members.at(0).drm_level, "");   // the INF itself
  expect_error(inspected(sample(inf + "Elam=true\r\n")), "inf.signature-attributes", "Elam", 29);
}

TEST(Inspection, LooksOnlyOnceAtABrokenInfAndGoesOn) {
  tests::Package files = sample();
  files.add("a_broken.inf", "[Version");
  files.add("autorun.inf", "[autorun]\r\nopen=x\r\n");
  const Inspection inspection = inspected(files);
  expect_error(inspection, "inf.not-readable", "line 1", 0);
  ASSERT_NE(finding(inspection, "inf.not-a-driver"), nullptr);
  EXPECT_EQ(inspection.catalogs.size(), 1U);
}

TEST(Inspection, KeepsItsFactsAndFindingsUnderTheirLimits) {
  std::string inf = replaced(sample_inf(), "[Std.NTamd64]\r\n", "[Std.NTamd64]\r\n" + [] {
    std::string lines;
    for (int i = 0; i < 3000; ++i) lines += "d" + std::to_string(i) + "=Inst,id" + std::to_string(i) + "\r\n";
    return lines;
  }());
  for (int i = 0; i < 3000; ++i) inf = std::move(inf) + (i == 0 ? "[Drivers]\r\n" : "") + "x" + std::to_string(i) + ".sys\r\n";
  const Inspection inspection = inspected(sample(inf));
  EXPECT_EQ(inspection.facts.size(), base::limits::kFacts);
  EXPECT_LE(inspection.findings.size(), base::limits::kFindings);
  ASSERT_NE(finding(inspection, "inspection.findings-left-out"), nullptr);
  EXPECT_EQ(finding(inspection, "inspection.findings-left-out")->severity, Severity::error);
  EXPECT_TRUE(decode_inspection(encode_inspection(inspection)).has_value());
}

// Of a flood, whether it comes before or after: what is found once must be seen, and what is worse before what is mild.
TEST(Inspection, KeepsTheFirstFindingOfEveryIdHoweverManyOthersThereAre) {
  for (const bool flood_first : {true, false}) {
    InspectionBuilder out;
    const auto flood = [&] {
      for (std::size_t i = 0; i < 3 * base::limits::kFindings; ++i) out.finding("inf.not-copied", Severity::note, "x.dll", 0, "no section copies it", "none");
    };
    if (flood_first) flood();
    out.finding("pe.no-nx", Severity::note, "a.sys", 0, "not linked with /NXCOMPAT", "link with /NXCOMPAT");
    for (int i = 0; i < 3; ++i) out.finding("pe.debug-build", Severity::warning, "a.sys", 0, "imports from a debug runtime", "send the release build");
    if (!flood_first) flood();
    const Inspection inspection = std::move(out).finish();
    EXPECT_EQ(inspection.findings.size(), base::limits::kFindings - 1);
    EXPECT_NE(finding(inspection, "pe.no-nx"), nullptr);
    EXPECT_NE(finding(inspection, "inf.not-copied"), nullptr);
    EXPECT_EQ(std::count_if(inspection.findings.begin(), inspection.findings.end(), [](const Finding& each) { return each.id == "pe.debug-build"; }), 3);
    ASSERT_NE(finding(inspection, "inspection.findings-left-out"), nullptr);
    EXPECT_EQ(finding(inspection, "inspection.findings-left-out")->severity, Severity::note);
    EXPECT_NE(finding(inspection, "inspection.findings-left-out")->cause.find(std::to_string(2 * base::limits::kFindings + 6)), std::string::npos);
  }
}

// One thing wrong at a time, and each is found by its own id and no other.
TEST(Inspection, FindsDebugBuildsCodeThatMayBeWrittenAndMissingMitigations) {
  const auto ids = [](const base::Bytes& image) {
    tests::Package files;
    files.add("Sample.inf", sample_inf());
    files.add("sample.sys", image);
    const Inspection inspection = inspected(files);
    std::vector<std::string> found;
    for (const Finding& each : inspection.findings)
      if (each.id.starts_with("pe.")) found.push_back(each.id);
    return found;
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ids(tests::build_pe(tests::driver_description())), Ids{});
  EXPECT_EQ(ids(tests::driver_with_version("sample.sys", 1, false)), Ids{});
  EXPECT_EQ(ids(tests::driver_with_version("sample.sys", 1, true)), Ids{"pe.debug-build"});
  EXPECT_EQ(ids(tests::driver_with_imports({"ntoskrnl.exe"})), Ids{});
  EXPECT_EQ(ids(tests::driver_with_imports({"ntoskrnl.exe", "VCRUNTIME140D.dll"})), Ids{"pe.debug-build"});
  tests::PeDescription description = tests::driver_description();
  description.sections.front().characteristics |= 0x80000000;   // IMAGE_SCN_MEM_WRITE beside MEM_EXECUTE
  EXPECT_EQ(ids(tests::build_pe(description)), Ids{"pe.writable-code"});
  description = tests::driver_description();
  description.dll_characteristics = 0x4060;
  EXPECT_EQ(ids(tests::build_pe(description)), Ids{"pe.no-nx"});
  description.dll_characteristics = 0x0160;
  EXPECT_EQ(ids(tests::build_pe(description)), Ids{"pe.no-cfg"});
}

}  // namespace
}  // namespace package
