#include "crypto/formats/cab_file.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/der/writer.hpp"
#include "crypto/formats/authenticode.hpp"

namespace formats {
namespace {

using base::ByteReader;
using base::Errc;
using base::fail;

constexpr std::uint64_t kHeaderSize = 36;
constexpr std::uint64_t kFolderSize = 8;
constexpr std::uint64_t kAreaSize = 20;   // cbCFHeader of a signed cabinet
constexpr std::uint64_t kReserveFields = 4;   // cbCFHeader, cbCFFolder, cbCFData
constexpr std::uint32_t kAreaMark = 0x00100000;
constexpr unsigned kPreviousOrNext = 3;
constexpr unsigned kReservePresent = 4;

ByteView part(const Bytes& bytes, std::size_t offset, std::size_t size) {
  return ByteView(bytes).subspan(offset, size);
}

std::uint32_t u32(const Bytes& bytes, std::size_t offset) {
  const auto value = ByteReader(part(bytes, offset, 4)).u32le();
  return *value;   // in a header that is all there
}

}  // namespace

Result<bool> looks_like_cab(const base::ByteSource& file) {
  if (file.size() < kHeaderSize) return false;
  const Bytes magic = TRY(base::read_region(file, 0, 4, 4));
  return base::as_text(magic) == "MSCF";
}

Result<CabFile> CabFile::parse(const base::ByteSource& file) {
  if (file.size() > base::limits::kFileBytes) return fail(Errc::too_large, fmt::format("cabinet of {} bytes", file.size()));
  CabFile cab;
  cab.header_ = TRY(base::within("cabinet header", base::read_region(file, 0, kHeaderSize, kHeaderSize)));
  if (base::as_text(part(cab.header_, 0, 4)) != "MSCF") return fail(Errc::malformed, "MSCF wanted at the start");
  ByteReader in(cab.header_);
  TRY(in.skip(8));
  cab.cabinet_size_ = TRY(in.u32le());
  TRY(in.skip(4));
  const std::uint64_t files_at = TRY(in.u32le());
  TRY(in.skip(6));
  const std::uint64_t folder_count = TRY(in.u16le());
  TRY(in.skip(2));
  const std::uint16_t flags = TRY(in.u16le());
  if ((flags & kPreviousOrNext) != 0) return fail(Errc::unsupported, "cabinet is one of a set, which cannot be signed");
  if ((flags & ~(kPreviousOrNext | kReservePresent)) != 0)
    return fail(Errc::unsupported, fmt::format("cabinet flags {:#x} are unknown", flags));

  std::uint64_t folders_at = kHeaderSize;
  cab.area_end_.resize(8);
  if ((flags & kReservePresent) != 0) {
    const Bytes sizes = TRY(base::within("reserved area", base::read_region(file, kHeaderSize, kReserveFields, kReserveFields)));
    ByteReader reserve(sizes);
    const std::uint64_t header_reserve = TRY(reserve.u16le());
    const std::uint16_t others = TRY(reserve.u16le());   // for each folder and each block of data
    if (others != 0) return fail(Errc::unsupported, "cabinet with reserved areas in folders or data");
    if (header_reserve > base::limits::kCabReserveBytes)
      return fail(Errc::malformed, fmt::format("reserved area of {} bytes", header_reserve));
    folders_at += kReserveFields + header_reserve;
    const Bytes area = TRY(base::within("reserved area", base::read_region(file, kHeaderSize + kReserveFields, header_reserve,
                                                                           base::limits::kCabReserveBytes)));
    const bool is_empty = std::all_of(area.begin(), area.end(), [](std::uint8_t octet) { return octet == 0; });
    if (!is_empty) {
      if (header_reserve != kAreaSize || u32(area, 0) != kAreaMark)
        return fail(Errc::refused, fmt::format("reserved area of {} bytes holds something other than a signature's place",
                                                   header_reserve));
      const std::uint64_t signature_at = u32(area, 4);
      cab.signature_size_ = u32(area, 8);
      if (signature_at != cab.cabinet_size_)
        return fail(Errc::malformed, fmt::format("signature at {:#x}, the cabinet ends at {:#x}", signature_at, cab.cabinet_size_));
      cab.area_end_.assign(area.begin() + 12, area.end());
    }
  }
  if (cab.cabinet_size_ + cab.signature_size_ != file.size())
    return fail(Errc::malformed, fmt::format("cabinet of {} bytes and signature of {}, the file has {}", cab.cabinet_size_,
                                             cab.signature_size_, file.size()));
  if (cab.cabinet_size_ + kReserveFields + kAreaSize > base::limits::kFileBytes)
    return fail(Errc::too_large, "cabinet has no room for the place of a signature below 4 GiB");
  if (folder_count > base::limits::kCabFolders) return fail(Errc::too_large, fmt::format("{} folders in a cabinet", folder_count));
  cab.folders_ = TRY(base::within("folder table", base::read_region(file, folders_at, folder_count * kFolderSize,
                                                                    base::limits::kCabFolders * kFolderSize)));
  cab.data_offset_ = folders_at + cab.folders_.size();
  const auto expect_inside = [&](std::uint64_t offset, const char* what) -> Result<void> {
    if (offset < cab.data_offset_ || offset > cab.cabinet_size_)
      return fail(Errc::malformed, fmt::format("{} at {:#x}, outside {:#x} to {:#x}", what, offset, cab.data_offset_,
                                               cab.cabinet_size_));
    return {};
  };
  TRY(expect_inside(files_at, "file table"));
  for (std::size_t at = 0; at < cab.folders_.size(); at += kFolderSize) TRY(expect_inside(u32(cab.folders_, at), "folder data"));
  return cab;
}

std::int64_t CabFile::moved_by(bool with_area) const {
  const std::uint64_t head = kHeaderSize + folders_.size() + (with_area ? kReserveFields + kAreaSize : 0);
  return static_cast<std::int64_t>(head) - static_cast<std::int64_t>(data_offset_);
}

Bytes CabFile::head(bool with_area, std::uint32_t signature_size) const {
  const auto moved = [&](std::uint32_t offset) {
    return static_cast<std::uint32_t>(static_cast<std::int64_t>(offset) + moved_by(with_area));
  };
  const unsigned flags = (u32(header_, 28) >> 16) & ~kReservePresent;
  base::ByteWriter out;
  out.put(part(header_, 0, 8)).u32le(moved(u32(header_, 8))).put(part(header_, 12, 4)).u32le(moved(u32(header_, 16)));
  out.put(part(header_, 20, 10)).u16le(static_cast<std::uint16_t>(with_area ? flags | kReservePresent : flags));
  out.put(part(header_, 32, 4));
  if (with_area)
    out.u16le(kAreaSize).u16le(0).u32le(kAreaMark).u32le(moved(u32(header_, 8))).u32le(signature_size).put(area_end_);
  for (std::size_t at = 0; at < folders_.size(); at += kFolderSize)
    out.u32le(moved(u32(folders_, at))).put(part(folders_, at + 4, 4));
  return std::move(out).bytes();
}

// Left out: reserved1, and from iCabinet to the size of the signature; the last four bytes of the area are in again.
Result<crypto::Digest> CabFile::digest(const base::ByteSource& file, crypto::DigestAlgorithm algorithm) const {
  if (file.size() != cabinet_size_ + signature_size_) return fail(Errc::mismatch, "the cabinet changed its size");
  const Bytes head_bytes = head(true, 0);
  crypto::Hasher hasher(algorithm);
  hasher.update(part(head_bytes, 0, 4)).update(part(head_bytes, 8, 26)).update(part(head_bytes, 56, head_bytes.size() - 56));
  TRY(base::for_each_piece(file, data_offset_, cabinet_size_ - data_offset_, [&](ByteView piece) -> Result<void> {
    hasher.update(piece);
    return {};
  }));
  return std::move(hasher).finish();
}

Result<Bytes> CabFile::signature(const base::ByteSource& file) const {
  return base::within("signature", base::read_region(file, cabinet_size_, signature_size_, base::limits::kSignatureBytes));
}

Result<void> CabFile::write_signed(const base::ByteSource& file, ByteView signed_data_der, base::ByteSink& out) const {
  TRY(base::within("signature", der::expect_single(signed_data_der, der::kSequence)));
  const std::uint64_t size = (signed_data_der.size() + 7) / 8 * 8;
  const auto end = static_cast<std::uint64_t>(static_cast<std::int64_t>(cabinet_size_) + moved_by(true));
  if (size > base::limits::kSignatureBytes || end + size > base::limits::kFileBytes)
    return fail(Errc::too_large, fmt::format("{} bytes once signed", end + size));
  TRY(out.write(head(true, static_cast<std::uint32_t>(size))));
  TRY(base::for_each_piece(file, data_offset_, cabinet_size_ - data_offset_, [&](ByteView piece) { return out.write(piece); }));
  TRY(out.write(signed_data_der));
  return out.write(Bytes(static_cast<std::size_t>(size - signed_data_der.size())));
}

Result<void> CabFile::write_unsigned(const base::ByteSource& file, base::ByteSink& out) const {
  TRY(out.write(head(false, 0)));
  return base::for_each_piece(file, data_offset_, cabinet_size_ - data_offset_, [&](ByteView piece) { return out.write(piece); });
}

cms::Content cab_content(const crypto::Digest& cabinet_digest) {
  const Bytes no_file_name = der::element(der::context(2), der::element(der::context_primitive(0), base::ByteView()));
  return {der::oids::kSpcIndirectData, spc_indirect_data(der::oids::kSpcLink, no_file_name, cabinet_digest)};
}

}  // namespace formats
