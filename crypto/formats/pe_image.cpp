#include "crypto/formats/pe_image.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/der/reader.hpp"

namespace formats {
namespace {

using base::ByteReader;
using base::Errc;
using base::fail;

// "PE Format", MS-DOS stub and COFF file header.
constexpr std::uint64_t kDosHeaderSize = 0x40;
constexpr std::uint64_t kLfanewAt = 0x3C;
constexpr std::uint64_t kCoffSize = 24;         // with the "PE\0\0" before it
constexpr std::uint16_t kDosMagic = 0x5A4D;     // "MZ"
constexpr std::uint32_t kPeMagic = 0x00004550;  // "PE\0\0"
// Optional header.
constexpr std::uint16_t kMagicPe32 = 0x010B;
constexpr std::uint16_t kMagicPe32Plus = 0x020B;
constexpr std::uint16_t kMagicRom = 0x0107;
constexpr std::uint64_t kSectionAlignmentAt = 32;
constexpr std::uint64_t kSizeOfHeadersAt = 60;
constexpr std::uint64_t kChecksumAt = 64;
constexpr std::uint64_t kSubsystemAt = 68;
constexpr std::uint32_t kSecurityDirectory = 4;
constexpr std::uint64_t kSectionHeaderSize = 40;
constexpr std::uint64_t kSizeOfRawDataAt = 16;  // in a section header; PointerToRawData follows

// Fields of a header that is in memory. The region has been checked by the caller; slice() checks it again.
Result<std::uint32_t> u32_at(ByteView header, std::uint64_t offset) {
  const ByteView field = TRY(base::slice(header, offset, 4));
  return ByteReader(field).u32le();
}
Result<std::uint16_t> u16_at(ByteView header, std::uint64_t offset) {
  const ByteView field = TRY(base::slice(header, offset, 2));
  return ByteReader(field).u16le();
}


}  // namespace

Result<bool> looks_like_pe(const base::ByteSource& file) {
  if (file.size() < kDosHeaderSize) return false;
  std::array<std::uint8_t, kDosHeaderSize> dos{};
  TRY(file.read_at(0, dos));
  const std::uint16_t dos_magic = TRY(u16_at(dos, 0));
  const std::uint64_t pe_at = TRY(u32_at(dos, kLfanewAt));
  if (dos_magic != kDosMagic || !base::expect_region(file.size(), pe_at, 4)) return false;
  std::array<std::uint8_t, 4> pe{};
  TRY(file.read_at(pe_at, pe));
  const std::uint32_t pe_magic = TRY(u32_at(pe, 0));
  return pe_magic == kPeMagic;
}

const crypto::Digest& PeMeasurement::digest(crypto::DigestAlgorithm algorithm) const {
  const auto found = std::find_if(digests_.begin(), digests_.end(),
                                  [&](const crypto::Digest& digest) { return digest.algorithm() == algorithm; });
  base::require(found != digests_.end(), "a PE digest was not asked for");
  return *found;
}

Result<PeImage> PeImage::parse(const base::ByteSource& file) {
  if (file.size() > base::limits::kFileBytes)
    return fail(Errc::too_large,
                fmt::format("{} bytes, a PE image has at most {}", file.size(), base::limits::kFileBytes));
  PeImage image;
  image.file_size_ = file.size();
  TRY(image.read_headers(file));
  return image;
}

Result<void> PeImage::read_headers(const base::ByteSource& file) {
  const Bytes dos = TRY(base::within("DOS header", base::read_region(file, 0, kDosHeaderSize, kDosHeaderSize)));
  const std::uint16_t dos_magic = TRY(u16_at(dos, 0));
  if (dos_magic != kDosMagic)
    return fail(Errc::malformed, fmt::format("DOS header: MZ wanted, {:#06x} found", dos_magic));
  const std::uint64_t pe_at = TRY(u32_at(dos, kLfanewAt));
  if (pe_at < kDosHeaderSize)
    return fail(Errc::malformed, fmt::format("PE header at {:#x} overlaps the DOS header", pe_at));
  if (pe_at > base::limits::kPeHeaderBytes)
    return fail(Errc::too_large,
                fmt::format("PE header at {:#x}, at most {:#x} is read", pe_at, base::limits::kPeHeaderBytes));

  const Bytes coff = TRY(base::within("PE header", base::read_region(file, pe_at, kCoffSize, kCoffSize)));
  const std::uint32_t pe_magic = TRY(u32_at(coff, 0));
  if (pe_magic != kPeMagic)
    return fail(Errc::malformed, fmt::format("PE signature wanted at {:#x}, {:#010x} found", pe_at, pe_magic));
  machine_ = TRY(u16_at(coff, 4));
  const std::uint64_t section_count = TRY(u16_at(coff, 6));
  const std::uint64_t optional_size = TRY(u16_at(coff, 20));
  if (section_count > base::limits::kSections)
    return fail(Errc::too_large, fmt::format("{} sections, at most {}", section_count, base::limits::kSections));

  const std::uint64_t optional_at = pe_at + kCoffSize;
  const Bytes optional =
      TRY(base::within("optional header", base::read_region(file, optional_at, optional_size, 0xFFFF)));
  const std::uint16_t magic = TRY(base::within("optional header", u16_at(optional, 0)));
  if (magic == kMagicRom) return fail(Errc::unsupported, "ROM image (optional header magic 0x107) cannot be signed");
  if (magic != kMagicPe32 && magic != kMagicPe32Plus)
    return fail(Errc::malformed, fmt::format("optional header magic {:#x}, 0x10b or 0x20b wanted", magic));
  is_pe32_plus_ = magic == kMagicPe32Plus;
  const std::uint64_t directories_at = is_pe32_plus_ ? 112 : 96;
  const std::uint64_t entry_at = directories_at + kDirectoryEntrySize * kSecurityDirectory;
  if (optional_size < entry_at + kDirectoryEntrySize)
    return fail(Errc::unsupported,
                fmt::format("optional header of {} bytes has no room for the certificate directory, {} wanted",
                            optional_size, entry_at + kDirectoryEntrySize));
  const std::uint32_t directory_count = TRY(u32_at(optional, directories_at - 4));
  if (directory_count <= kSecurityDirectory)
    return fail(Errc::unsupported,
                fmt::format("{} data directories, the fifth is the certificate directory", directory_count));
  subsystem_ = TRY(u16_at(optional, kSubsystemAt));
  stored_checksum_ = TRY(u32_at(optional, kChecksumAt));
  checksum_at_ = optional_at + kChecksumAt;
  directory_entry_at_ = optional_at + entry_at;
  table_offset_ = TRY(u32_at(optional, entry_at));  // a file offset, although its name is VirtualAddress
  table_size_ = TRY(u32_at(optional, entry_at + 4));

  if ((table_offset_ == 0) != (table_size_ == 0))
    return fail(Errc::malformed,
                fmt::format("certificate directory: offset {} with size {}", table_offset_, table_size_));
  TRY(base::within("certificate table", base::expect_region(file_size_, table_offset_, table_size_)));
  // MS12-024: Windows takes the table only at the very end of the file.
  if (is_signed() && table_offset_ + table_size_ != file_size_)
    return fail(Errc::malformed, fmt::format("{} bytes after the certificate table, none may follow it",
                                             file_size_ - table_offset_ - table_size_));
  image_end_ = is_signed() ? table_offset_ : file_size_;

  const std::uint64_t sections_at = optional_at + optional_size;
  const std::uint64_t sections_size = section_count * kSectionHeaderSize;
  const std::uint64_t size_of_headers = TRY(u32_at(optional, kSizeOfHeadersAt));
  if (size_of_headers < sections_at + sections_size)
    return fail(Errc::malformed, fmt::format("section table ends at {:#x}, after SizeOfHeaders {:#x}",
                                             sections_at + sections_size, size_of_headers));
  TRY(base::within("headers", base::expect_region(image_end_, 0, size_of_headers)));
  const Bytes section_table = TRY(
      base::within("section table", base::read_region(file, sections_at, sections_size, base::limits::kPeHeaderBytes)));
  size_of_headers_ = size_of_headers;
  section_alignment_ = TRY(u32_at(optional, kSectionAlignmentAt));
  TRY(read_sections(section_table));
  return expect_tiled_sections();
}

Result<void> PeImage::read_sections(ByteView section_table) {
  for (std::uint64_t at = 0; at < section_table.size(); at += kSectionHeaderSize) {
    const std::uint64_t size = TRY(u32_at(section_table, at + kSizeOfRawDataAt));
    const std::uint64_t offset = TRY(u32_at(section_table, at + kSizeOfRawDataAt + 4));
    if (size == 0) continue;  // [AUTH] step 9: not hashed; its pointer means nothing
    TRY(base::within(fmt::format("section {}", at / kSectionHeaderSize + 1),
                     base::expect_region(file_size_, offset, size)));
    sections_.push_back({offset, size});
  }
  return {};
}

// [AUTH] "Calculating the PE Image Hash" takes headers, then sections by PointerToRawData, then the file from the sum
// of their sizes on; deployed signers take the file in order. The two are the same bytes exactly when headers and
// sections follow each other without gap or overlap. Firmware and Windows disagree about which one is right for other
// files.
Result<void> PeImage::expect_tiled_sections() const {
  std::vector<PageLayout::Section> sections = sections_;
  std::sort(sections.begin(), sections.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  std::uint64_t tiled_to = size_of_headers_;
  for (const PageLayout::Section& section : sections) {
    if (section.offset != tiled_to)
      return fail(Errc::refused,
                  fmt::format("pe.ambiguous-layout: raw data of a section at {:#x}, {:#x} wanted: {} between "
                              "headers and sections make two digests possible",
                              section.offset, tiled_to, section.offset > tiled_to ? "gaps" : "overlaps"));
    tiled_to += section.size;
  }
  if (tiled_to > image_end_)
    return fail(Errc::refused,
                fmt::format("pe.ambiguous-layout: sections end at {:#x}, inside the certificate table at {:#x}",
                            tiled_to, image_end_));
  return {};
}

Result<std::vector<WinCertificate>> PeImage::certificates(const base::ByteSource& file) const {
  const Bytes table = TRY(base::within(
      "certificate table", base::read_region(file, table_offset_, table_size_, base::limits::kSignatureBytes)));
  std::vector<WinCertificate> entries;
  ByteReader in(table);
  while (!in.at_end()) {
    if (entries.size() == base::limits::kWinCertificates)
      return fail(Errc::too_large,
                  fmt::format("certificate table: more than {} entries", base::limits::kWinCertificates));
    const std::string where = fmt::format("certificate table entry at {:#x}", table_offset_ + in.offset());
    WinCertificate entry;
    entry.offset = table_offset_ + in.offset();
    const std::uint64_t length = TRY(base::within(where, in.u32le()));
    entry.revision = TRY(base::within(where, in.u16le()));
    entry.type = TRY(base::within(where, in.u16le()));
    if (length < WinCertificate::kHeaderSize)
      return fail(Errc::malformed,
                  fmt::format("{}: length {}, at least {} wanted", where, length, WinCertificate::kHeaderSize));
    const ByteView content = TRY(base::within(where, in.take(length - WinCertificate::kHeaderSize)));
    // Entries start 8-aligned; some writers leave the padding of the last one out of the directory's size.
    TRY(in.skip(std::min<std::uint64_t>(padded_to_8(length) - length, in.remaining())));
    der::Reader reader(content);
    const auto element = reader.expect_element(der::kSequence);
    entry.der = base::to_bytes(element ? element->whole : content);
    const ByteView slack = content.subspan(entry.der.size());
    entry.slack = slack.size();
    entry.slack_is_zero = std::all_of(slack.begin(), slack.end(), [](std::uint8_t octet) { return octet == 0; });
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace formats
