#include "crypto/formats/pe_image.hpp"

#include <gtest/gtest.h>

#include "crypto/base/limits.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/signing_fixture.hpp"

namespace {

using base::Bytes;
using base::Errc;
using base::MemorySource;
using crypto::DigestAlgorithm;
using formats::PeImage;

// The offsets of the images that pe_builder makes with e_lfanew 0x80.
constexpr std::size_t kPe = 0x80;
constexpr std::size_t kOptional = kPe + 24;
constexpr std::size_t kDirectoryCount = kOptional + 108;
constexpr std::size_t kDirectoryEntry = kOptional + 144;
constexpr std::size_t kSections = kOptional + 240;  // 16 directories

void put16(Bytes& file, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 2; ++i) file.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
}
void put32(Bytes& file, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) file.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
}
std::uint32_t get32(const Bytes& file, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | file.at(at + i);
  return value;
}
std::size_t section(std::size_t index) {
  return kSections + 40 * index;
}

Bytes driver() {
  return tests::build_pe(tests::driver_description());
}

base::Result<PeImage> parse(const Bytes& file) {
  return PeImage::parse(MemorySource(file));
}

crypto::Digest digest(const Bytes& file, DigestAlgorithm algorithm = DigestAlgorithm::sha256) {
  const auto image = parse(file);
  EXPECT_TRUE(image.has_value()) << image.error().text();
  const DigestAlgorithm wanted[] = {DigestAlgorithm::sha1, algorithm};
  return image->measure(MemorySource(file), wanted)->digest(algorithm);
}

// The reading of [AUTH] by sections, done on bytes in memory and without the code under test.
crypto::Digest digest_by_sections(const Bytes& file, std::size_t directory_entry, std::size_t sections,
                                  std::size_t count) {
  crypto::Hasher hasher(DigestAlgorithm::sha256);
  const auto hash = [&](std::size_t from, std::size_t to) {
    hasher.update(base::ByteView(file).subspan(from, to - from));
  };
  const std::size_t headers = get32(file, kOptional + 60);
  hash(0, kOptional + 64);
  hash(kOptional + 68, directory_entry);
  hash(directory_entry + 8, headers);
  std::vector<std::pair<std::size_t, std::size_t>> raw;
  for (std::size_t i = 0; i < count; ++i)
    if (get32(file, sections + 40 * i + 16) != 0)
      raw.emplace_back(get32(file, sections + 40 * i + 20), get32(file, sections + 40 * i + 16));
  std::sort(raw.begin(), raw.end());
  std::size_t sum = headers;
  for (const auto& [offset, size] : raw) {
    hash(offset, offset + size);
    sum += size;
  }
  const std::size_t table = get32(file, directory_entry + 4);
  hash(sum, file.size() - table);
  hasher.update(Bytes((8 - (file.size() - table) % 8) % 8));
  return std::move(hasher).finish();
}

void expect_refused(const Bytes& file, Errc code, std::string_view text) {
  const auto image = parse(file);
  ASSERT_FALSE(image.has_value());
  EXPECT_EQ(image.error().code(), code) << image.error().text();
  EXPECT_NE(image.error().text().find(text), std::string::npos) << image.error().text();
}

TEST(PeImage, ReadsWhatKindOfImageItIs) {
  const auto driver_image = parse(driver());
  ASSERT_TRUE(driver_image);
  EXPECT_EQ(driver_image->machine(), 0x8664);
  EXPECT_EQ(driver_image->subsystem(), 1);
  EXPECT_TRUE(driver_image->is_pe32_plus());
  EXPECT_FALSE(driver_image->is_signed());
  const auto program = parse(tests::build_pe(tests::program_description(false)));
  ASSERT_TRUE(program);
  EXPECT_EQ(program->machine(), 0x014C);
  EXPECT_EQ(program->subsystem(), 3);
  EXPECT_FALSE(program->is_pe32_plus());
}

TEST(PeImage, DigestIsThatOfTheSpecificationsReadingBySections) {
  for (std::size_t odd = 0; odd < 9; ++odd) {
    const Bytes file = tests::driver_of_size(0x2000 + odd);
    EXPECT_EQ(digest(file), digest_by_sections(file, kDirectoryEntry, kSections, 4)) << odd;
  }
  const Bytes pe32 = tests::build_pe(tests::program_description(false));
  EXPECT_EQ(digest(pe32), digest_by_sections(pe32, kOptional + 128, kOptional + 224, 4));
}

TEST(PeImage, DigestDoesNotDependOnTheOrderOfSectionHeaders) {
  Bytes swapped = driver();
  std::swap_ranges(swapped.begin() + static_cast<std::ptrdiff_t>(section(1)),
                   swapped.begin() + static_cast<std::ptrdiff_t>(section(2)),
                   swapped.begin() + static_cast<std::ptrdiff_t>(section(2)));
  EXPECT_EQ(digest(swapped), digest_by_sections(swapped, kDirectoryEntry, kSections, 4));
}

TEST(PeImage, DigestLeavesOutChecksumAndDirectoryEntryOnly) {
  const Bytes file = driver();
  const crypto::Digest original = digest(file);
  for (std::size_t at = 0x40; at < file.size(); at += 1) {
    // Fields whose change makes another layout, not another digest.
    const bool layout = (at >= kPe && at < kOptional + 2) || (at >= kOptional + 60 && at < kOptional + 64) ||
                        (at >= kDirectoryCount && at < kDirectoryCount + 4) ||
                        (at >= kDirectoryEntry && at < kDirectoryEntry + 8) || (at >= section(0) && at < section(4));
    if (layout) continue;
    Bytes changed = file;
    changed[at] ^= 0x01;
    const bool left_out = at >= kOptional + 64 && at < kOptional + 68;
    ASSERT_EQ(digest(changed) == original, left_out) << at;
  }
}

TEST(PeImage, SignedImageDigestsAsBeforeSigning) {
  tests::Vendor vendor;
  for (std::size_t odd = 0; odd < 8; ++odd) {
    const Bytes file = tests::driver_of_size(0x1E00 + odd);
    const Bytes signed_file = vendor.sign_pe(file);
    EXPECT_EQ(signed_file.size() % 8, 0U);
    EXPECT_EQ(digest(signed_file), digest(file)) << odd;
    EXPECT_EQ(digest(signed_file, DigestAlgorithm::sha384), digest(file, DigestAlgorithm::sha384)) << odd;
    EXPECT_TRUE(parse(signed_file)->is_signed());
  }
}

TEST(PeImage, ReplacingASignatureGivesTheSameImageWithTheNewOne) {
  tests::Vendor vendor(tests::Vendor::Kind::rsa3072);  // deterministic signatures
  const Bytes once = vendor.sign_pe(tests::driver_of_size(0x1E03));
  EXPECT_EQ(vendor.sign_pe(once), once);
}

TEST(PeImage, ChecksumIsRightBeforeAndAfterSigning) {
  tests::Vendor vendor;
  for (std::size_t odd = 0; odd < 8; ++odd) {
    const Bytes file = tests::driver_of_size(0x1E00 + odd);  // the builder computes CheckSum its own plain way
    EXPECT_EQ(*formats::pe_checksum(MemorySource(file), *parse(file)), get32(file, kOptional + 64)) << odd;
    const Bytes signed_file = vendor.sign_pe(file);
    EXPECT_EQ(*formats::pe_checksum(MemorySource(signed_file), *parse(signed_file)), get32(signed_file, kOptional + 64))
        << odd;
  }
}

TEST(PeImage, ChecksumIsRightWhenItsFieldIsAtAnOddOffset) {
  tests::Vendor vendor;
  tests::PeDescription description = tests::driver_description();
  description.e_lfanew = 0x85;
  const Bytes signed_file = vendor.sign_pe(tests::build_pe(description));
  const auto image = parse(signed_file);
  ASSERT_TRUE(image);
  // The plain way: the field as zero, word after word.
  Bytes zeroed = signed_file;
  put32(zeroed, image->checksum_at(), 0);
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < zeroed.size(); at += 2) {
    sum += static_cast<std::uint32_t>(zeroed[at] | zeroed[at + 1] << 8);
    sum = (sum & 0xFFFF) + (sum >> 16);
  }
  EXPECT_EQ(image->stored_checksum(), sum + signed_file.size());
}

TEST(PeImage, WritesTheCertificateTableAsSignToolDoes) {
  tests::Vendor vendor;
  const Bytes file = tests::driver_of_size(0x1E05);
  const Bytes signed_file = vendor.sign_pe(file);
  const std::size_t table = get32(signed_file, kDirectoryEntry);
  EXPECT_EQ(table, 0x1E08U);  // rounded up to 8
  EXPECT_EQ(get32(signed_file, kDirectoryEntry + 4), signed_file.size() - table);
  EXPECT_EQ(get32(signed_file, table), signed_file.size() - table);  // dwLength counts the padding
  EXPECT_EQ(get32(signed_file, table + 4), 0x00020200U);             // revision 2, PKCS#7 SignedData
  for (std::size_t at = 0x1E05; at < table; ++at) EXPECT_EQ(signed_file[at], 0);
  const auto entries = parse(signed_file)->certificates(MemorySource(signed_file));
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 1U);
  EXPECT_FALSE(entries->front().is_stuffed());
}

TEST(PeImage, RefusesLayoutsWithTwoReadings) {
  Bytes gap = driver();  // the first section loses its last 0x100 bytes
  put32(gap, section(0) + 16, 0x100);
  expect_refused(gap, Errc::refused, "pe.ambiguous-layout");
  Bytes overlap = driver();
  put32(overlap, section(1) + 20, get32(overlap, section(1) + 20) - 0x200);
  expect_refused(overlap, Errc::refused, "pe.ambiguous-layout");
  Bytes headers = driver();  // SizeOfHeaders past the first section
  put32(headers, kOptional + 60, get32(headers, kOptional + 60) + 0x200);
  expect_refused(headers, Errc::refused, "pe.ambiguous-layout");
  Bytes unclaimed = driver();  // the second section is said to be empty, its bytes stay
  put32(unclaimed, section(1) + 16, 0);
  expect_refused(unclaimed, Errc::refused, "pe.ambiguous-layout");
  tests::Vendor vendor;
  Bytes inside = vendor.sign_pe(driver());  // the table begins inside the last section
  const std::uint32_t table = get32(inside, kDirectoryEntry);
  put32(inside, kDirectoryEntry, table - 0x100);
  put32(inside, kDirectoryEntry + 4, static_cast<std::uint32_t>(inside.size()) - table + 0x100);
  expect_refused(inside, Errc::refused, "pe.ambiguous-layout");
}

TEST(PeImage, TakesEmptySectionsWithAnyPointer) {
  Bytes file = tests::build_pe(tests::program_description());
  put32(file, section(2) + 20, 0xDEADBEEF);  // .bss has no raw data
  EXPECT_TRUE(parse(file));
}

TEST(PeImage, RefusesSectionPastEndOfFile) {
  Bytes file = driver();
  put32(file, section(3) + 16, 0x1000);
  expect_refused(file, Errc::malformed, "section 4");
  put32(file, section(3) + 20, 0xFFFFFF00);
  expect_refused(file, Errc::malformed, "section 4");
}

TEST(PeImage, RefusesSectionCountsOverTheLimitOrOutsideTheHeaders) {
  Bytes file = driver();
  put16(file, kPe + 6, 0xFFFF);
  expect_refused(file, Errc::too_large, "sections");
  put16(file, kPe + 6, base::limits::kSections);
  expect_refused(file, Errc::malformed, "SizeOfHeaders");
}

TEST(PeImage, RefusesHeadersLongerThanTheFile) {
  Bytes file = driver();
  put32(file, kOptional + 60, 0xFFFFF000);
  expect_refused(file, Errc::malformed, "headers");
}

TEST(PeImage, RefusesDosAndPeHeadersThatAreNot) {
  expect_refused({}, Errc::malformed, "DOS header");
  expect_refused(Bytes(0x40), Errc::malformed, "MZ wanted");
  Bytes overlapping = driver();
  put32(overlapping, 0x3C, 0x3C);
  expect_refused(overlapping, Errc::malformed, "overlaps the DOS header");
  Bytes at_end = driver();
  put32(at_end, 0x3C, static_cast<std::uint32_t>(at_end.size()) - 8);
  expect_refused(at_end, Errc::malformed, "PE header");
  Bytes wrapping = driver();
  put32(wrapping, 0x3C, 0xFFFFFFF0);
  expect_refused(wrapping, Errc::too_large, "PE header");
  Bytes no_pe = driver();
  no_pe[kPe] = 'N';
  expect_refused(no_pe, Errc::malformed, "PE signature");
}

TEST(PeImage, RefusesOptionalHeadersWithoutRoomForTheDirectory) {
  Bytes rom = driver();
  put16(rom, kOptional, 0x107);
  expect_refused(rom, Errc::unsupported, "ROM");
  Bytes unknown = driver();
  put16(unknown, kOptional, 0x30B);
  expect_refused(unknown, Errc::malformed, "magic");
  Bytes few = driver();
  put32(few, kDirectoryCount, 4);
  expect_refused(few, Errc::unsupported, "4 data directories");
  for (const std::uint32_t size : {0U, 1U, 16U, 112U, 151U}) {
    Bytes small = driver();
    put16(small, kPe + 20, size);
    EXPECT_FALSE(parse(small)) << size;
  }
}

TEST(PeImage, RefusesCertificateTablePastEndOfFile) {
  Bytes dangling = driver();
  put32(dangling, kDirectoryEntry, static_cast<std::uint32_t>(dangling.size()));
  put32(dangling, kDirectoryEntry + 4, 0x1000);
  expect_refused(dangling, Errc::malformed, "certificate table");
  put32(dangling, kDirectoryEntry, 0xFFFFFFF8);  // wraps in 32 bits
  expect_refused(dangling, Errc::malformed, "certificate table");
  put32(dangling, kDirectoryEntry + 4, 0);
  expect_refused(dangling, Errc::malformed, "certificate directory");
}

TEST(PeImage, RefusesBytesAfterTheCertificateTable) {
  tests::Vendor vendor;
  Bytes file = vendor.sign_pe(driver());
  file.resize(file.size() + 8);
  expect_refused(file, Errc::malformed, "8 bytes after the certificate table");
}

TEST(PeImage, RefusesTableEntriesThatDoNotFillTheTable) {
  tests::Vendor vendor;
  const Bytes good = vendor.sign_pe(driver());
  const std::size_t table = get32(good, kDirectoryEntry);
  const auto length = static_cast<std::uint32_t>(good.size() - table);
  for (const std::uint32_t bad : {0U, 7U, length + 1, length + 8, length - 8, 0xFFFFFFF8U}) {
    Bytes file = good;
    put32(file, table, bad);
    EXPECT_FALSE(parse(file)->certificates(MemorySource(file))) << bad;
  }
}

TEST(PeImage, ReportsDataHiddenInATableEntry) {
  tests::Vendor vendor;
  Bytes file = vendor.sign_pe(driver());
  const std::size_t table = get32(file, kDirectoryEntry);
  file.resize(file.size() + 64);
  put32(file, table, static_cast<std::uint32_t>(file.size() - table));
  put32(file, kDirectoryEntry + 4, static_cast<std::uint32_t>(file.size() - table));
  const auto entries = parse(file)->certificates(MemorySource(file));
  ASSERT_TRUE(entries);
  EXPECT_TRUE(entries->front().is_stuffed());
}

TEST(PeImage, MeasuresOnlyTheFileItWasParsedFrom) {
  const Bytes file = driver();
  const auto image = parse(file);
  const Bytes shorter(file.begin(), file.end() - 1);
  const DigestAlgorithm wanted[] = {DigestAlgorithm::sha256};
  EXPECT_EQ(image->measure(MemorySource(shorter), wanted).error().code(), Errc::mismatch);
}

TEST(PeImage, WritesNothingForASignatureThatIsNotDer) {
  const Bytes file = driver();
  const MemorySource source(file);
  const auto image = PeImage::parse(source);
  const auto measurement = image->measure(source, std::span<const DigestAlgorithm>());
  base::MemorySink out;
  EXPECT_FALSE(formats::write_signed(source, *image, *measurement, Bytes{0x30, 0x05, 0x00}, out));
  EXPECT_TRUE(out.bytes().empty());
}

class SparseSource final : public base::ByteSource {  // an image followed by zeros up to any size
 public:
  SparseSource(Bytes start, std::uint64_t size) : start_(std::move(start)), size_(size) {}
  std::uint64_t size() const override { return size_; }
  base::Result<void> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = offset + i < start_.size() ? start_[offset + i] : 0;
    return {};
  }

 private:
  Bytes start_;
  std::uint64_t size_;
};

class CountingSink final : public base::ByteSink {
 public:
  base::Result<void> write(base::ByteView bytes) override {
    written += bytes.size();
    return {};
  }
  std::uint64_t written = 0;
};

TEST(PeImage, RefusesToWritePastFourGibibytes) {
  tests::Vendor vendor;
  const SparseSource file(driver(), base::limits::kFileBytes);
  const auto image = PeImage::parse(file);
  ASSERT_TRUE(image) << image.error().text();
  CountingSink out;
  const auto written = formats::write_signed(file, *image, {}, Bytes{0x30, 0x00}, out);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), Errc::too_large);
  EXPECT_EQ(out.written, 0U);
  EXPECT_EQ(PeImage::parse(SparseSource(driver(), base::limits::kFileBytes + 1)).error().code(), Errc::too_large);
}

TEST(PeImage, LooksLikePeOnlyWithBothMagics) {
  EXPECT_TRUE(*formats::looks_like_pe(MemorySource(driver())));
  EXPECT_FALSE(*formats::looks_like_pe(MemorySource({})));
  Bytes old_program = driver();
  old_program[kPe] = 'N';  // 16-bit "NE"
  EXPECT_FALSE(*formats::looks_like_pe(MemorySource(old_program)));
  Bytes wild = driver();
  put32(wild, 0x3C, 0xFFFFFFFF);
  EXPECT_FALSE(*formats::looks_like_pe(MemorySource(wild)));
}

}  // namespace
