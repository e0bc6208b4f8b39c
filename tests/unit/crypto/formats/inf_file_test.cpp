#include "crypto/formats/inf_file.hpp"

#include <gtest/gtest.h>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace formats {
namespace {

using base::Errc;

InfFile parsed_inf(std::string_view text) {
  Result<InfFile> inf = InfFile::parse(base::as_bytes(text));
  EXPECT_TRUE(inf.has_value()) << inf.error().text();
  return std::move(*inf);
}

Errc refused(base::ByteView bytes, std::string_view because) {
  const Result<InfFile> inf = InfFile::parse(bytes);
  EXPECT_FALSE(inf.has_value());
  if (inf) return Errc::io;
  EXPECT_NE(inf.error().text().find(because), std::string::npos) << inf.error().text();
  return inf.error().code();
}

constexpr std::string_view kSmall = "[Version]\r\nProvider = %Maker%\r\n[Strings]\r\nMaker = \"M\xC3\xBCller\"\r\n";

TEST(InfFile, ReadsTheSameTextFromEveryEncoding) {
  const Bytes utf16le = *base::utf16le_from_utf8(kSmall);
  const Bytes utf16be = *base::utf16be_from_utf8(kSmall);
  const auto marked = [](std::initializer_list<std::uint8_t> mark, base::ByteView rest) {
    Bytes bytes(mark);
    base::append(bytes, rest);
    return bytes;
  };
  std::string ansi(kSmall);
  ansi.replace(ansi.find("\xC3\xBC"), 2, "\xFC");
  const std::vector<std::pair<Bytes, InfEncoding>> forms = {
      {marked({0xFF, 0xFE}, utf16le), InfEncoding::utf16le},
      {marked({0xFE, 0xFF}, utf16be), InfEncoding::utf16be},
      {utf16le, InfEncoding::utf16le},
      {marked({0xEF, 0xBB, 0xBF}, base::as_bytes(kSmall)), InfEncoding::utf8},
      {base::to_bytes(base::as_bytes(kSmall)), InfEncoding::utf8},
      {base::to_bytes(base::as_bytes(ansi)), InfEncoding::windows1252},
  };
  for (const auto& [bytes, encoding] : forms) {
    const Result<InfFile> inf = InfFile::parse(bytes);
    ASSERT_TRUE(inf.has_value()) << inf.error().text();
    EXPECT_EQ(inf->encoding(), encoding);
    EXPECT_EQ(inf->expand(inf->line("version", "PROVIDER")->field(0)).value_or("?"), "M\xC3\xBCller");
  }
}

TEST(InfFile, ReadsWindows1252BeyondLatin1) {
  const InfFile inf = parsed_inf("[Strings]\na = \x80\x99\n");   // euro sign, trade mark sign
  EXPECT_EQ(inf.expand("%a%").value_or("?"), "\xE2\x82\xAC\xE2\x84\xA2");
}

TEST(InfFile, SplitsFieldsAtCommasOutsideQuotes) {
  const InfFile inf = parsed_inf("[s]\n  key = a , \" b, c \" ,, \"say \"\"hi\"\"\" ; comment, x\n");
  const InfLine& line = inf.section("S")->lines.at(0);
  EXPECT_EQ(line.key, "key");
  EXPECT_EQ(line.fields, (std::vector<std::string>{"a", " b, c ", "", "say \"hi\""}));
  EXPECT_EQ(line.field(1), " b, c ");
  EXPECT_EQ(line.field(9), "");
}

TEST(InfFile, KeepsSemicolonsAndBackslashesInsideQuotes) {
  const InfFile inf = parsed_inf("[s]\na = \"x;y\\\"\nb = 2\n");
  EXPECT_EQ(inf.line("s", "a")->field(0), "x;y\\");
  EXPECT_EQ(inf.line("s", "b")->field(0), "2");
}

TEST(InfFile, ClosesAQuoteAtTheEndOfItsLine) {
  const InfFile inf = parsed_inf("[s]\r\na = \"open\r\nb = 2\r\n");
  EXPECT_EQ(inf.line("s", "a")->field(0), "open");
  EXPECT_EQ(inf.line("s", "b")->field(0), "2");
}

TEST(InfFile, JoinsContinuationLinesAndKeepsTheFirstLinesNumber) {
  const InfFile inf = parsed_inf("[s]\r\n\r\na = 1, \\ ; why\r\n    2,\\\r\n    3\r\nb = c:\\folder\r\n");
  EXPECT_EQ(inf.line("s", "a")->fields, (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_EQ(inf.line("s", "a")->number, 3U);
  EXPECT_EQ(inf.line("s", "b")->number, 6U);
  EXPECT_EQ(inf.line("s", "b")->field(0), "c:\\folder");
}

TEST(InfFile, MergesSectionsOfOneNameWhateverTheirCase) {
  const InfFile inf = parsed_inf("[Files]\na.sys\n[other]\nx\n[FILES]\nb.sys\n");
  ASSERT_EQ(inf.sections().size(), 2U);
  ASSERT_EQ(inf.section("files")->lines.size(), 2U);
  EXPECT_EQ(inf.section("files")->lines[1].field(0), "b.sys");
  EXPECT_FALSE(inf.section("files")->lines[1].key.has_value());
  EXPECT_EQ(inf.section("files")->lines[1].number, 6U);
  EXPECT_EQ(inf.section("nowhere"), nullptr);
}

TEST(InfFile, TakesOnlyTheFirstEqualSignForTheKeys) {
  const InfFile inf = parsed_inf("[s]\na = b=c\nd, e = f\n");
  EXPECT_EQ(inf.line("s", "a")->field(0), "b=c");
  EXPECT_FALSE(inf.section("s")->lines[1].key.has_value());
  EXPECT_EQ(inf.section("s")->lines[1].field(1), "e = f");
}

TEST(InfFile, PrefersEnglishStringsAndFallsBackToThePlainOnes) {
  const InfFile inf = parsed_inf("[Strings]\na=plain\nb=only plain\n[Strings.0407]\na=deutsch\nc=nur deutsch\n[Strings.0409]\na=english\n");
  EXPECT_EQ(inf.expand("%a% %B% %c%").value_or("?"), "english only plain %c%");
}

TEST(InfFile, LeavesFoldersAndUnknownNamesAndHalvesAsTheyAre) {
  const InfFile inf = parsed_inf("[Strings]\na=x\n");
  EXPECT_EQ(inf.expand("%12%\\%a%.sys 100%% %a").value_or("?"), "%12%\\x.sys 100% %a");
}

TEST(InfFile, DoesNotFollowStringsThatNameEachOther) {
  const InfFile inf = parsed_inf("[Strings]\na=%b%\nb=%a%\n");
  EXPECT_EQ(inf.expand("%a%").value_or("?"), "%b%");
}

TEST(InfFile, RefusesToExpandBeyondTheLimit) {
  const InfFile inf = parsed_inf("[Strings]\na=" + std::string(1000, 'x') + "\n");
  EXPECT_EQ(inf.expand("%a%%a%%a%%a%").value_or("?").size(), 4000U);
  const Result<std::string> huge = inf.expand("%a%%a%%a%%a%%a%");
  ASSERT_FALSE(huge.has_value());
  EXPECT_EQ(huge.error().code(), Errc::too_large);
}

TEST(InfFile, SkipsWhatStandsBeforeTheFirstSection) {
  const InfFile inf = parsed_inf("/*++\nby = me\n--*/\n[Version]\na = 1\n");
  ASSERT_EQ(inf.sections().size(), 1U);
  EXPECT_EQ(inf.line("version", "a")->number, 5U);
}

TEST(InfFile, EndsAtControlZ) { EXPECT_EQ(parsed_inf("[a]\n\x1A[b]\n").sections().size(), 1U); }

TEST(InfFile, ReadsAnEmptyFile) { EXPECT_TRUE(parsed_inf("").sections().empty()); }

TEST(InfFile, RefusesAHeadingWithoutItsBracketNamingTheLine) {
  EXPECT_EQ(refused(base::as_bytes("[a]\n\n[Version\nx=1\n"), "line 3: section heading without ]"), Errc::malformed);
}

TEST(InfFile, RefusesBrokenUtf16) {
  EXPECT_EQ(refused(Bytes{0xFF, 0xFE, 0x5B, 0x00, 0x41}, "UTF-16"), Errc::malformed);                // odd
  EXPECT_EQ(refused(Bytes{0xFF, 0xFE, 0x5B, 0x00, 0x00, 0xD8, 0x41, 0x00}, "surrogate"), Errc::malformed);   // half a pair
  EXPECT_EQ(refused(Bytes{0xFE, 0xFF, 0x00, 0x5B, 0xDC, 0x00}, "surrogate"), Errc::malformed);
}

TEST(InfFile, RefusesNulCharacters) {
  EXPECT_EQ(refused(base::as_bytes(std::string_view("[a]\nb\0c\n", 8)), "line 2: NUL"), Errc::malformed);
}

TEST(InfFile, RefusesWhatIsOverItsLimits) {
  namespace limits = base::limits;
  EXPECT_EQ(refused(Bytes(limits::kInfBytes + 1, ' '), "at most"), Errc::too_large);
  EXPECT_EQ(refused(Bytes(limits::kInfLines + 1, '\n'), "lines"), Errc::too_large);
  EXPECT_EQ(refused(base::as_bytes("[s]\n" + std::string(limits::kInfLineBytes + 2, 'x')), "line 2, [s]: longer"), Errc::too_large);
  std::string continued = "[s]\na=";
  for (std::size_t i = 0; i < 70; ++i) continued += std::string(1000, 'x') + "\\\n";
  EXPECT_EQ(refused(base::as_bytes(continued), "line 2, [s]: longer"), Errc::too_large);
  std::string sections;
  for (std::size_t i = 0; i <= limits::kInfSections; ++i) sections += "[" + std::to_string(i) + "]\n";
  EXPECT_EQ(refused(base::as_bytes(sections), "sections"), Errc::too_large);
  std::string fields = "[s]\n";
  for (std::size_t i = 0; i < 1001; ++i) fields += std::string(1000, ',') + "\n";
  EXPECT_EQ(refused(base::as_bytes(fields), "values in the file"), Errc::too_large);
}

}  // namespace
}  // namespace formats
