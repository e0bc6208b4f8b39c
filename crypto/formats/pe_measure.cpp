// The passes over a PE image: measuring, writing it signed, and its CheckSum. Structure is pe_image.cpp's.
#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/two_threads.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/formats/pe_image.hpp"

namespace formats {
namespace {

using base::Errc;
using base::fail;

constexpr std::uint64_t kChecksumSize = 4;

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

// The certificate table and the two fields of the headers that go with it.
struct SignedEnd {
  Bytes padding;
  Bytes table;
  Bytes checksum;
  Bytes directory_entry;
};

Result<SignedEnd> signed_end(const PeImage& image, const PeMeasurement& measurement,
                             const std::vector<ByteView>& signatures) {
  base::ByteWriter table;
  std::size_t room = 0;
  for (const ByteView der : signatures) room += WinCertificate::kHeaderSize + der.size() + 8;
  table.reserve(room);
  for (const ByteView der : signatures) {
    TRY(base::within("signature", der::expect_single(der, der::kSequence)));
    if (der.size() > base::limits::kSignatureBytes)
      return fail(Errc::too_large, fmt::format("signature of {} bytes", der.size()));
    const std::uint64_t length = padded_to_8(WinCertificate::kHeaderSize + der.size());
    table.u32le(static_cast<std::uint32_t>(length))
        .u16le(WinCertificate::kRevision2)
        .u16le(WinCertificate::kPkcsSignedData);
    table.put(der).zeros(static_cast<std::size_t>(length - WinCertificate::kHeaderSize - der.size()));
  }
  const std::uint64_t signed_size = image.padded_end() + table.size();
  if (signed_size > base::limits::kFileBytes)
    return fail(Errc::too_large,
                fmt::format("{} bytes once signed, a PE image has at most {}", signed_size, base::limits::kFileBytes));
  base::ByteWriter entry;
  entry.u32le(static_cast<std::uint32_t>(signatures.empty() ? 0 : image.padded_end()))
      .u32le(static_cast<std::uint32_t>(table.size()));
  WordSum sum(measurement.word_sum());
  sum.add(entry.bytes(), image.directory_entry_at());
  sum.add(table.bytes(), image.padded_end());
  base::ByteWriter checksum;
  checksum.u32le(static_cast<std::uint32_t>(sum.folded() + signed_size));
  return SignedEnd{Bytes(static_cast<std::size_t>(image.padded_end() - image.image_end())), std::move(table).bytes(),
                   std::move(checksum).bytes(), std::move(entry).bytes()};
}

// Headers and sections as they are, with the new fields between them, and the new end.
Result<void> write_image(const base::ByteSource& file, const PeImage& image, const SignedEnd& end, base::ByteSink& out) {
  const auto copy = [&](std::uint64_t from, std::uint64_t to) {
    return base::for_each_piece(file, from, to - from, [&](ByteView piece) { return out.write(piece); });
  };
  TRY(copy(0, image.checksum_at()));
  TRY(out.write(end.checksum));
  TRY(copy(image.checksum_at() + kChecksumSize, image.directory_entry_at()));
  TRY(out.write(end.directory_entry));
  TRY(copy(image.directory_entry_at() + PeImage::kDirectoryEntrySize, image.image_end()));
  TRY(out.write(end.padding));
  return out.write(end.table);
}

}  // namespace

const Bytes& PeMeasurement::page_hashes(PageHashVersion version) const {
  const std::optional<Bytes>& table = version == PageHashVersion::v1 ? page_hashes_v1_ : page_hashes_v2_;
  base::require(table.has_value(), "page hashes were not asked for");
  return *table;
}

Bytes PeMeasurement::take_page_hashes(PageHashVersion version) {
  std::optional<Bytes>& table = version == PageHashVersion::v1 ? page_hashes_v1_ : page_hashes_v2_;
  base::require(table.has_value(), "page hashes were not asked for");
  Bytes taken = std::move(*table);
  table.reset();
  return taken;
}

bool PeMeasurement::has_page_hashes(PageHashVersion version) const {
  return (version == PageHashVersion::v1 ? page_hashes_v1_ : page_hashes_v2_).has_value();
}

const crypto::Digest& PeMeasurement::flat() const {
  base::require(flat_.has_value(), "the digest of the whole file was not asked for");
  return *flat_;
}

// Signers differ here. The page is the processor's (AMD64, ARM64 and x86 have 4 KiB, IA64 and Alpha 8 KiB); a large
// SectionAlignment does not change it.
Result<PageLayout> PeImage::page_layout() const {
  constexpr std::uint16_t kAlpha = 0x0184;
  constexpr std::uint16_t kIa64 = 0x0200;
  constexpr std::uint16_t kAlpha64 = 0x0284;
  PageLayout layout;
  layout.page_size = machine_ == kIa64 || machine_ == kAlpha || machine_ == kAlpha64 ? 8192 : 4096;
  layout.size_of_headers = size_of_headers_;
  layout.left_out_of_headers = kChecksumSize + PeImage::kDirectoryEntrySize;
  layout.sections = sections_;
  if (section_alignment_ < layout.page_size)
    return fail(Errc::unsupported,
                fmt::format("no page hashes: SectionAlignment {:#x} is below the page size {:#x}, so that pages of memory "
                            "are not pages of the file",
                            section_alignment_, layout.page_size));
  if (size_of_headers_ > layout.page_size)
    return fail(Errc::unsupported, fmt::format("no page hashes: headers of {:#x} bytes, more than a page of {:#x}",
                                               size_of_headers_, layout.page_size));
  if (sections_.empty()) return fail(Errc::unsupported, "no page hashes: no section has raw data");
  return layout;
}

Result<PeMeasurement> PeImage::measure(const base::ByteSource& file,
                                       std::span<const crypto::DigestAlgorithm> algorithms) const {
  PeMeasuring wanted;
  wanted.algorithms = algorithms;
  return measure(file, wanted);
}

Result<PeMeasurement> PeImage::measure(const base::ByteSource& file, const PeMeasuring& wanted) const {
  if (file.size() != file_size_)
    return fail(Errc::mismatch, fmt::format("file of {} bytes, {} when it was first read", file.size(), file_size_));
  std::vector<crypto::Hasher> hashers;
  for (const crypto::DigestAlgorithm algorithm : wanted.algorithms) hashers.emplace_back(algorithm);
  std::optional<PageHasher> v1;
  std::optional<PageHasher> v2;
  if (wanted.page_hashes_v1 || wanted.page_hashes_v2) {
    const PageLayout layout = TRY(page_layout());
    if (wanted.page_hashes_v1) v1.emplace(layout, PageHashVersion::v1);
    if (wanted.page_hashes_v2) v2.emplace(layout, PageHashVersion::v2);
  }
  crypto::Hasher* beside_pages = nullptr;   // the digest that the page hashes take along
  if (v2)
    for (std::size_t i = 0; i < hashers.size(); ++i)
      if (wanted.algorithms[i] == crypto::DigestAlgorithm::sha256) beside_pages = &hashers[i];
  std::optional<crypto::Hasher> flat;
  if (wanted.flat) flat.emplace(crypto::DigestAlgorithm::sha256);
  WordSum sum;
  const auto take = [&](std::uint64_t from, std::uint64_t to) {
    std::uint64_t position = from;
    return base::for_each_piece_in_two_threads(
        file, from, to - from,
        [&](ByteView piece) -> Result<void> {
          sum.add(piece, position);
          position += piece.size();
          if (wanted.copy_to == nullptr) return {};
          return wanted.copy_to->write(piece);
        },
        [&](ByteView piece) {
          for (crypto::Hasher& hasher : hashers)
            if (&hasher != beside_pages) hasher.update(piece);
          if (flat) flat->update(piece);
          if (v1) v1->update(piece);
          if (v2) v2->update(piece, beside_pages);
        });
  };
  const auto leave_room = [&](std::uint64_t size) -> Result<void> {
    if (wanted.copy_to == nullptr) return {};
    return wanted.copy_to->write(Bytes(static_cast<std::size_t>(size)));
  };
  const auto leave_out = [&](std::uint64_t from, std::uint64_t to) -> Result<void> {   // of everything but the flat digest
    if (!flat) return {};
    return base::for_each_piece(file, from, to - from, [&](ByteView piece) -> Result<void> {
      flat->update(piece);
      return {};
    });
  };
  const std::uint64_t after_checksum = checksum_at_ + kChecksumSize;
  const std::uint64_t after_entry = directory_entry_at_ + PeImage::kDirectoryEntrySize;
  TRY(take(0, checksum_at_));
  TRY(leave_out(checksum_at_, after_checksum));
  TRY(leave_room(kChecksumSize));
  TRY(take(after_checksum, directory_entry_at_));
  TRY(leave_out(directory_entry_at_, after_entry));
  TRY(leave_room(PeImage::kDirectoryEntrySize));
  TRY(take(after_entry, image_end_));
  TRY(leave_out(image_end_, file_size_));
  const Bytes padding(static_cast<std::size_t>(padded_end() - image_end_));
  TRY(leave_room(padding.size()));

  PeMeasurement measured;
  measured.word_sum_ = sum.folded();
  for (crypto::Hasher& hasher : hashers) measured.digests_.push_back(std::move(hasher.update(padding)).finish());
  if (flat) measured.flat_ = std::move(*flat).finish();
  if (v1) measured.page_hashes_v1_ = std::move(*v1).finish();
  if (v2) measured.page_hashes_v2_ = std::move(*v2).finish();
  return measured;
}

Result<void> write_signed(const base::ByteSource& file, const PeImage& image, const PeMeasurement& measurement,
                          ByteView signed_data_der, base::ByteSink& out) {
  const SignedEnd end = TRY(signed_end(image, measurement, {signed_data_der}));
  return write_image(file, image, end, out);
}

Result<void> write_with_table(const base::ByteSource& file, const PeImage& image, const PeMeasurement& measurement,
                              const std::vector<Bytes>& signatures, base::ByteSink& out) {
  if (signatures.size() > base::limits::kWinCertificates)
    return fail(Errc::too_large, fmt::format("{} signatures for one table, at most {}", signatures.size(),
                                             base::limits::kWinCertificates));
  const SignedEnd end =
      TRY(signed_end(image, measurement, std::vector<ByteView>(signatures.begin(), signatures.end())));
  return write_image(file, image, end, out);
}

Result<void> finish_signed(const PeImage& image, const PeMeasurement& measurement, ByteView signed_data_der,
                           base::PatchableSink& out) {
  const SignedEnd end = TRY(signed_end(image, measurement, {signed_data_der}));
  TRY(out.write(end.table));
  TRY(out.overwrite(image.checksum_at(), end.checksum));
  return out.overwrite(image.directory_entry_at(), end.directory_entry);
}

Result<std::uint32_t> pe_checksum(const base::ByteSource& file, const PeImage& image,
                                  const PeMeasurement& measurement) {
  WordSum sum(measurement.word_sum());
  const auto add = [&](std::uint64_t from, std::uint64_t size) -> Result<void> {
    const Bytes bytes = TRY(base::read_region(file, from, size, base::limits::kSignatureBytes));
    sum.add(bytes, from);
    return {};
  };
  TRY(add(image.directory_entry_at(), PeImage::kDirectoryEntrySize));
  TRY(add(image.table_offset(), image.table_size()));
  return static_cast<std::uint32_t>(sum.folded() + file.size());
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
