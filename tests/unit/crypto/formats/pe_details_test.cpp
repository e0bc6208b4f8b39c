#include "crypto/formats/pe_details.hpp"

#include <gtest/gtest.h>

#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/package/image_details.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/version_resource.hpp"

namespace formats {
namespace {

using base::Bytes;
using base::ByteWriter;

PeDetails details_of(const Bytes& file) {
  const base::MemorySource source(file);
  return *PeDetails::read(source, *PeImage::parse(source));
}

TEST(PeDetails, AnImageLinkedWithAllMitigationsHasThem) {
  const PeDetails details = details_of(tests::build_pe(tests::driver_description()));
  EXPECT_TRUE(details.has_nx);
  EXPECT_TRUE(details.has_cfg);
  EXPECT_TRUE(details.writable_code.empty());
  ASSERT_TRUE(details.imports);
  EXPECT_TRUE(details.imports->empty());
  ASSERT_TRUE(details.version);
  EXPECT_FALSE(details.version->has_value());
}

TEST(PeDetails, NamesSectionsThatMayBeWrittenAndExecuted) {
  tests::PeDescription pe = tests::driver_description();
  pe.dll_characteristics = 0x0020;
  pe.sections[3].characteristics |= 0x80000000;   // INIT becomes writable
  const PeDetails details = details_of(tests::build_pe(pe));
  EXPECT_FALSE(details.has_nx);
  EXPECT_FALSE(details.has_cfg);
  EXPECT_EQ(details.writable_code, std::vector<std::string>{"INIT"});
}

TEST(PeDetails, ReadsTheVersionResourceOfAnImage) {
  const Bytes file = tests::driver_with_version("Old.sys", 0x0001000200030004, true);
  const PeDetails details = details_of(file);
  ASSERT_TRUE(details.version) << details.version.error().text();
  ASSERT_TRUE(details.version->has_value());
  EXPECT_EQ((*details.version)->original_name, "Old.sys");
  EXPECT_EQ(version_text((*details.version)->file_version), "1.2.3.4");
  EXPECT_TRUE((*details.version)->is_debug);
  EXPECT_FALSE((**details_of(tests::driver_with_version("Old.sys", 1, false)).version).is_debug);
}

TEST(PeDetails, ReadsTheNamesOfImportedDlls) {
  const Bytes file = tests::driver_with_imports({"ntoskrnl.exe", "VCRUNTIME140D.dll"});
  const PeDetails details = details_of(file);
  ASSERT_TRUE(details.imports) << details.imports.error().text();
  EXPECT_EQ(*details.imports, (std::vector<std::string>{"ntoskrnl.exe", "VCRUNTIME140D.dll"}));
}

TEST(PeDetails, DirectoriesThatPointNowhereAreErrorsOfTheirOwn) {
  tests::PeDescription pe = tests::driver_description();
  pe.import_directory[0] = 0x7FFFFFF0;
  pe.import_directory[1] = 40;
  pe.resource_directory[0] = 0xFFFFFFFF;
  pe.resource_directory[1] = 0xFFFFFFFF;
  const PeDetails details = details_of(tests::build_pe(pe));
  EXPECT_TRUE(details.has_nx);   // the rest is read all the same
  ASSERT_FALSE(details.imports);
  EXPECT_NE(details.imports.error().text().find("imports: address 0x7ffffff0 is in no section"), std::string::npos) << details.imports.error().text();
  EXPECT_FALSE(details.version);
}

TEST(PeDetails, NoByteOfAVersionResourceIsTrusted) {
  const Bytes good = tests::version_resource("Old.sys", 0x0001000200030004, false);
  ASSERT_TRUE(parse_version_resource(good));
  for (std::size_t length = 0; length < good.size(); ++length) (void)parse_version_resource(base::ByteView(good).first(length));
  for (std::size_t at = 0; at < good.size(); ++at)
    for (const char with : {'\x00', '\x01', '\x7F', '\x80', '\xFF'}) {
      Bytes changed = good;
      changed[at] = static_cast<std::uint8_t>(with);
      (void)parse_version_resource(changed);   // whatever it says, it comes back
    }
  EXPECT_FALSE(parse_version_resource({}));
  EXPECT_EQ(parse_version_resource(Bytes(base::limits::kVersionResourceBytes + 1)).error().code(), base::Errc::too_large);
  // Nodes without end: each 6 bytes long, as many as fit.
  Bytes many = good;
  const std::size_t header = many.size();
  ByteWriter nodes;
  for (std::size_t i = 0; i < base::limits::kVersionEntries + 2; ++i) nodes.u16le(8).u16le(0).u16le(1).u16le(0);
  many.insert(many.end(), nodes.bytes().begin(), nodes.bytes().end());
  many[0] = static_cast<std::uint8_t>((header + nodes.size()) & 0xFF);
  many[1] = static_cast<std::uint8_t>((header + nodes.size()) >> 8);
  const auto limited = parse_version_resource(many);
  ASSERT_FALSE(limited);
  EXPECT_EQ(limited.error().code(), base::Errc::too_large) << limited.error().text();
}

TEST(PeDetails, VersionsAreFourNumbers) {
  EXPECT_EQ(*version_from_text("10.0.22621.1"), 0x000A'0000'585D'0001U);
  EXPECT_EQ(*version_from_text("65535.65535.65535.65535"), ~FileVersion{0});
  EXPECT_EQ(*version_from_text("1.02"), 0x0001'0002'0000'0000U);
  for (const char* const wrong : {"", ".", "1.", "65536", "1.2.3.4.5", "1.x", "-1", "1..2", " 1"}) EXPECT_FALSE(version_from_text(wrong)) << wrong;
}

TEST(ImageDetails, DebugRuntimesAreKnownByTheirNames) {
  for (const char* const debug : {"ucrtbased.dll", "VCRUNTIME140D.dll", "vcruntime140_1d.dll", "msvcp140d.dll", "MSVCR100D.dll", "msvcrtd.dll", "mfc140ud.dll"})
    EXPECT_TRUE(package::is_debug_runtime(debug)) << debug;
  for (const char* const other : {"ucrtbase.dll", "vcruntime140.dll", "mfcd.dll", "d.dll", "msvcp140d.sys", "hidd.dll", "msvcp_win.dll", "ntoskrnl.exe", ""})
    EXPECT_FALSE(package::is_debug_runtime(other)) << other;
}

}  // namespace
}  // namespace formats
