#include "appliance/review.hpp"


#include "crypto/base/limits.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

class Review : public SmallAppliance {
 protected:
  Document review() const {
    const SpooledRequest spooled{request.id(), layout.spool() / request.id(), request.manifest};
    const KeyClass key_class{"release", 0, {}, {2, {{"ada", 0x01800001}, {"ben", 0x01800002}, {"cay", 0x01800003}}},
                             base::Bytes(34, 0x0B), must(vendor.leaf().public_key()), {}};
    RequestRecord record;
    record.id = request.id();
    record.submitter = submitter_name;
    record.received_at = clock.time;
    return review_of(record, spooled, inspection, key_class, vendor.identity(), form, set, catalogs);
  }
  static std::string text_of(const Document& document) {
    std::string text;
    for (const Section& section : document.sections) {
      text += "== " + section.heading + "\n";
      for (const std::string& line : section.lines) text += line + "\n";
    }
    return text;
  }

  TestRequest request = sample_request();
  std::string submitter_name = "build-1";
  package::Inspection inspection;
  std::vector<SigningPlan::CatalogSummary> catalogs;
  tests::Vendor vendor;
  SignatureForm form;
  transparency::SigningSet set{{{"coldsample.sys", "primary", crypto::sha256({})}}, base::Bytes(34, 0x0B), crypto::sha256({})};
};

TEST_F(Review, SaysEverythingAnOfficerDecidesOn) {
  inspection.facts.push_back({"coldsample.inf", "Provider", "Coldseal Example"});
  inspection.findings.push_back({"inf.date", package::Severity::warning, "coldsample.inf", 8, "the date is in the future", "set it"});
  request.manifest.note = "please";
  const std::string text = text_of(review());
  for (const std::string& wanted :
       {request.id(), std::string("build-1"), std::string("10_X64"), std::string("embed, catalog"), std::string("please"),
        std::string("Provider          Coldseal Example   (coldsample.inf)"), std::string("warning  inf.date  coldsample.inf:8: the date is in the future"),
        std::string("set it"), request.manifest.files[0].sha256.hex(), std::string("sha256:") + crypto::sha256({}).hex(),
        std::string("2 of 3 officers"), std::string("CN=Test Leaf"), set.words(), set.fingerprint().hex(), base::hex(set.key_name)})
    EXPECT_NE(text.find(wanted), std::string::npos) << wanted << "\nis not in\n" << text;
}

TEST_F(Review, SaysWhatStandsInEverySignature) {
  EXPECT_NE(text_of(review()).find("description   none\nurl           none\n"), std::string::npos);
  EXPECT_EQ(text_of(review()).find("SHA-1"), std::string::npos);
  form = {{"Example driver", "https://example.com"}, crypto::Sha1::for_old_windows};
  const std::string text = text_of(review());
  for (const std::string_view wanted : {"description   Example driver\n", "url           https://example.com\n", "two signatures: SHA-1 for systems before Windows 8"})
    EXPECT_NE(text.find(wanted), std::string::npos) << wanted << "\nis not in\n" << text;
}

TEST_F(Review, NamesEveryMemberOfACatalogAndTheFilesLeftOut) {
  catalogs = {{"coldsample.cat", true, 2, "_v100_X64", {"root\\coldsample"}, {}}};
  catalogs[0].members = {{"coldsample.sys", "coldsample.sys", "2:10.0", formats::MemberKind::pe, true},
                         {"coldsample.inf", "other.inf", "", formats::MemberKind::flat, false}};
  const std::string text = text_of(review());
  for (const std::string_view wanted : {"== Catalog coldsample.cat (signed as delivered, version 2, 2 files)", "systems       _v100_X64", "1: root\\coldsample",
                                        "coldsample.sys  PE, page hashes, for 2:10.0", "coldsample.inf as other.inf  flat\n", "not listed    coldsample.exe"})
    EXPECT_NE(text.find(wanted), std::string::npos) << wanted << "\nis not in\n" << text;
}

TEST_F(Review, HostileTextIsShownAsItIs) {
  const std::string in_json = "a\x1B[2J\r\n\xE2\x80\xAE" "b\x07";   // where the request is JSON, it is UTF-8 at least
  const std::string hostile = in_json + "\xFF";
  request.manifest.note = in_json;
  submitter_name = hostile;
  request.manifest.os_targets = {in_json};
  request.manifest.files[0].path = in_json;
  inspection.facts.push_back({hostile, hostile, hostile});
  inspection.findings.push_back({hostile, package::Severity::note, hostile, 3, hostile, hostile});
  set.items[0].file = in_json;
  for (const Section& section : review().sections) {
    for (const std::string& line : section.lines) {
      EXPECT_EQ(line, base::printable(line)) << section.heading;
      EXPECT_EQ(line.find('\n'), std::string::npos) << section.heading;
    }
    EXPECT_EQ(section.heading, base::printable(section.heading));
  }
}

TEST_F(Review, WarningsComeBeforeAnyNumberOfNotes) {
  for (std::size_t i = 0; i + 1 < base::limits::kFindings; ++i)
    inspection.findings.push_back({"note.id", package::Severity::note, "", 0, "nothing much", ""});
  inspection.findings.push_back({"pe.suspicious", package::Severity::warning, "", 0, "look here", ""});
  const std::string text = text_of(review());
  EXPECT_LT(text.find("look here"), text.find("nothing much"));
  EXPECT_NE(text.find("more, which are not shown"), std::string::npos);
}

TEST_F(Review, TheLargestThatCanArriveStillFitsTheConsole) {
  const std::string longest(base::limits::kFactTextBytes, '\x01');   // four times that when printable
  for (std::size_t i = 0; i < base::limits::kFacts; ++i) inspection.facts.push_back({longest, longest, longest});
  for (std::size_t i = 0; i < base::limits::kFindings; ++i)
    inspection.findings.push_back({longest, package::Severity::note, longest, 1, longest, longest});
  const std::string path(base::limits::kPathBytes, 'p');
  request.manifest.files.assign(base::limits::kPackageFiles, {path, base::limits::kFileBytes, crypto::sha256({})});
  set.items.assign(base::limits::kSigningSet, {path, "primary", crypto::sha256({})});
  request.manifest.note = std::string(base::limits::kNoteBytes, '\x01');
  const Document document = review();
  const base::Bytes frame = encode(ConsoleAnswer(document));
  EXPECT_LE(frame.size(), base::limits::kConsoleMessageBytes);
  const auto arrived = decode_answer(base::ByteView(frame).subspan(kFrameHeaderBytes));
  ASSERT_TRUE(arrived.has_value()) << arrived.error().text();
  const auto& shown = std::get<Document>(*arrived);
  ASSERT_EQ(shown.sections.size(), document.sections.size());
  for (std::size_t i = 0; i < shown.sections.size(); ++i) EXPECT_EQ(shown.sections[i].lines, document.sections[i].lines);
}

TEST_F(Review, ALongLineIsCutBetweenCharacters) {
  std::string value;
  for (int i = 0; i < 400; ++i) value += "\xC3\xA4";
  for (const char* const name : {"n", "nn"}) {
    inspection.facts = {{"", name, value}};
    for (const Section& section : review().sections)
      for (const std::string& line : section.lines) EXPECT_TRUE(base::is_utf8(line)) << line;
    EXPECT_NE(text_of(review()).find("bytes more)"), std::string::npos);
  }
}

TEST(Banner, SaysWhatTheApplianceIsNot) {
  const std::string banner = banner_of("vault-1", attest::Mode::development, "software");
  for (const char* const wanted : {"vault-1", "DEVELOPMENT MODE", "software TPM", "not measured"})
    EXPECT_NE(banner.find(wanted), std::string::npos) << wanted;
}

TEST(Banner, SaysThatTheModeIsProductionAndNothingOfDevelopment) {
  const std::string banner = banner_of("vault-1", attest::Mode::production, "IFX");
  EXPECT_NE(banner.find("production mode: IFX TPM"), std::string::npos) << banner;
  EXPECT_EQ(banner.find("DEVELOPMENT"), std::string::npos) << banner;
}

}  // namespace
}  // namespace appliance
