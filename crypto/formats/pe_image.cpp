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
constexpr std::uint64_t kSizeOfHeadersAt = 60;
constexpr std::uint64_t kChecksumAt = 64;
constexpr std::uint64_t kSubsystemAt = 68;
constexpr std::uint64_t kChecksumSize = 4;
constexpr std::uint32_t kSecurityDirectory = 4;
constexpr std::uint64_t kDirectoryEntrySize = 8;
constexpr std::uint64_t kSectionHeaderSize = 40;
constexpr std::uint64_t kSizeOfRawDataAt = 16;  // in a section header; PointerToRawData follows
constexpr std::uint64_t kWinCertificateHeader = 8;

std::uint64_t round8(std::uint64_t value) {
  return (value + 7) / 8 * 8;
}

// Fields of a header that is in memory. The region has been checked by the caller; slice() checks it again.
Result<std::uint32_t> u32_at(ByteView header, std::uint64_t offset) {
  const ByteView field = TRY(base::slice(header, offset, 4));
  return ByteReader(field).u32le();
}
Result<std::uint16_t> u16_at(ByteView header, std::uint64_t offset) {
  const ByteView field = TRY(base::slice(header, offset, 2));
  return ByteReader(field).u16le();
}

// The sum behind CheckSum: 16-bit little-endian words, carries folded back in. Bytes count by their place in the file,
// so that fields at odd offsets and pieces of odd length come out right.
class WordSum {
 public:
  WordSum() = default;
  explicit WordSum(std::uint16_t start) : sum_(start) {}
  void add(ByteView bytes, std::uint64_t position) {
    if (position % 2 != 0 && !bytes.empty()) {
      sum_ += static_cast<std::uint64_t>(bytes[0]) << 8;
      bytes = bytes.subspan(1);
    }
    // Two words at a time: 2^16 is 1 in one's-complement arithmetic. 2^30 additions of 32 bits fit in 64.
    while (bytes.size() >= 4) {
      const std::size_t count = bytes.size() / 4;
      for (std::size_t i = 0; i < count; ++i) {
        const ByteView four = bytes.subspan(4 * i, 4);
        sum_ += static_cast<std::uint32_t>(four[0]) | static_cast<std::uint32_t>(four[1]) << 8 |
                static_cast<std::uint32_t>(four[2]) << 16 | static_cast<std::uint32_t>(four[3]) << 24;
      }
      bytes = bytes.subspan(4 * count);
    }
    for (std::size_t i = 0; i < bytes.size(); ++i) sum_ += static_cast<std::uint64_t>(bytes[i]) << (i % 2 == 0 ? 0 : 8);
  }
  std::uint16_t folded() const {
    std::uint64_t sum = sum_;
    while ((sum >> 16) != 0) sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
  }

 private:
  std::uint64_t sum_ = 0;
};

struct RawData {
  std::uint64_t offset;
  std::uint64_t size;
};

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
  return expect_tiled_sections(section_table, size_of_headers);
}

// [AUTH] "Calculating the PE Image Hash" takes headers, then sections by PointerToRawData, then the file from the sum
// of their sizes on; deployed signers take the file in order. The two are the same bytes exactly when headers and
// sections follow each other without gap or overlap. Firmware and Windows disagree about which one is right for other
// files.
Result<void> PeImage::expect_tiled_sections(ByteView section_table, std::uint64_t size_of_headers) const {
  std::vector<RawData> sections;
  for (std::uint64_t at = 0; at < section_table.size(); at += kSectionHeaderSize) {
    const std::uint64_t size = TRY(u32_at(section_table, at + kSizeOfRawDataAt));
    const std::uint64_t offset = TRY(u32_at(section_table, at + kSizeOfRawDataAt + 4));
    if (size == 0) continue;  // [AUTH] step 9: not hashed; its pointer means nothing
    TRY(base::within(fmt::format("section {}", at / kSectionHeaderSize + 1),
                     base::expect_region(file_size_, offset, size)));
    sections.push_back({offset, size});
  }
  std::sort(sections.begin(), sections.end(), [](const RawData& a, const RawData& b) { return a.offset < b.offset; });
  std::uint64_t tiled_to = size_of_headers;
  for (const RawData& section : sections) {
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

Result<PeMeasurement> PeImage::measure(const base::ByteSource& file,
                                       std::span<const crypto::DigestAlgorithm> algorithms) const {
  if (file.size() != file_size_)
    return fail(Errc::mismatch, fmt::format("file of {} bytes, {} when it was first read", file.size(), file_size_));
  std::vector<crypto::Hasher> hashers;
  for (const crypto::DigestAlgorithm algorithm : algorithms) hashers.emplace_back(algorithm);
  WordSum sum;
  const auto take = [&](std::uint64_t from, std::uint64_t to) -> Result<void> {
    std::uint64_t position = from;
    return base::for_each_piece(file, from, to - from, [&](ByteView piece) -> Result<void> {
      for (crypto::Hasher& hasher : hashers) hasher.update(piece);
      sum.add(piece, position);
      position += piece.size();
      return {};
    });
  };
  TRY(take(0, checksum_at_));
  TRY(take(checksum_at_ + kChecksumSize, directory_entry_at_));
  TRY(take(directory_entry_at_ + kDirectoryEntrySize, image_end_));
  const Bytes padding(static_cast<std::size_t>(padded_end() - image_end_));

  PeMeasurement measured;
  measured.word_sum_ = sum.folded();
  for (crypto::Hasher& hasher : hashers) measured.digests_.push_back(std::move(hasher.update(padding)).finish());
  return measured;
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
    if (length < kWinCertificateHeader)
      return fail(Errc::malformed,
                  fmt::format("{}: length {}, at least {} wanted", where, length, kWinCertificateHeader));
    const ByteView content = TRY(base::within(where, in.take(length - kWinCertificateHeader)));
    // Entries start 8-aligned; some writers leave the padding of the last one out of the directory's size.
    TRY(in.skip(std::min<std::uint64_t>(round8(length) - length, in.remaining())));
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

Result<void> write_signed(const base::ByteSource& file, const PeImage& image, const PeMeasurement& measurement,
                          ByteView signed_data_der, base::ByteSink& out) {
  TRY(base::within("signature", der::expect_single(signed_data_der, der::kSequence)));
  if (signed_data_der.size() > base::limits::kSignatureBytes)
    return fail(Errc::too_large, fmt::format("signature of {} bytes", signed_data_der.size()));
  const std::uint64_t length = round8(kWinCertificateHeader + signed_data_der.size());
  const std::uint64_t signed_size = image.padded_end() + length;
  if (signed_size > base::limits::kFileBytes)
    return fail(Errc::too_large,
                fmt::format("{} bytes once signed, a PE image has at most {}", signed_size, base::limits::kFileBytes));

  base::ByteWriter table;
  table.u32le(static_cast<std::uint32_t>(length))
      .u16le(WinCertificate::kRevision2)
      .u16le(WinCertificate::kPkcsSignedData);
  table.put(signed_data_der).zeros(static_cast<std::size_t>(length) - table.size());
  base::ByteWriter entry;
  entry.u32le(static_cast<std::uint32_t>(image.padded_end())).u32le(static_cast<std::uint32_t>(length));

  WordSum sum(measurement.word_sum());
  sum.add(entry.bytes(), image.directory_entry_at());
  sum.add(table.bytes(), image.padded_end());
  base::ByteWriter checksum;
  checksum.u32le(static_cast<std::uint32_t>(sum.folded() + signed_size));

  const auto copy = [&](std::uint64_t from, std::uint64_t to) {
    return base::for_each_piece(file, from, to - from, [&](ByteView piece) { return out.write(piece); });
  };
  TRY(copy(0, image.checksum_at()));
  TRY(out.write(checksum.bytes()));
  TRY(copy(image.checksum_at() + kChecksumSize, image.directory_entry_at()));
  TRY(out.write(entry.bytes()));
  TRY(copy(image.directory_entry_at() + kDirectoryEntrySize, image.image_end()));
  TRY(out.write(Bytes(static_cast<std::size_t>(image.padded_end() - image.image_end()))));
  return out.write(table.bytes());
}

Result<std::uint32_t> pe_checksum(const base::ByteSource& file, const PeImage& image) {
  WordSum sum;
  const auto take = [&](std::uint64_t from, std::uint64_t to) -> Result<void> {
    std::uint64_t position = from;
    return base::for_each_piece(file, from, to - from, [&](ByteView piece) -> Result<void> {
      sum.add(piece, position);
      position += piece.size();
      return {};
    });
  };
  TRY(take(0, image.checksum_at()));
  TRY(take(image.checksum_at() + kChecksumSize, file.size()));
  return static_cast<std::uint32_t>(sum.folded() + file.size());
}

}  // namespace formats
