#include <fmt/format.h>

#include <array>

#include "crypto/base/byte_reader.hpp"
#include "crypto/formats/cab_file.hpp"
#include "crypto/formats/catalog.hpp"
#include "crypto/formats/page_hashes.hpp"
#include "crypto/formats/pe_image.hpp"

namespace formats {

using base::Errc;
using base::fail;
using crypto::DigestAlgorithm;

namespace {

constexpr std::uint64_t kCabHeaderBytes = 36;   // CFHEADER without its optional fields

Result<MemberDigests> pe_digests(const base::ByteSource& file, MemberPageHashes wanted) {
  const PeImage image = TRY(PeImage::parse(file));
  constexpr std::array kBoth = {DigestAlgorithm::sha1, DigestAlgorithm::sha256};
  const bool with_pages = wanted == MemberPageHashes::sha256;
  PeMeasurement measured = TRY(image.measure(file, PeMeasuring{.algorithms = kBoth, .page_hashes_v2 = with_pages}));
  MemberDigests digests{MemberKind::pe, measured.digest(DigestAlgorithm::sha1), measured.digest(DigestAlgorithm::sha256), std::nullopt};
  if (with_pages) digests.page_hashes = measured.take_page_hashes(PageHashVersion::v2);
  return digests;
}

struct Pair {
  crypto::Hasher sha1{DigestAlgorithm::sha1};
  crypto::Hasher sha256{DigestAlgorithm::sha256};
  Result<void> add(const base::ByteSource& file, std::uint64_t offset, std::uint64_t length, crypto::Hasher* flat = nullptr) {
    return base::for_each_piece(file, offset, length, [this, flat](ByteView piece) -> Result<void> {
      sha1.update(piece);
      sha256.update(piece);
      if (flat != nullptr) flat->update(piece);
      return {};
    });
  }
};

// An unsigned cabinet: every byte but reserved1 (4 to 8), found from 44 members of genuine catalogs. How Inf2Cat digests one with a
// reserved area (a signed one) was never seen, so it is refused.
Result<MemberDigests> cab_digests(const base::ByteSource& file) {
  const Bytes header = TRY(base::read_region(file, 0, kCabHeaderBytes, kCabHeaderBytes));
  base::ByteReader in(header);
  TRY(in.skip(8));
  const std::uint32_t cabinet_size = TRY(in.u32le());
  TRY(in.skip(18));
  const std::uint16_t flags = TRY(in.u16le());
  constexpr unsigned kOfASet = 3;   // a cabinet before it, or after it
  constexpr unsigned kReserve = 4;
  if ((flags & kReserve) != 0) return fail(Errc::unsupported, "cabinet with a reserved area (a signed one?): no catalog lists such files");
  if ((flags & kOfASet) != 0) return fail(Errc::unsupported, "cabinet that is part of a set");
  if (cabinet_size != file.size())
    return fail(Errc::unsupported, fmt::format("cabinet says it has {} bytes, the file has {}", cabinet_size, file.size()));
  Pair digests;
  crypto::Hasher flat(DigestAlgorithm::sha256);
  TRY(digests.add(file, 0, 4, &flat));
  const ByteView reserved = TRY(base::slice(header, 4, 4));
  flat.update(reserved);
  TRY(digests.add(file, 8, file.size() - 8, &flat));
  const ByteView size_field = TRY(base::slice(header, 8, 4));
  return MemberDigests{MemberKind::cab, std::move(digests.sha1).finish(), std::move(digests.sha256).finish(), crypto::sha256(size_field), {},
                       std::move(flat).finish()};
}

}  // namespace

std::string_view member_kind_name(MemberKind kind) {
  switch (kind) {
    case MemberKind::pe:
      return "PE";
    case MemberKind::cab:
      return "CAB";
    case MemberKind::flat:
      return "flat";
  }
  base::stop("no such member kind");
}

std::string_view member_kind_guid(MemberKind kind) {
  switch (kind) {
    case MemberKind::pe:
      return "{C689AAB8-8E78-11D0-8C47-00C04FC295EE}";
    case MemberKind::cab:
      return "{C689AABA-8E78-11D0-8C47-00C04FC295EE}";
    case MemberKind::flat:
      return "{DE351A42-8E59-11D0-8C47-00C04FC295EE}";
  }
  base::stop("no such member kind");
}

Result<MemberDigests> member_digests(const base::ByteSource& file, MemberPageHashes wanted) {
  const bool is_pe = TRY(looks_like_pe(file));
  if (is_pe) return pe_digests(file, wanted);
  const bool is_cab = TRY(looks_like_cab(file));
  if (is_cab) return cab_digests(file);
  Pair digests;
  TRY(digests.add(file, 0, file.size()));
  const crypto::Digest sha256 = std::move(digests.sha256).finish();
  return MemberDigests{MemberKind::flat, std::move(digests.sha1).finish(), sha256, std::nullopt, {}, sha256};
}

}  // namespace formats
