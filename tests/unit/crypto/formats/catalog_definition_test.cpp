#include "crypto/formats/catalog_definition.hpp"

#include <gtest/gtest.h>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace formats {
namespace {

using base::Errc;

constexpr std::string_view kHeader = "[CatalogHeader]\r\nName=a.cat\r\nResultDir=..\\out\r\nCatalogVersion=2\r\nHashAlgorithms=SHA256\r\n";

Result<CatalogDefinition> parsed(const std::string& text) { return CatalogDefinition::parse(base::as_bytes(text)); }
std::string with_files(std::string_view files) { return std::string(kHeader) + "[CatalogFiles]\r\n" + std::string(files); }

void expect_refused(const std::string& text, Errc code, std::string_view because) {
  const auto cdf = parsed(text);
  ASSERT_FALSE(cdf.has_value()) << because;
  EXPECT_EQ(cdf.error().code(), code) << cdf.error().text();
  EXPECT_NE(cdf.error().text().find(because), std::string::npos) << cdf.error().text();
}

TEST(CatalogDefinition, ReadsHeaderFilesAndAttributes) {
  const auto cdf = parsed(std::string(kHeader) + "PageHashes=TRUE\nCATATTR1=0x11010001:OSAttr:2:6.0\n# a comment\n[CatalogFiles]\n; another\n"
                          "<HASH>One=..\\files\\One.sys\n<hash>oneATTR1=0x11010001:File:One.sys\n<HASH>OneATTR2=0x10020001:Raw:AQL/\n\n<HASH>two=b.inf\n");
  ASSERT_TRUE(cdf.has_value()) << cdf.error().text();
  EXPECT_EQ(cdf->name, "a.cat");
  EXPECT_EQ(cdf->result_dir, "../out");
  EXPECT_EQ(cdf->version, 2U);
  EXPECT_TRUE(cdf->page_hashes);
  EXPECT_EQ(cdf->attributes, (std::vector<NameValue>{{"OSAttr", "2:6.0", 0x10010001}}));   // 0x01000000 is for MakeCat itself
  ASSERT_EQ(cdf->files.size(), 2U);
  EXPECT_EQ(cdf->files[0].path, "../files/One.sys");
  EXPECT_EQ(cdf->files[0].line, 11U);
  EXPECT_EQ(cdf->files[0].attributes, (std::vector<NameValue>{{"File", "One.sys", 0x10010001}, {"Raw", "0102ff", 0x10020001}}));
  EXPECT_TRUE(cdf->files[1].attributes.empty());
}

TEST(CatalogDefinition, ReadsUtf16) {
  Bytes utf16 = {0xFF, 0xFE};
  base::append(utf16, *base::utf16le_from_utf8(with_files("<HASH>a=a\n")));
  EXPECT_TRUE(CatalogDefinition::parse(utf16).has_value());
}

TEST(CatalogDefinition, IsVersion1WhenItDoesNotSay) {
  EXPECT_EQ(parsed("[CatalogHeader]\nName=a.cat\n[CatalogFiles]\n<HASH>a=a\n")->version, 1U);
}

TEST(CatalogDefinition, RefusesWhatItCannotWriteAndNamesTheLine) {
  expect_refused("[CatalogHeader]\nName=a.cat\n", Errc::malformed, "names no file");
  expect_refused("[CatalogFiles]\n<HASH>a=a\n", Errc::malformed, "Name is missing");
  expect_refused("[CatalogHeader\n", Errc::malformed, "line 1: section heading");
  expect_refused("[CatalogHeader]\nName\n", Errc::malformed, "line 2");
  expect_refused("[CatalogHeader]\nName=a.cat\nCatalogVersion=2\n[CatalogFiles]\n<HASH>a=a\n", Errc::malformed, "SHA256");
  expect_refused("[CatalogHeader]\nName=a.cat\nHashAlgorithms=SHA256\n[CatalogFiles]\n<HASH>a=a\n", Errc::malformed, "CatalogVersion=2");
  expect_refused("[CatalogHeader]\nCatalogVersion=3\n", Errc::unsupported, "line 2");
  expect_refused(with_files("label=a.sys\n"), Errc::unsupported, "line 7: label \"label\" without <HASH>");
  expect_refused(with_files("<HASH>a=\n"), Errc::malformed, "names no file");
  expect_refused(with_files("<HASH>a=a\n<HASH>aALTSIPID={x}\n"), Errc::unsupported, "ALTSIPID");
  expect_refused(with_files("<HASH>a=a\n<HASH>aATTR1=0x10010001:File\n"), Errc::malformed, "type:name:value");
  expect_refused(with_files("<HASH>a=a\n<HASH>aATTR1=0x1001000g:File:a\n"), Errc::malformed, "a number wanted");
  expect_refused(with_files("<HASH>a=a\n<HASH>aATTR1=0x10010002:1.2.3:a\n"), Errc::unsupported, "0x10010002");
  expect_refused(with_files("<HASH>a=a\n<HASH>aATTR1=0x10030001:File:a\n"), Errc::unsupported, "0x10030001");
  expect_refused(with_files("<HASH>a=a\n<HASH>aATTR1=0x10020001:File:###\n"), Errc::malformed, "File");
  expect_refused(with_files("<HASH>a=a\n<HASH>aATTR1=0x10010001::x\n"), Errc::malformed, "without a name");
}

TEST(CatalogDefinition, KeepsItsLimits) {
  expect_refused(with_files("<HASH>a=" + std::string(base::limits::kInfLineBytes, 'x')), Errc::too_large, "longer than");
  std::string many = with_files("");
  for (std::size_t i = 0; i <= base::limits::kCatalogMembers / 2; ++i) many += "<HASH>" + std::to_string(i) + "x=a\n";
  expect_refused(many, Errc::too_large, "files");
  std::string attributes = with_files("<HASH>a=a\n");
  for (std::size_t i = 0; i <= base::limits::kAttributes; ++i) attributes += "<HASH>aATTR" + std::to_string(i) + "=0x10010001:N:v\n";
  expect_refused(attributes, Errc::too_large, "attributes");
}

}  // namespace
}  // namespace formats
