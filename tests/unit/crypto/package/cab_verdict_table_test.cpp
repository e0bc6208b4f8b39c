// The table of docs/verification.md, row by row: what signing and verifying say of damaged and unusual cabinets.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/cab_file.hpp"
#include "crypto/package/verification.hpp"
#include "tests/support/cab_builder.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/support/verdicts.hpp"

namespace {

using base::Bytes;
using base::MemorySource;
using package::Severity;
using package::Verdict;
using tests::get_field;
using tests::has;
using tests::ids;
using tests::put_field;
using tests::Vendor;

// Cabinets. Area: cbCFHeader at 36, mark at 40, offset of the signature at 44, its size at 48.
Bytes cab(Bytes reserve = {}, std::uint16_t flags = 0) {
  return tests::build_cab({{{"one", "two"}, {"three"}}, flags, std::move(reserve)});
}
Bytes signed_cab(Vendor& vendor, const Bytes& file) {
  const MemorySource source(file);
  const auto parsed = formats::CabFile::parse(source);
  const auto digest = parsed->digest(source, crypto::DigestAlgorithm::sha256);
  base::MemorySink out;
  EXPECT_TRUE(parsed->write_signed(source, vendor.sign(formats::cab_content(*digest)), out));
  return out.bytes();
}

TEST(VerdictTable, SigningAnUnusualCabinetSaysWhatTheTableSays) {
  Vendor vendor;
  const auto changed = [](std::size_t at, std::size_t value, std::size_t size = 4) {
    Bytes file = cab();
    put_field(file, at, value, size);
    return file;
  };
  const auto reserve_of = [](std::size_t at) {
    Bytes file = cab(Bytes(20));
    file.at(at) = 4;
    return file;
  };
  Bytes longer = cab();
  longer.push_back(0);
  const struct {
    std::string name;
    Bytes file;
    bool is_signed;
  } cases[] = {
      {"two folders", cab(), true},
      {"an empty area of 20 bytes", cab(Bytes(20)), true},
      {"an empty area of 24 bytes", cab(Bytes(24)), true},
      {"an empty area of 6144 bytes", cab(Bytes(6144)), true},
      {"an area of 24 bytes that is used", cab(Bytes(24, 0x11)), false},
      {"an area of 6144 bytes that is used", cab(Bytes(6144, 0x11)), false},
      {"reserved bytes in every folder", reserve_of(38), false},
      {"reserved bytes in every block of data", reserve_of(39), false},
      {"the first of a set", cab({}, 2), false},
      {"the last of a set", cab({}, 1), false},
      {"the middle of a set", cab({}, 3), false},
      {"unknown flags", cab({}, 8), false},
      {"a byte after the cabinet", longer, false},
      {"cbCabinet past the end", changed(8, 0x10000), false},
      {"coffFiles past the end", changed(16, 0xFFFFFFF0), false},
      {"coffFiles in the header", changed(16, 8), false},
      {"a folder's data past the end", changed(36, 0xFFFFFFFF), false},
      {"65535 folders", changed(26, 0xFFFF, 2), false},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(each.name);
    const auto parsed = formats::CabFile::parse(MemorySource(each.file));
    ASSERT_EQ(parsed.has_value(), each.is_signed);
    const Verdict as_it_is = package::verify_cab(MemorySource(each.file), {vendor.root()}, tests::kNow);
    EXPECT_TRUE(has(as_it_is, each.is_signed ? "cab.not-signed" : "cab.not-readable", Severity::error)) << ids(as_it_is);
    if (!parsed) continue;
    const Bytes done = signed_cab(vendor, each.file);
    const Verdict verdict = package::verify_cab(MemorySource(done), {vendor.root()}, tests::kNow);
    EXPECT_TRUE(verdict.findings.empty()) << ids(verdict);
  }
}

TEST(VerdictTable, VerifyingAChangedCabinetSaysWhatTheTableSays) {
  Vendor vendor(Vendor::Kind::rsa3072);
  const Bytes good = signed_cab(vendor, cab());
  const std::size_t end = get_field(good, 8);
  const auto changed = [&](std::size_t at, std::size_t value, std::size_t size = 4) {
    Bytes file = good;
    put_field(file, at, value, size);
    return file;
  };
  const auto longer = [&](std::size_t more, std::uint8_t octet) {
    Bytes file = good;
    file.resize(file.size() + more, octet);
    put_field(file, 48, file.size() - end);
    return file;
  };
  Bytes no_size = changed(48, 0);
  no_size.resize(end);
  const struct {
    std::string name;
    Bytes file;
    std::string id;
  } cases[] = {
      {"untouched", good, ""},
      {"reserved1 changed", changed(4, 0x11223344), ""},
      {"iCabinet changed", changed(34, 7, 2), ""},
      {"setID changed", changed(32, 7, 2), "cab.digest-mismatch"},
      {"coffFiles off by one", changed(16, get_field(good, 16) + 1), "cab.digest-mismatch"},
      {"a folder's data off by one", changed(60, get_field(good, 60) + 1), "cab.digest-mismatch"},
      {"last byte of the data changed", changed(end - 1, good.at(end - 1) ^ 1U, 1), "cab.digest-mismatch"},
      {"end of the area changed", changed(56, 1), "cab.digest-mismatch"},
      {"signature's offset in the data", changed(44, end - 8), "cab.not-readable"},
      {"signature's offset past the cabinet", changed(44, end + 8), "cab.not-readable"},
      {"signature's size past the file", changed(48, get_field(good, 48) + 8), "cab.not-readable"},
      {"signature's size short of the file", changed(48, get_field(good, 48) - 8), "cab.not-readable"},
      {"signature's offset and size wrap", changed(48, 0xFFFFFFFF), "cab.not-readable"},
      {"no size, the signature is there", changed(48, 0), "cab.not-readable"},
      {"no size and no signature", no_size, "cab.not-signed"},
      {"cbCabinet not the signature's offset", changed(8, end + 8), "cab.not-readable"},
      {"8 zeros after the signature's padding", longer(8, 0), "cab.stuffed"},
      {"8 other bytes after it", longer(8, 'J'), "cab.stuffed"},
      {"a signature that is no DER", changed(end, 0xFF, 1), "signature.malformed"},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(each.name);
    const Verdict verdict = package::verify_cab(MemorySource(each.file), {vendor.root()}, tests::kNow);
    EXPECT_EQ(verdict.valid(), each.id.empty()) << ids(verdict);
    if (!each.id.empty()) {
      EXPECT_TRUE(has(verdict, each.id, Severity::error)) << ids(verdict);
    }
  }
}

}  // namespace
