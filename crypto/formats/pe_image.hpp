// A Windows PE image as far as signing needs it: validated once, then measured, read and written through a ByteSource,
// so that a 4 GiB image is signed in constant memory. Holds header facts only, no bytes of the file: give the same
// source again to every function that takes one.
// It does not look into sections, imports or resources, and says nothing about trust: see package/verification.hpp.
// Sources: Microsoft "PE Format"; "Windows Authenticode Portable Executable Signature Format" (2008), called [AUTH].
//
//   const PeImage image = TRY(PeImage::parse(file));
//   const DigestAlgorithm wanted[] = {DigestAlgorithm::sha256};
//   const PeMeasurement measurement = TRY(image.measure(file, wanted));
//   ... measurement.digest(DigestAlgorithm::sha256) is approved and signed ...
//   TRY(write_signed(file, image, measurement, signed_data_der, out));
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "crypto/base/byte_sink.hpp"
#include "crypto/base/byte_source.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"
#include "crypto/formats/page_hashes.hpp"

namespace formats {

using base::Bytes;
using base::ByteView;
using base::Result;

// Whether a catalog and an inspector should treat the file as PE: "MZ", and "PE\0\0" where e_lfanew points. Such a
// file may still be refused by PeImage::parse. Only Errc::io fails.
Result<bool> looks_like_pe(const base::ByteSource& file);

// What one pass over an image found.
class PeMeasurement {
 public:
  // Authenticode digest; the algorithm must be one that measure() was asked for.
  const crypto::Digest& digest(crypto::DigestAlgorithm algorithm) const;
  // The 16-bit one's-complement sum of the padded image, CheckSum and certificate directory entry counted as zero.
  std::uint16_t word_sum() const { return word_sum_; }
  // The table of page hashes; measure() must have been asked for that version.
  const Bytes& page_hashes(PageHashVersion version) const;
  Bytes take_page_hashes(PageHashVersion version);   // the same, and they are not here any more: they can be megabytes
  bool has_page_hashes(PageHashVersion version) const;
  // SHA-256 of the whole file as it is, certificate table included; measure() must have been asked for it.
  const crypto::Digest& flat() const;

 private:
  friend class PeImage;
  std::vector<crypto::Digest> digests_;
  std::optional<crypto::Digest> flat_;
  std::optional<Bytes> page_hashes_v1_;
  std::optional<Bytes> page_hashes_v2_;
  std::uint16_t word_sum_ = 0;
};

// What a pass should find out and do.
struct PeMeasuring {
  std::span<const crypto::DigestAlgorithm> algorithms;
  bool page_hashes_v1 = false;
  bool page_hashes_v2 = false;
  bool flat = false;   // PeMeasurement::flat()
  // Gets the padded image in the same pass, CheckSum and certificate directory entry zero; finish_signed() completes it.
  base::ByteSink* copy_to = nullptr;
};

// Entries of the attribute certificate table, and the table itself, begin and end at multiples of 8.
constexpr std::uint64_t padded_to_8(std::uint64_t value) { return (value + 7) / 8 * 8; }

// One entry (WIN_CERTIFICATE) of the attribute certificate table.
struct WinCertificate {
  static constexpr std::uint16_t kRevision2 = 0x0200;
  static constexpr std::uint16_t kPkcsSignedData = 0x0002;
  static constexpr std::uint64_t kHeaderSize = 8;
  std::uint64_t offset = 0;  // of the entry in the file
  std::uint16_t revision = 0;
  std::uint16_t type = 0;
  Bytes der;                // the one DER element that the entry starts with; all its bytes if it is not DER
  std::uint64_t slack = 0;  // bytes after that element, up to the end of the entry
  bool slack_is_zero = true;
  // Up to 7 zero bytes are padding; anything else can hide data from the signature (MS13-098, CVE-2013-3900).
  bool is_stuffed() const { return slack > 7 || !slack_is_zero; }
};

class PeImage {
 public:
  static constexpr std::uint64_t kDirectoryEntrySize = 8;
  // Errc::malformed for structures outside the file or each other, trailing bytes after the certificate table, and a
  // certificate directory that points past the end of the file; Errc::unsupported for ROM images and images without
  // room for a certificate directory; Errc::refused, text starting "pe.ambiguous-layout", when headers and sections do
  // not tile the file, so that the two readings of [AUTH] (by file order, by sections) give different digests.
  static Result<PeImage> parse(const base::ByteSource& file);

  std::uint16_t machine() const { return machine_; }      // 0x8664 x64, 0x014C x86, 0xAA64 arm64, ...
  std::uint16_t subsystem() const { return subsystem_; }  // 1 native, 2 GUI, 3 console, 10 to 13 EFI
  bool is_pe32_plus() const { return is_pe32_plus_; }
  bool is_signed() const { return table_size_ != 0; }
  std::uint64_t table_offset() const { return table_offset_; }  // in the file; 0 without a table
  std::uint64_t table_size() const { return table_size_; }
  // Where the signed content ends: the start of the table, or the end of an unsigned file.
  std::uint64_t image_end() const { return image_end_; }
  // The same, rounded up to 8: the zeros between are hashed, and written by write_signed().
  std::uint64_t padded_end() const { return (image_end_ + 7) / 8 * 8; }
  std::uint32_t stored_checksum() const { return stored_checksum_; }

  // All digests and the word sum in one pass. The digest of a signed image is that of the image before it was
  // signed. Errc::mismatch when the source is not as long as the one parsed.
  Result<PeMeasurement> measure(const base::ByteSource& file,
                                std::span<const crypto::DigestAlgorithm> algorithms) const;

  // The same pass with page hashes and a copy. Errors of page_layout() when page hashes are asked for, and the sink's.
  Result<PeMeasurement> measure(const base::ByteSource& file, const PeMeasuring& wanted) const;

  // How the image is divided into pages. Errc::unsupported, with the reason, for images whose page hashes nobody has
  // defined: SectionAlignment below the page size, headers of more than a page, no section with raw data.
  Result<PageLayout> page_layout() const;

  // Every entry of the table in order. Errc::malformed for entries that do not fill it.
  Result<std::vector<WinCertificate>> certificates(const base::ByteSource& file) const;

  // Offsets in the file of the two fields that signing changes and the digest leaves out.
  std::uint64_t checksum_at() const { return checksum_at_; }
  std::uint64_t directory_entry_at() const { return directory_entry_at_; }

 private:
  PeImage() = default;
  Result<void> read_headers(const base::ByteSource& file);
  Result<void> read_sections(ByteView section_table);
  Result<void> expect_tiled_sections() const;

  std::uint64_t file_size_ = 0;
  std::uint64_t image_end_ = 0;
  std::uint64_t table_offset_ = 0;
  std::uint64_t table_size_ = 0;
  std::uint64_t checksum_at_ = 0;
  std::uint64_t directory_entry_at_ = 0;
  std::uint64_t size_of_headers_ = 0;
  std::uint64_t section_alignment_ = 0;
  std::vector<PageLayout::Section> sections_;   // with raw data, in the order of the section table
  std::uint32_t stored_checksum_ = 0;
  std::uint16_t machine_ = 0;
  std::uint16_t subsystem_ = 0;
  bool is_pe32_plus_ = false;
};

// The image with one signature in place of any it had: dwLength rounded up to 8, revision 2, directory entry and
// CheckSum set, as SignTool writes it. Sequential, constant memory; the source must be what was measured.
// Errc::too_large when the result passes 4 GiB or the signature limits::kSignatureBytes.
Result<void> write_signed(const base::ByteSource& file, const PeImage& image, const PeMeasurement& measurement,
                          ByteView signed_data_der, base::ByteSink& out);

// The image with those signatures, each in an entry of its own: several only for EFI images. None makes an unsigned image
// of the same digest: padding stays, directory entry and table go.
Result<void> write_with_table(const base::ByteSource& file, const PeImage& image, const PeMeasurement& measurement,
                              const std::vector<Bytes>& signatures, base::ByteSink& out);

// What write_signed() adds to the padded image that measure() has copied to `out`: the table, the directory entry and the
// CheckSum. The same errors.
Result<void> finish_signed(const PeImage& image, const PeMeasurement& measurement, ByteView signed_data_der,
                           base::PatchableSink& out);

// The same CheckSum from what measure() found in its pass; reads the certificate table only.
Result<std::uint32_t> pe_checksum(const base::ByteSource& file, const PeImage& image, const PeMeasurement& measurement);

// The CheckSum that an image should carry, from its bytes as they are (imagehlp's CheckSumMappedFile).
Result<std::uint32_t> pe_checksum(const base::ByteSource& file, const PeImage& image);

}  // namespace formats
