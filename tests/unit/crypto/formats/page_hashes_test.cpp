#include "crypto/formats/page_hashes.hpp"

#include <gtest/gtest.h>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/pe_image.hpp"
#include "tests/support/pe_builder.hpp"

namespace {

using base::Bytes;
using base::ByteView;
using base::MemorySource;
using crypto::DigestAlgorithm;
using formats::PageHashVersion;
using formats::PeImage;

// e_lfanew is 0x80 in these images; PE32+: the optional header starts at 0x98.
constexpr std::size_t kOptionalHeader = 0x98;
constexpr std::size_t kFirstSection = kOptionalHeader + 240;

Bytes content(std::size_t size, unsigned seed) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 251 + seed);
  return bytes;
}

Bytes image_of(const std::vector<std::size_t>& sizes, std::size_t overlay = 0) {
  tests::PeDescription description = tests::driver_description();
  description.sections.clear();
  for (std::size_t i = 0; i < sizes.size(); ++i)
    description.sections.push_back({".s" + std::to_string(i), 0x60000020, content(sizes[i], static_cast<unsigned>(i))});
  description.overlay = content(overlay, 99);
  return tests::build_pe(description);
}

Bytes table_of(const Bytes& file, PageHashVersion version = PageHashVersion::v2) {
  formats::PeMeasuring wanted;
  wanted.page_hashes_v1 = wanted.page_hashes_v2 = true;
  const MemorySource source(file);
  return PeImage::parse(source)->measure(source, wanted)->page_hashes(version);
}

std::uint32_t u32(ByteView bytes, std::size_t at) {
  return *base::ByteReader(bytes.subspan(at)).u32le();
}

// The same table, made without any of the code under test but the digest: one page after the other from memory.
Bytes plain_table(const Bytes& file, DigestAlgorithm algorithm) {
  const std::size_t headers = u32(file, kOptionalHeader + 60);
  base::ByteWriter table;
  Bytes page(file.begin(), file.begin() + kOptionalHeader + 64);
  base::append(page, ByteView(file).subspan(kOptionalHeader + 68, 144 - 68));
  base::append(page, ByteView(file).subspan(kOptionalHeader + 152, headers - kOptionalHeader - 152));
  page.resize(4096 - 12);
  table.u32le(0).put(crypto::digest_of(algorithm, page).bytes());
  std::size_t end = 0;
  const std::size_t sections = *base::ByteReader(ByteView(file).subspan(0x86)).u16le();
  for (std::size_t i = 0; i < sections; ++i) {
    const std::size_t size = u32(file, kFirstSection + 40 * i + 16);
    const std::size_t offset = u32(file, kFirstSection + 40 * i + 20);
    for (std::size_t at = 0; at < size; at += 4096) {
      const ByteView part = ByteView(file).subspan(offset + at, std::min<std::size_t>(4096, size - at));
      page.assign(part.begin(), part.end());
      page.resize(4096);
      table.u32le(static_cast<std::uint32_t>(offset + at)).put(crypto::digest_of(algorithm, page).bytes());
    }
    if (size > 0) end = offset + size;
  }
  table.u32le(static_cast<std::uint32_t>(end)).zeros(crypto::digest_size(algorithm));
  return std::move(table).bytes();
}

TEST(PageHashes, AreThoseOfEachPageWhateverTheSectionsSizes) {
  for (const std::vector<std::size_t>& sizes : std::initializer_list<std::vector<std::size_t>>{
           {1}, {0x200, 0x1000}, {0x1000, 0x2000, 0x3000}, {0x5200, 0x400}, {0x20000, 0x11200}}) {
    const Bytes file = image_of(sizes, 1000);
    EXPECT_EQ(table_of(file), plain_table(file, DigestAlgorithm::sha256));
    EXPECT_EQ(table_of(file, PageHashVersion::v1), plain_table(file, DigestAlgorithm::sha1));
  }
}

TEST(PageHashes, OfALargeImageAreTheSameThroughTwoThreads) {
  const Bytes file = image_of({0x700000, 0x123400}, 77);
  EXPECT_EQ(table_of(file), plain_table(file, DigestAlgorithm::sha256));
  EXPECT_EQ(table_of(file, PageHashVersion::v1), plain_table(file, DigestAlgorithm::sha1));
}

TEST(PageHashes, DoNotCoverAnOverlay) {
  EXPECT_EQ(table_of(image_of({0x1000}, 0)).size(), table_of(image_of({0x1000}, 9000)).size());
}

TEST(PageHashes, HaveProcessorPagesHoweverSectionsAreAligned) {
  Bytes file = image_of({0x4000});
  const std::size_t before = table_of(file).size();
  file[kOptionalHeader + 32] = 0;
  file[kOptionalHeader + 33] = 0;
  file[kOptionalHeader + 34] = 1;  // SectionAlignment 64 KiB
  EXPECT_EQ(table_of(file).size(), before);
  EXPECT_EQ(before, (1U + 4 + 1) * 36);
}

TEST(PageHashes, OfIa64HavePagesOf8KiB) {
  Bytes file = image_of({0x4000});
  file[0x84] = 0x00;
  file[0x85] = 0x02;
  file[kOptionalHeader + 33] = 0x20;  // SectionAlignment 8 KiB
  EXPECT_EQ(table_of(file).size(), (1U + 2 + 1) * 36);
}

TEST(PageHashes, KeepTheOrderOfTheSectionTable) {
  Bytes file = image_of({0x1000, 0x2000});
  std::swap_ranges(file.begin() + kFirstSection, file.begin() + kFirstSection + 40, file.begin() + kFirstSection + 40);
  EXPECT_EQ(table_of(file), plain_table(file, DigestAlgorithm::sha256));
}

TEST(PageHashes, AreRefusedWithAReasonWhereNobodyHasDefinedThem) {
  const auto expect_refused = [](const Bytes& file, std::string_view reason) {
    const MemorySource source(file);
    const auto image = PeImage::parse(source);
    ASSERT_TRUE(image) << image.error().text();
    const auto layout = image->page_layout();
    ASSERT_FALSE(layout);
    EXPECT_EQ(layout.error().code(), base::Errc::unsupported);
    EXPECT_NE(layout.error().text().find(reason), std::string::npos) << layout.error().text();
    formats::PeMeasuring wanted;
    wanted.page_hashes_v2 = true;
    EXPECT_FALSE(image->measure(source, wanted));
  };
  Bytes small_alignment = image_of({0x1000});
  small_alignment[kOptionalHeader + 33] = 0x02;  // SectionAlignment 0x200
  expect_refused(small_alignment, "SectionAlignment 0x200");
  Bytes no_sections = image_of({0x1000});
  no_sections[0x86] = 0;
  expect_refused(no_sections, "no section has raw data");
  tests::PeDescription description = tests::driver_description();
  description.e_lfanew = 0x1200;
  expect_refused(tests::build_pe(description), "more than a page");
}

TEST(PageHashes, AreReadBackFromTheContentOfASignature) {
  const Bytes file = image_of({0x1000, 0x2000});
  for (const PageHashVersion version : {PageHashVersion::v1, PageHashVersion::v2}) {
    const cms::Content content =
        formats::pe_content(crypto::sha256(file), formats::PageHashes{version, table_of(file, version)});
    const auto data = formats::IndirectData::parse(content.der);
    ASSERT_TRUE(data);
    const auto pages = formats::page_hashes_of(data->value);
    ASSERT_TRUE(pages && *pages);
    EXPECT_EQ((*pages)->version, version);
    EXPECT_EQ((*pages)->table, table_of(file, version));
  }
  const auto without = formats::IndirectData::parse(formats::pe_content(crypto::sha256(file)).der);
  EXPECT_FALSE(*formats::page_hashes_of(without->value));
}

TEST(PageHashes, WithAHalfEntryAreMalformed) {
  const cms::Content content =
      formats::pe_content(crypto::sha256({}), formats::PageHashes{PageHashVersion::v2, Bytes(36 * 3 + 1)});
  EXPECT_FALSE(formats::page_hashes_of(formats::IndirectData::parse(content.der)->value));
}

}  // namespace
