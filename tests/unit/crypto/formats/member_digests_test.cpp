#include <gtest/gtest.h>

#include "crypto/base/byte_writer.hpp"
#include "crypto/formats/catalog.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/signing_fixture.hpp"

namespace formats {
namespace {

using base::Errc;

Result<MemberDigests> digests_of(base::ByteView bytes) {
  const base::MemorySource source(bytes);
  return member_digests(source);
}

// An unsigned cabinet of one header and some data.
Bytes cabinet(std::uint16_t flags = 0, std::uint32_t size = 40) {
  base::ByteWriter out;
  out.put(base::as_bytes("MSCF"))   // signature
      .u32le(0)                     // reserved1
      .u32le(size)                  // cbCabinet
      .u32le(0)                     // reserved2
      .u32le(36)                    // coffFiles
      .u32le(0)                     // reserved3
      .u16le(0x0103)                // version
      .u16le(0)                     // cFolders
      .u16le(0)                     // cFiles
      .u16le(flags)                 // flags
      .u16le(1)                     // setID
      .u16le(0)                     // iCabinet
      .u32le(0x11223344);           // what follows
  return std::move(out).bytes();
}

TEST(MemberDigests, OfAnyOtherFileAreThoseOfItsBytes) {
  const auto digests = digests_of(base::as_bytes("abc"));
  ASSERT_TRUE(digests.has_value());
  EXPECT_EQ(digests->kind, MemberKind::flat);
  EXPECT_EQ(digests->sha1.hex(), "a9993e364706816aba3e25717850c26c9cd0d89d");   // FIPS 180-4's example
  EXPECT_EQ(digests->sha256.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_FALSE(digests->cab_size.has_value());
}

TEST(MemberDigests, OfAnEmptyFileAreFlat) {
  const auto digests = digests_of({});
  ASSERT_TRUE(digests.has_value());
  EXPECT_EQ(digests->sha1.hex(), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

TEST(MemberDigests, OfAPeStayWhenItIsSigned) {
  const Bytes image = tests::build_pe(tests::driver_description());
  const Bytes signed_image = tests::Vendor().sign_pe(image);
  ASSERT_NE(image, signed_image);
  const auto before = digests_of(image);
  const auto after = digests_of(signed_image);
  ASSERT_TRUE(before.has_value() && after.has_value());
  EXPECT_EQ(before->kind, MemberKind::pe);
  EXPECT_EQ(before->sha1, after->sha1);
  EXPECT_EQ(before->sha256, after->sha256);
  EXPECT_NE(before->sha256, crypto::sha256(image));
}

TEST(MemberDigests, OfAPeChangeWithItsCode) {
  tests::PeDescription description = tests::driver_description();
  const auto before = digests_of(tests::build_pe(description));
  description.sections[0].content[0] ^= 1;
  const auto after = digests_of(tests::build_pe(description));
  ASSERT_TRUE(before.has_value() && after.has_value());
  EXPECT_NE(before->sha256, after->sha256);
  EXPECT_NE(before->sha1, after->sha1);
}

TEST(MemberDigests, RefuseAnImageCutShort) {
  const Bytes image = tests::build_pe(tests::driver_description());
  EXPECT_FALSE(digests_of(base::ByteView(image).first(0x200)).has_value());
}

TEST(MemberDigests, OfACabinetLeaveOutItsFirstReservedField) {
  Bytes file = cabinet();
  const auto digests = digests_of(file);
  ASSERT_TRUE(digests.has_value()) << digests.error().text();
  EXPECT_EQ(digests->kind, MemberKind::cab);
  Bytes hashed = base::to_bytes(base::ByteView(file).first(4));
  base::append(hashed, base::ByteView(file).subspan(8));
  EXPECT_EQ(digests->sha256, crypto::sha256(hashed));
  EXPECT_EQ(digests->sha1, crypto::digest_of(crypto::DigestAlgorithm::sha1, hashed));
  EXPECT_EQ(digests->cab_size, crypto::sha256(Bytes{40, 0, 0, 0}));
  EXPECT_EQ(digests->flat, crypto::sha256(file));
  file[5] = 0xFF;
  EXPECT_EQ(digests_of(file)->sha256, digests->sha256);
  file[12] = 0xFF;
  EXPECT_NE(digests_of(file)->sha256, digests->sha256);
}

TEST(MemberDigests, RefuseCabinetsThatAreSignedSplitOrOfAnotherSize) {
  for (const Bytes& file : {cabinet(4), cabinet(1), cabinet(2), cabinet(0, 39), cabinet(0, 0xFFFFFFFF)}) {
    const auto digests = digests_of(file);
    ASSERT_FALSE(digests.has_value());
    EXPECT_EQ(digests.error().code(), Errc::unsupported);
  }
}

TEST(MemberDigests, TakeTheKindFromTheContentAlone) {
  EXPECT_EQ(digests_of(base::as_bytes("MZ, but no image"))->kind, MemberKind::flat);
  EXPECT_EQ(digests_of(base::as_bytes("MSCF"))->kind, MemberKind::flat);   // too short for a cabinet's header
}

}  // namespace
}  // namespace formats
