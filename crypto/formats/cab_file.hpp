// A cabinet (.cab) as far as signing needs it: header and folder table validated, digested and written through a
// ByteSource. It does not decompress anything. Holds no data of the file: give the same source again.
// A signed cabinet has a reserved area of 20 bytes in its header, which says where the signature is: behind the cabinet.
// Adding the area moves everything after it by 24 bytes; an unsigned cabinet is digested as if the area were there.
// Sources: Microsoft "[MS-CAB]" section 2; the signature's place from signed cabinets (docs/verification.md).
#pragma once

#include <cstdint>

#include "crypto/base/byte_sink.hpp"
#include "crypto/base/byte_source.hpp"
#include "crypto/base/result.hpp"
#include "crypto/cms/signed_data.hpp"
#include "crypto/digest.hpp"

namespace formats {

using base::Bytes;
using base::ByteView;
using base::Result;

Result<bool> looks_like_cab(const base::ByteSource& file);   // "MSCF"; only Errc::io fails

class CabFile {
 public:
  // Errc::malformed for offsets and lengths outside the file, and bytes after the cabinet that are no signature;
  // Errc::unsupported for one of a set of cabinets, Errc::refused for a reserved area that holds something else: it could be a signature that is not read here.
  static Result<CabFile> parse(const base::ByteSource& file);

  bool is_signed() const { return signature_size_ != 0; }
  // The Authenticode digest: the same before and after signing.
  Result<crypto::Digest> digest(const base::ByteSource& file, crypto::DigestAlgorithm algorithm) const;
  // The signature area: one DER element and its padding. Empty when there is none; Errc::too_large.
  Result<Bytes> signature(const base::ByteSource& file) const;

  // The cabinet with that signature in place of any it had. Errc::too_large over 4 GiB.
  Result<void> write_signed(const base::ByteSource& file, ByteView signed_data_der, base::ByteSink& out) const;
  // The cabinet without a signature and without an area for one.
  Result<void> write_unsigned(const base::ByteSource& file, base::ByteSink& out) const;

 private:
  CabFile() = default;
  // Header, reserved area (if wanted) and folder table as they are in a signed cabinet.
  Bytes head(bool with_area, std::uint32_t signature_size) const;
  std::int64_t moved_by(bool with_area) const;

  Bytes header_;    // the 36 bytes of CFHEADER
  Bytes folders_;   // the CFFOLDER entries, 8 bytes each
  Bytes area_end_;  // the last 8 bytes of the area; zeros when there was none
  std::uint64_t data_offset_ = 0;      // of what follows the folder table
  std::uint64_t cabinet_size_ = 0;     // cbCabinet
  std::uint64_t signature_size_ = 0;   // with padding; it starts where the cabinet ends
};

// The content to sign for a cabinet: SpcLink with an empty file name.
cms::Content cab_content(const crypto::Digest& cabinet_digest);

}  // namespace formats
