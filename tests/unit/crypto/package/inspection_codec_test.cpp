#include <gtest/gtest.h>

#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/package/inspection.hpp"

namespace package {
namespace {

using base::Errc;

Inspection sample_inspection() {
  Inspection inspection;
  inspection.facts = {{"a.inf", "Provider", "M\xC3\xBCller"}};
  inspection.findings = {{"pe.ambiguous-layout", Severity::error, "a.sys", 7, "cause", "remedy"}};
  inspection.catalogs = {{"a.cat", "_v100_X64", {"root\\a", "root\\b"}, {{"a.inf", "a.inf", "2:10.0"}}}};
  inspection.pe_files = {{"a.sys", "x64", true}};
  return inspection;
}

TEST(InspectionCodec, GivesBackWhatWasEncoded) {
  const base::Bytes bytes = encode_inspection(sample_inspection());
  const auto decoded = decode_inspection(bytes);
  ASSERT_TRUE(decoded.has_value()) << decoded.error().text();
  EXPECT_EQ(encode_inspection(*decoded), bytes);
  EXPECT_EQ(decoded->facts.at(0).value, "M\xC3\xBCller");
  EXPECT_EQ(decoded->findings.at(0).severity, Severity::error);
  EXPECT_EQ(decoded->findings.at(0).line, 7U);
  EXPECT_EQ(decoded->catalogs.at(0).hardware_ids.at(1), "root\\b");
  EXPECT_EQ(decoded->catalogs.at(0).members.at(0).os_attr, "2:10.0");
  EXPECT_TRUE(decoded->pe_files.at(0).is_signed);
  Inspection inspection = sample_inspection();
  inspection.pe_files[0] = {"a.sys", "x64", true, "CN=Somebody", {std::string(64, 'a'), ""}, "old.sys", 0x0001000200030004};
  const auto again = decode_inspection(encode_inspection(inspection));
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->pe_files.at(0).signer, "CN=Somebody");
  EXPECT_EQ(again->pe_files.at(0).signer_keys, (std::vector<std::string>{std::string(64, 'a'), ""}));
  EXPECT_EQ(again->pe_files.at(0).original_name, "old.sys");
  EXPECT_EQ(again->pe_files.at(0).file_version, 0x0001000200030004U);
}

TEST(InspectionCodec, RefusesEveryShorteningAndAnythingAfterTheEnd) {
  base::Bytes bytes = encode_inspection(sample_inspection());
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(decode_inspection(base::ByteView(bytes).first(length)).has_value()) << length;
  bytes.push_back(0);
  EXPECT_FALSE(decode_inspection(bytes).has_value());
}

TEST(InspectionCodec, RefusesCountsBeforeAllocatingForThem) {
  const auto refused = [](std::uint32_t facts, Errc code) {
    base::ByteWriter out;
    out.u32le(0x33534E49).u32le(facts);
    const auto decoded = decode_inspection(out.bytes());
    ASSERT_FALSE(decoded.has_value());
    EXPECT_EQ(decoded.error().code(), code) << decoded.error().text();
  };
  refused(0xFFFFFFFF, Errc::too_large);
  refused(base::limits::kFacts, Errc::malformed);   // under the limit, but there are no bytes for them
}

TEST(InspectionCodec, RefusesTextThatIsTooLongOrNotUtf8) {
  Inspection inspection = sample_inspection();
  inspection.facts[0].value = std::string(base::limits::kFactTextBytes + 1, 'x');
  EXPECT_EQ(decode_inspection(encode_inspection(inspection)).error().code(), Errc::too_large);
  inspection.facts[0].value = "\xFF";
  EXPECT_EQ(decode_inspection(encode_inspection(inspection)).error().code(), Errc::malformed);
}

TEST(InspectionCodec, RefusesValuesThatMeanNothing) {
  Inspection inspection = sample_inspection();
  inspection.findings[0].severity = static_cast<Severity>(3);
  EXPECT_FALSE(decode_inspection(encode_inspection(inspection)).has_value());
  base::Bytes bytes = encode_inspection(sample_inspection());
  bytes[bytes.size() - 21] = 2;   // PeFile::is_signed: signer, keys, name and version are 20 bytes, all empty
  EXPECT_FALSE(decode_inspection(bytes).has_value());
  bytes = encode_inspection(sample_inspection());
  bytes[0] ^= 1;      // version
  EXPECT_FALSE(decode_inspection(bytes).has_value());
}

}  // namespace
}  // namespace package
