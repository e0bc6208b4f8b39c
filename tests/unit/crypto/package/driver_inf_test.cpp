#include "crypto/package/driver_inf.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

namespace package {
namespace {

struct Read {
  std::unique_ptr<formats::InfFile> inf;
  DriverInf driver;
};

Read read(std::string_view text) {
  auto parsed = formats::InfFile::parse(base::as_bytes(text));
  EXPECT_TRUE(parsed.has_value()) << parsed.error().text();
  auto inf = std::make_unique<formats::InfFile>(std::move(*parsed));
  auto driver = DriverInf::read(*inf);
  EXPECT_TRUE(driver.has_value()) << driver.error().text();
  return {std::move(inf), std::move(*driver)};
}

ArchitectureSet set_of(std::initializer_list<Architecture> architectures) {
  ArchitectureSet set;
  for (const Architecture a : architectures) set.insert(a);
  return set;
}

const CopiedFile* copied(const Read& read, std::string_view source) {
  const auto& files = read.driver.copied_files();
  const auto found = std::find_if(files.begin(), files.end(), [&](const CopiedFile& file) { return file.source == source; });
  return found == files.end() ? nullptr : &*found;
}

TEST(DriverInf, TakesTheMostDecoratedCatalogFile) {
  const Read inf = read("[Version]\nCatalogFile=plain.cat\nCatalogFile.NT=nt.cat\nCatalogFile.NTamd64=%N%.cat\n[Strings]\nN=x64\n");
  EXPECT_EQ(inf.driver.catalog_file(Architecture::amd64), "x64.cat");
  EXPECT_EQ(inf.driver.catalog_file(Architecture::x86), "nt.cat");
  EXPECT_EQ(read("[Version]\nCatalogFile=plain.cat\n").driver.catalog_file(Architecture::arm64), "plain.cat");
  EXPECT_EQ(read("[Version]\nCatalogFile.ntarm=a.cat\n").driver.catalog_file(Architecture::arm64), "");
}

TEST(DriverInf, ReadsIdsOfEveryDecorationInTheOrderOfTheManufacturersLine) {
  const Read inf = read(
      "[Manufacturer]\n%M%=Std,NTarm64.10.0...19041,NTamd64\n[Std.NTamd64]\n%D%=I,ROOT\\B,%C%\n[Std.NTarm64.10.0...19041]\n%D%=I,\"root\\a\"\n"
      "[Strings]\nM=Maker\nD=Device\nC=USB\\Class_02\n");
  ASSERT_EQ(inf.driver.devices().size(), 2U);
  EXPECT_EQ(inf.driver.devices()[0].ids, (std::vector<std::string>{"root\\a"}));
  EXPECT_EQ(inf.driver.devices()[1].ids, (std::vector<std::string>{"ROOT\\B", "USB\\Class_02"}));
  EXPECT_EQ(inf.driver.devices()[1].description, "Device");
  EXPECT_EQ(inf.driver.devices()[1].line, 4U);
  EXPECT_EQ(inf.driver.architectures(), set_of({Architecture::amd64, Architecture::arm64}));
}

// An install section belongs to every architecture that has no more decorated one.
TEST(DriverInf, GivesASectionTheArchitecturesThatChooseIt) {
  const Read inf = read(
      "[Manufacturer]\nM=Std,NTx86,NTamd64,NTarm64\n[Std.NTx86]\nD=I,a\n[Std.NTamd64]\nD=I,a\n[Std.NTarm64]\nD=I,a\n"
      "[I]\nCopyFiles=Plain\n[I.NT]\nCopyFiles=Nt\n[I.NTarm64]\nCopyFiles=@arm.sys\n[Plain]\nplain.sys\n[Nt]\nnt.sys\n"
      "[SourceDisksFiles]\nplain.sys=1\nnt.sys=1\narm.sys=1\n[SourceDisksNames]\n1=Disk\n");
  ASSERT_NE(copied(inf, "nt.sys"), nullptr);
  EXPECT_EQ(copied(inf, "nt.sys")->architectures, set_of({Architecture::x86, Architecture::amd64}));
  ASSERT_NE(copied(inf, "arm.sys"), nullptr);
  EXPECT_EQ(copied(inf, "arm.sys")->architectures, set_of({Architecture::arm64}));
  EXPECT_EQ(copied(inf, "plain.sys"), nullptr);   // .NT is there for all others
}

// A models line may name a decorated section: that name is then a base for every architecture (gripdet of the corpus).
TEST(DriverInf, TakesADecoratedNameInAModelsLineAsABaseForAll) {
  const Read inf = read(
      "[Manufacturer]\nM=Std,NTarm,NTarm64\n[Std.NTarm]\nD=I.NTarm,a\n[Std.NTarm64]\nD=I.NTarm64,a\n[I.NTarm]\nCopyFiles=@a.sys\n"
      "[I.NTarm64]\nCopyFiles=@b.sys\n[SourceDisksFiles]\na.sys=1\nb.sys=1\n");
  EXPECT_EQ(copied(inf, "a.sys")->architectures, set_of({Architecture::arm, Architecture::arm64}));
  EXPECT_EQ(copied(inf, "b.sys")->architectures, set_of({Architecture::arm, Architecture::arm64}));
}

TEST(DriverInf, TakesEveryArchitecturesSourceFromASharedSection) {
  const Read inf = read(
      "[Manufacturer]\nM=Std,NTx86,NTamd64\n[Std.NTx86]\nD=I,a\n[Std.NTamd64]\nD=I,a\n[I]\nCopyFiles=L\n[L]\nnew.dll,old.dll,,2\n"
      "[SourceDisksNames.x86]\n1=Disk,,,\\i386\n[SourceDisksNames]\n1=Disk,,,.\\amd64\n[SourceDisksFiles]\nOLD.dll=1,sub\n");
  ASSERT_EQ(inf.driver.copied_files().size(), 2U);
  EXPECT_EQ(inf.driver.copied_files()[0].source, "i386/sub/old.dll");
  EXPECT_EQ(inf.driver.copied_files()[1].source, "amd64/sub/old.dll");
  EXPECT_EQ(inf.driver.copied_files()[0].destination, "new.dll");
  EXPECT_EQ(inf.driver.copied_files()[0].line, 10U);
}

TEST(DriverInf, LeavesOutWhatNoSectionCopies) {
  const Read inf = read("[Manufacturer]\nM=Std,NTamd64\n[Std.NTamd64]\nD=I,a\n[I]\nCopyFiles=L\n[L]\na.sys\n[SourceDisksFiles]\na.sys=1\nb.sys=1\n");
  ASSERT_EQ(inf.driver.copied_files().size(), 1U);
  EXPECT_TRUE(inf.driver.copied_files()[0].has_source_entry);
}

TEST(DriverInf, ReadsCoInstallersInterfacesAndDefaultInstall) {
  const Read inf = read(
      "[Manufacturer]\nM=Std,NTamd64\n[Std.NTamd64]\nD=I,a\n[I.NT]\n[I.NT.CoInstallers]\nCopyFiles=@co.dll\n[I.NT.Interfaces]\nAddInterface={g},,If\n"
      "[If]\nCopyFiles=@if.dll\n[DefaultInstall.NTamd64]\nCopyFiles=@def.sys\n[ClassInstall32]\nCopyFiles=@class.dll\n"
      "[SourceDisksFiles]\nco.dll=1\nif.dll=1\ndef.sys=1\nclass.dll=1\n");
  for (const std::string_view name : {"co.dll", "if.dll", "def.sys", "class.dll"}) EXPECT_NE(copied(inf, name), nullptr) << name;
}

TEST(DriverInf, KnowsNoItanium) {
  const Read inf = read("[Manufacturer]\nM=Std,NTia64,NTamd64\n[Std.NTia64]\nD=I,a\n[Std.NTamd64]\nD=I,a\n[I]\nCopyFiles=@a.sys\n[SourceDisksFiles.ia64]\na.sys=1,ia64\n[SourceDisksFiles]\na.sys=1\n");
  ASSERT_EQ(inf.driver.copied_files().size(), 1U);
  EXPECT_EQ(inf.driver.copied_files()[0].source, "a.sys");
}

// Its systems are named in catalogs, though no file is looked for on them.
TEST(DriverInf, KnowsTheCatalogOfItaniumSystems) {
  EXPECT_EQ(read("[Version]\nCatalogFile.NTia64=i.cat\nCatalogFile=a.cat\n").driver.catalog_file(Architecture::ia64), "i.cat");
  EXPECT_EQ(read("[Version]\nCatalogFile.NT=n.cat\nCatalogFile=a.cat\n").driver.catalog_file(Architecture::ia64), "n.cat");
}

TEST(DriverInf, ReadsCopiedInfsAndDestinationFolders) {
  const Read inf = read(
      "[Manufacturer]\nM=Std,NTamd64\n[Std.NTamd64]\nD=I,a\n[I.NT]\nCopyFiles=L,@c.dll\nCopyINF=%B%,C.inf\nCopyINF=c.INF\n[L]\na.sys\n"
      "[DestinationDirs]\nl=12\nDefaultDestDir=11,sub\n[SourceDisksFiles]\na.sys=1\nc.dll=1\n[Strings]\nB=b.inf\n");
  ASSERT_EQ(inf.driver.copied_infs().size(), 2U);
  EXPECT_EQ(inf.driver.copied_infs()[0].name, "b.inf");
  EXPECT_EQ(inf.driver.copied_infs()[0].line, 7U);
  EXPECT_EQ(inf.driver.copied_infs()[1].name, "C.inf");
  EXPECT_EQ(copied(inf, "a.sys")->folder, "12");
  EXPECT_EQ(copied(inf, "c.dll")->folder, "11,sub");
}

TEST(DriverInf, NamesLineAndSectionOfTextThatGrowsTooLong) {
  const std::string text = "[Version]\n[Manufacturer]\nM=%X%%X%%X%%X%%X%\n[Strings]\nX=" + std::string(1000, 'x') + "\n";
  const auto inf = formats::InfFile::parse(base::as_bytes(text));
  ASSERT_TRUE(inf.has_value());
  const auto driver = DriverInf::read(*inf);
  ASSERT_FALSE(driver.has_value());
  EXPECT_NE(driver.error().text().find("line 3, [Manufacturer]: "), std::string::npos) << driver.error().text();
}

TEST(DriverInf, MarksFilesWithoutASourceAndListsThatAreNotThere) {
  const Read inf = read("[Manufacturer]\nM=Std,NTamd64\n[Std.NTamd64]\nD=I,a\n[I]\nCopyFiles=L,Gone\n[L]\na.sys\n");
  ASSERT_EQ(inf.driver.copied_files().size(), 1U);
  EXPECT_FALSE(inf.driver.copied_files()[0].has_source_entry);
  ASSERT_EQ(inf.driver.missing_lists().size(), 1U);
  EXPECT_EQ(inf.driver.missing_lists()[0].name, "Gone");
  EXPECT_EQ(inf.driver.missing_lists()[0].line, 6U);
}

TEST(DriverInf, TellsBootStartServices) {
  const Read inf = read(
      "[Manufacturer]\nM=Std,NTamd64\n[Std.NTamd64]\nD=I,a\n[I]\n[I.Services]\nAddService=boot,2,S1\nAddService=demand,2,S2\nAddService=,2\n"
      "[S1]\nStartType=0x0\nServiceBinary=%12%\\b.sys\n[S2]\nStartType=3\n");
  ASSERT_EQ(inf.driver.services().size(), 2U);
  EXPECT_TRUE(inf.driver.services()[0].is_boot_start());
  EXPECT_EQ(inf.driver.services()[0].binary, "%12%\\b.sys");
  EXPECT_FALSE(inf.driver.services()[1].is_boot_start());
}

TEST(DriverInf, ReadsAListNamedByManySectionsOnce) {
  std::string text = "[Manufacturer]\nM=Std,NTamd64\n[L]\na.sys\n[SourceDisksFiles]\na.sys=1\n[Std.NTamd64]\n";
  for (int i = 0; i < 2000; ++i) text += "D=I" + std::to_string(i) + ",id\n";
  for (int i = 0; i < 2000; ++i) text += "[I" + std::to_string(i) + "]\nCopyFiles=L\n";
  EXPECT_EQ(read(text).driver.copied_files().size(), 1U);
}

TEST(DriverInf, RefusesTextThatGrowsBeyondItsLimit) {
  const std::string text = "[Manufacturer]\nM=Std\n[Std]\nD=I,%a%%a%%a%%a%%a%\n[Strings]\na=" + std::string(1000, 'x') + "\n";
  const auto inf = formats::InfFile::parse(base::as_bytes(text));
  ASSERT_TRUE(inf.has_value());
  const auto driver = DriverInf::read(*inf);
  ASSERT_FALSE(driver.has_value());
  EXPECT_EQ(driver.error().code(), base::Errc::too_large);
  EXPECT_NE(driver.error().text().find("line 4"), std::string::npos) << driver.error().text();
}

}  // namespace
}  // namespace package
