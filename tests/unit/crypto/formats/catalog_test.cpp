#include "crypto/formats/catalog.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/der/writer.hpp"

namespace formats {
namespace {

using base::Errc;
using crypto::DigestAlgorithm;

MemberDigests flat(std::string_view content) {
  const base::ByteView bytes = base::as_bytes(content);
  return {MemberKind::flat, crypto::digest_of(DigestAlgorithm::sha1, bytes), crypto::sha256(bytes), std::nullopt};
}

CatalogContent small_content() {
  CatalogContent content;
  for (std::size_t i = 0; i < 16; ++i) content.list_identifier[i] = static_cast<std::uint8_t>(i);
  content.this_update = *base::time_from_rfc3339("2026-11-23T16:20:00Z");
  content.os = "_v100_X64";
  content.hardware_ids = {"a", "b"};
  content.members = {{"a.inf", "2:10.0", flat("abc")}};
  return content;
}

Bytes ctl_of(const CatalogContent& content) {
  const Result<Bytes> ctl = encode_ctl(content);
  EXPECT_TRUE(ctl.has_value()) << ctl.error().text();
  return ctl.value_or(Bytes());
}

Catalog parsed(base::ByteView ctl) {
  Result<Catalog> catalog = Catalog::parse_ctl(ctl);
  EXPECT_TRUE(catalog.has_value()) << catalog.error().text();
  return std::move(*catalog);
}

// The list with the first occurrence of some bytes replaced by as many others.
Bytes altered(Bytes bytes, std::string_view hex_from, std::string_view hex_to) {
  const Bytes from = *base::from_hex(hex_from);
  const Bytes to = *base::from_hex(hex_to);
  const auto at = std::search(bytes.begin(), bytes.end(), from.begin(), from.end());
  EXPECT_NE(at, bytes.end()) << hex_from;
  EXPECT_EQ(from.size(), to.size());
  std::copy(to.begin(), to.end(), at);
  return bytes;
}

void expect_refused(base::ByteView ctl, Errc code, std::string_view because) {
  const Result<Catalog> catalog = Catalog::parse_ctl(ctl);
  ASSERT_FALSE(catalog.has_value()) << because;
  EXPECT_EQ(catalog.error().code(), code) << catalog.error().text();
  EXPECT_NE(catalog.error().text().find(because), std::string::npos) << catalog.error().text();
}

// Made by hand from the facts about genuine catalogs, not by our encoder.
constexpr std::string_view kSmallCtl =
    "3082025b"  // CertificateTrustList
    "300c"  // . usage
    "060a2b0601040182370c0101"  // . . szOID_CATALOG_LIST
    "0410000102030405060708090a0b0c0d0e0f"  // . list identifier
    "170d3236313132333136323030305a"  // . thisUpdate
    "300e"  // . subjectAlgorithm
    "060a2b0601040182370c0103"  // . . szOID_CATALOG_LIST_MEMBER2
    "0500"  // . . NULL
    "3082018a"  // . members, by tag
    "308190"  // . . member: the SHA-1 twin
    "0414a9993e364706816aba3e25717850c26c9cd0d89d"  // . . . tag: SHA-1 of "abc"
    "3178"  // . . . attributes, DER-sorted
    "3010"  // . . . . Attribute
    "060a2b0601040182370c0203"  // . . . . . CAT_MEMBERINFO2
    "3102"  // . . . . . SET
    "8200"  // . . . . . . flat file
    "302e"  // . . . . Attribute
    "060a2b0601040182370c0201"  // . . . . . name and value
    "3120"  // . . . . . SET
    "301e"  // . . . . . . CAT_NAMEVALUE
    "1e0800460069006c0065"  // . . . . . . . BMPString File
    "020410010001"  // . . . . . . . flags
    "040c61002e0069006e0066000000"  // . . . . . . . "a.inf", UTF-16LE with NUL
    "3034"  // . . . . Attribute
    "060a2b0601040182370c0201"  // . . . . . name and value
    "3126"  // . . . . . SET
    "3024"  // . . . . . . CAT_NAMEVALUE
    "1e0c004f00530041007400740072"  // . . . . . . . BMPString OSAttr
    "020410010001"  // . . . . . . . flags
    "040e32003a00310030002e0030000000"  // . . . . . . . "2:10.0", UTF-16LE with NUL
    "3081f4"  // . . member
    "0420ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  // . . . tag: SHA-256 of "abc"
    "3181cf"  // . . . attributes, DER-sorted
    "3010"  // . . . . Attribute
    "060a2b0601040182370c0203"  // . . . . . CAT_MEMBERINFO2
    "3102"  // . . . . . SET
    "8200"  // . . . . . . flat file
    "302e"  // . . . . Attribute
    "060a2b0601040182370c0201"  // . . . . . name and value
    "3120"  // . . . . . SET
    "301e"  // . . . . . . CAT_NAMEVALUE
    "1e0800460069006c0065"  // . . . . . . . BMPString File
    "020410010001"  // . . . . . . . flags
    "040c61002e0069006e0066000000"  // . . . . . . . "a.inf", UTF-16LE with NUL
    "3034"  // . . . . Attribute
    "060a2b0601040182370c0201"  // . . . . . name and value
    "3126"  // . . . . . SET
    "3024"  // . . . . . . CAT_NAMEVALUE
    "1e0c004f00530041007400740072"  // . . . . . . . BMPString OSAttr
    "020410010001"  // . . . . . . . flags
    "040e32003a00310030002e0030000000"  // . . . . . . . "2:10.0", UTF-16LE with NUL
    "3055"  // . . . . Attribute
    "060a2b060104018237020104"  // . . . . . SPC_INDIRECT_DATA
    "3147"  // . . . . . SET
    "3045"  // . . . . . . SpcIndirectDataContent
    "3010"  // . . . . . . . data
    "060a2b060104018237020119"  // . . . . . . . . SpcLink
    "a202"  // . . . . . . . . file
    "8000"  // . . . . . . . . . empty name
    "3031"  // . . . . . . . DigestInfo
    "300d"  // . . . . . . . . algorithm
    "0609608648016503040201"  // . . . . . . . . . sha256
    "0500"  // . . . . . . . . . NULL
    "0420ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  // . . . . . . . . SHA-256 of "abc"
    "a0818b"  // . [0]
    "308188"  // . . extensions: hardware ids descend
    "3032"  // . . . Extension
    "060a2b0601040182370c0201"  // . . . . name and value
    "0424"  // . . . . extnValue
    "3022"  // . . . . . CAT_NAMEVALUE
    "1e04004f0053"  // . . . . . . BMPString OS
    "020410010001"  // . . . . . . flags
    "04145f0076003100300030005f005800360034000000"  // . . . . . . "_v100_X64", UTF-16LE with NUL
    "3028"  // . . . Extension
    "060a2b0601040182370c0201"  // . . . . name and value
    "041a"  // . . . . extnValue
    "3018"  // . . . . . CAT_NAMEVALUE
    "1e0a00480057004900440032"  // . . . . . . BMPString HWID2
    "020410010001"  // . . . . . . flags
    "040462000000"  // . . . . . . "b", UTF-16LE with NUL
    "3028"  // . . . Extension
    "060a2b0601040182370c0201"  // . . . . name and value
    "041a"  // . . . . extnValue
    "3018"  // . . . . . CAT_NAMEVALUE
    "1e0a00480057004900440031"  // . . . . . . BMPString HWID1
    "020410010001"  // . . . . . . flags
    "040461000000";  // . . . . . . "a", UTF-16LE with NUL

TEST(CatalogWriter, WritesTheBytesOfAVersion2List) { EXPECT_EQ(base::hex(ctl_of(small_content())), kSmallCtl); }

std::string utf16_hex(std::string_view text) { return base::hex(*base::utf16le_from_utf8(text)); }

TEST(CatalogWriter, WritesAVersion1MemberAsInf2CatDoes) {
  CatalogContent content = small_content();
  content.version = 1;
  const Bytes ctl = ctl_of(content);
  const std::string hex = base::hex(ctl);
  EXPECT_NE(hex.find("300e060a2b0601040182370c01020500"), std::string::npos);   // ...12.1.2, NULL
  // The tag: SHA-1("abc") in upper-case hex, UTF-16LE, NUL.
  EXPECT_NE(hex.find("0452" + utf16_hex("A9993E364706816ABA3E25717850C26C9CD0D89D") + "0000"), std::string::npos);
  // CAT_MEMBERINFO { BMPString "{DE351A42-...}", INTEGER 0x0200 }
  EXPECT_NE(hex.find("060a2b0601040182370c0202" "3154" "3052" "1e4c" + base::hex(*base::utf16be_from_utf8("{DE351A42-8E59-11D0-8C47-00C04FC295EE}")) + "02020200"),
            std::string::npos);
  // DigestInfo { sha1, NULL, the raw digest }
  EXPECT_NE(hex.find("300906052b0e03021a0500" "0414a9993e364706816aba3e25717850c26c9cd0d89d"), std::string::npos);
  EXPECT_EQ(hex.find("608648016503040201"), std::string::npos);   // no SHA-256 anywhere
  const Catalog read = parsed(ctl);
  EXPECT_EQ(read.version(), 1U);
  ASSERT_EQ(read.entries().size(), 1U);
  EXPECT_EQ(read.entries()[0].kind, MemberKind::flat);
  EXPECT_EQ(*read.entries()[0].attribute("File"), "a.inf");
  EXPECT_NE(read.covering(content.members[0].digests), nullptr);
}

TEST(CatalogWriter, RefusesACabinetInAVersion1List) {
  CatalogContent content = small_content();
  content.version = 1;
  content.members[0].digests.kind = MemberKind::cab;
  const auto ctl = encode_ctl(content);
  ASSERT_FALSE(ctl.has_value());
  EXPECT_EQ(ctl.error().code(), Errc::unsupported);
}

TEST(CatalogWriter, PutsPageHashesInPlaceOfTheFileName) {
  CatalogContent content = small_content();
  MemberDigests& digests = content.members[0].digests;
  digests.kind = MemberKind::pe;
  digests.page_hashes.assign(72, 0xAB);
  const Bytes ctl = ctl_of(content);
  // { flags 05 a0, [0] { [1] { class, SET { SEQUENCE { ...2.3.2, SET { OCTET STRING table } } } } } }
  EXPECT_NE(base::hex(ctl).find("030205a0" "a072" "a170" "0410a6b586d5b4a12466ae05a217da8e60d6" "045c" "315a" "3058" "060a2b060104018237020302" "314a" "0448abab"),
            std::string::npos)
      << base::hex(ctl);
  const Catalog read = parsed(ctl);
  const CatalogEntry* const entry = read.covering(digests);
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->page_hashes, digests.page_hashes);
  content.version = 1;
  EXPECT_EQ(parsed(ctl_of(content)).entries()[0].has_page_hashes, false);
}

TEST(CatalogWriter, WritesMakeCatsTwinsAndBinaryValues) {
  CatalogContent content = small_content();
  content.twins_have_attributes = false;
  content.os = "";
  content.hardware_ids = {};
  content.attributes = {{"OSAttr", "2:6.0", kNameValueFlags}};
  content.members[0] = {"", "", flat("abc"), {{"File", "6162", 0x10020001}}};
  const Bytes ctl = ctl_of(content);
  EXPECT_NE(base::hex(ctl).find("1e08" + base::hex(*base::utf16be_from_utf8("File")) + "0204" "10020001" "0402" "6162"), std::string::npos);   // octets, no NUL
  const Catalog read = parsed(ctl);
  ASSERT_EQ(read.entries().size(), 2U);
  for (const CatalogEntry& entry : read.entries()) {
    EXPECT_EQ(entry.attributes.size(), entry.tag.size() == 20 ? 0U : 1U);
    EXPECT_EQ(entry.kind, MemberKind::flat);
  }
  EXPECT_EQ(read.attributes(), content.attributes);
}

TEST(CatalogWriter, WritesTheSameBytesWhateverOrderTheFilesComeIn) {
  CatalogContent content = small_content();
  content.members = {{"a.inf", "2:10.0", flat("1")}, {"b.sys", "2:10.0", flat("2")}, {"c.txt", "2:10.0", flat("3")}};
  const Bytes forward = ctl_of(content);
  std::reverse(content.members.begin(), content.members.end());
  EXPECT_EQ(ctl_of(content), forward);
}

TEST(CatalogWriter, SortsMembersByTagWithBothDigestSizesMixed) {
  CatalogContent content = small_content();
  for (int i = 0; i < 50; ++i) content.members.push_back({std::to_string(i), "2:10.0", flat(std::to_string(i))});
  const Catalog catalog = parsed(ctl_of(content));
  ASSERT_EQ(catalog.entries().size(), 102U);
  EXPECT_TRUE(std::is_sorted(catalog.entries().begin(), catalog.entries().end(),
                             [](const CatalogEntry& a, const CatalogEntry& b) { return a.tag < b.tag; }));
}

// Genuine indirect data of a PE member: flags 05 a0 and an empty file name. Of a cabinet: the moniker with an enhanced hash.
TEST(CatalogWriter, WritesPeAndCabinetMembersInTheirOwnForms) {
  CatalogContent content = small_content();
  content.members[0].digests.kind = MemberKind::pe;
  const std::string pe = base::hex(ctl_of(content));
  EXPECT_NE(pe.find("060a2b060104018237020104" "31"), std::string::npos);                         // SPC_INDIRECT_DATA, SET
  EXPECT_NE(pe.find("060a2b06010401823702010f" "300a030205a0a004a2028000"), std::string::npos);   // SpcPeImageData
  EXPECT_EQ(pe.find("8200"), std::string::npos);
  EXPECT_NE(pe.find("060a2b0601040182370c0203" "31028000"), std::string::npos);                   // CAT_MEMBERINFO2 of PE

  content.members[0].digests.kind = MemberKind::cab;
  content.members[0].digests.cab_size = crypto::sha256(Bytes{0x24, 0, 0, 0});
  const std::string cab = base::hex(ctl_of(content));
  EXPECT_NE(cab.find("060a2b06010401823702011c"                                     // 1.3.6.1.4.1.311.2.1.28
                     "a148" "0410a6b586d5b4a12466ae05a217da8e60d6" "0434"           // [1] moniker: class, data
                     "3132" "3030" "060a2b060104018237020501" "3122" "0420" +       // SET, SEQUENCE, enhanced hash, SET, digest
                     content.members[0].digests.cab_size->hex()), std::string::npos);
  EXPECT_NE(cab.find("31028100"), std::string::npos);
}

TEST(CatalogWriter, LeavesTheExtensionsOutWhenThereAreNone) {
  CatalogContent content = small_content();
  content.os.clear();
  content.hardware_ids.clear();
  const Catalog catalog = parsed(ctl_of(content));
  EXPECT_TRUE(catalog.attributes().empty());
  EXPECT_EQ(catalog.ctl().size(), 0x18EU + 4 + 14 + 18 + 15 + 16);   // members, header of the list, and no [0]
}

TEST(CatalogWriter, ChangesWhenAFileChanges) {
  CatalogContent content = small_content();
  const Bytes before = ctl_of(content);
  content.members[0].digests = flat("abd");
  EXPECT_NE(ctl_of(content), before);
}

TEST(CatalogWriter, RefusesWhatACatalogCannotHold) {
  const auto refused = [](auto change, Errc code, std::string_view because) {
    CatalogContent content = small_content();
    change(content);
    const Result<Bytes> ctl = encode_ctl(content);
    ASSERT_FALSE(ctl.has_value()) << because;
    EXPECT_EQ(ctl.error().code(), code);
    EXPECT_NE(ctl.error().text().find(because), std::string::npos) << ctl.error().text();
  };
  refused([](CatalogContent& c) { c.members[0].file = "\xFF"; }, Errc::malformed, "not UTF-8");
  refused([](CatalogContent& c) { c.hardware_ids[0] = std::string("a\0b", 3); }, Errc::malformed, "NUL");
  refused([](CatalogContent& c) { c.hardware_ids[0] = std::string(base::limits::kAttributeTextBytes + 1, 'x'); }, Errc::too_large, "HWID1");
  refused([](CatalogContent& c) { c.this_update = std::chrono::sys_days(std::chrono::year(2050) / 1 / 1); }, Errc::malformed, "2050");
  refused([](CatalogContent& c) { c.this_update = std::chrono::sys_days(std::chrono::year(1949) / 12 / 31); }, Errc::malformed, "1949");
  refused([](CatalogContent& c) { c.members.resize(base::limits::kCatalogMembers / 2 + 1, c.members[0]); }, Errc::too_large, "files");
  refused([](CatalogContent& c) { c.hardware_ids.resize(base::limits::kCatalogAttributes); }, Errc::too_large, "hardware ids");
}

// Raw Inf2Cat output: version 1, two empty SETs, no certificates.
TEST(CatalogWriter, WrapsTheListInASignedDataWithoutSigner) {
  const Bytes ctl = ctl_of(small_content());
  const std::string file = base::hex(unsigned_catalog(ctl));
  EXPECT_EQ(file, "3082028c" "06092a864886f70d010702"          // ContentInfo, signedData
                  "a082027d" "30820279"                        // [0], SignedData
                  "020101" "3100"                              // version 1, no digest algorithms
                  "3082026e" "06092b0601040182370a01"          // contentInfo, szOID_CTL
                  "a082025f" + base::hex(ctl) + "3100");       // [0], the list, no signers
  const Result<Catalog> catalog = Catalog::parse(*base::from_hex(file));
  ASSERT_TRUE(catalog.has_value()) << catalog.error().text();
  EXPECT_FALSE(catalog->is_signed());
  EXPECT_EQ(catalog->ctl(), ctl);
}

TEST(Catalog, ReadsWhatWasWritten) {
  const Catalog catalog = parsed(*base::from_hex(kSmallCtl));
  EXPECT_EQ(catalog.version(), 2U);
  EXPECT_EQ(base::rfc3339(catalog.this_update()), "2026-11-23T16:20:00Z");
  EXPECT_EQ(catalog.list_identifier()[15], 15);
  EXPECT_EQ(*catalog.attribute("os"), "_v100_X64");
  EXPECT_EQ(catalog.hardware_ids(), (std::vector<std::string>{"a", "b"}));
  ASSERT_EQ(catalog.entries().size(), 2U);
  const CatalogEntry& twin = catalog.entries()[0];
  const CatalogEntry& member = catalog.entries()[1];
  EXPECT_FALSE(twin.digest.has_value());
  EXPECT_EQ(twin.kind, MemberKind::flat);
  EXPECT_EQ(*twin.attribute("File"), "a.inf");
  EXPECT_EQ(member.digest, crypto::sha256(base::as_bytes("abc")));
  EXPECT_EQ(*member.attribute("OSAttr"), "2:10.0");
  EXPECT_EQ(member.attribute("Nothing"), nullptr);
  EXPECT_FALSE(member.has_page_hashes);
}

TEST(Catalog, CoversTheFilesOfItsMembersOnly) {
  const Catalog catalog = parsed(*base::from_hex(kSmallCtl));
  const CatalogEntry* entry = catalog.covering(flat("abc"));
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(*entry->attribute("File"), "a.inf");
  EXPECT_EQ(catalog.covering(flat("abd")), nullptr);
}

// SHA-1 collisions can be made: a twin must not stand in for the member with the SHA-256 digest.
TEST(Catalog, DoesNotCoverAFileByItsSha1TwinAlone) {
  const Catalog catalog = parsed(*base::from_hex(kSmallCtl));
  MemberDigests collided = flat("another");
  collided.sha1 = flat("abc").sha1;
  EXPECT_EQ(catalog.covering(collided), nullptr);
}

TEST(Catalog, RefusesEveryShorteningOfItself) {
  const Bytes file = unsigned_catalog(ctl_of(small_content()));
  for (std::size_t length = 0; length < file.size(); ++length)
    EXPECT_FALSE(Catalog::parse(base::ByteView(file).first(length)).has_value()) << length;
  Bytes longer = file;
  longer.push_back(0);
  EXPECT_FALSE(Catalog::parse(longer).has_value());
}

TEST(Catalog, RefusesAMemberWhoseTagIsNotItsDigest) {
  const Bytes ctl = *base::from_hex(kSmallCtl);
  expect_refused(altered(ctl, "0420ba78", "0420ba79"), Errc::mismatch, "its tag is");
}

TEST(Catalog, RefusesADigestOfAnotherSizeThanItsAlgorithms) {
  // The digest's OCTET STRING renamed: SHA-384 with 32 bytes.
  expect_refused(altered(*base::from_hex(kSmallCtl), "608648016503040201", "608648016503040202"), Errc::malformed, "");
}

TEST(Catalog, RefusesOtherListsAndOtherMembers) {
  const Bytes ctl = *base::from_hex(kSmallCtl);
  expect_refused(altered(ctl, "060a2b0601040182370c0101", "060a2b0601040182370c0109"), Errc::malformed, "usage");
  expect_refused(altered(ctl, "060a2b0601040182370c0103", "060a2b0601040182370c0109"), Errc::unsupported, "members of type");
  expect_refused(altered(ctl, "31028200", "31028300"), Errc::malformed, "member information");
  expect_refused(altered(ctl, "0410000102", "0c10000102"), Errc::malformed, "list identifier");
  expect_refused(altered(ctl, "170d3236", "180d3236"), Errc::malformed, "time");
}

TEST(Catalog, RefusesTextThatIsNotUtf16) {
  // OSAttr's first two characters become a low surrogate.
  expect_refused(altered(*base::from_hex(kSmallCtl), "040e32003a00", "040e00dc3a00"), Errc::malformed, "OSAttr");
}

TEST(Catalog, RefusesCmsForms) {
  const Bytes file = unsigned_catalog(ctl_of(small_content()));
  const Result<Catalog> version3 = Catalog::parse(altered(file, "0201013100", "0201033100"));
  ASSERT_FALSE(version3.has_value());
  EXPECT_EQ(version3.error().code(), Errc::unsupported);
  EXPECT_FALSE(Catalog::parse(altered(file, "06092b0601040182370a01", "06092b0601040182370a02")).has_value());
}

TEST(Catalog, RefusesMoreMembersThanItsLimit) {
  Bytes members;
  const Bytes one = der::sequence({der::octet_string(Bytes{1})});
  for (std::size_t i = 0; i <= base::limits::kCatalogMembers; ++i) base::append(members, one);
  const Bytes ctl = der::sequence({der::sequence({der::oid(der::oids::kCatalogList)}), der::octet_string(Bytes(16)),
                                   der::utc_time(small_content().this_update), der::algorithm(der::oids::kCatalogListMember2),
                                   der::element(der::kSequence, members)});
  expect_refused(ctl, Errc::too_large, "members");
}

}  // namespace
}  // namespace formats
