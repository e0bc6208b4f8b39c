// SpcIndirectDataContent: the content of an Authenticode signature, a digest and what kind of file it is of. Also the
// building block of catalog members. Written byte for byte as SignTool does; read in every form Windows accepts.
// Source: "Windows Authenticode Portable Executable Signature Format" (2008), and genuine signatures where they differ.
#pragma once

#include <optional>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/cms/signed_data.hpp"
#include "crypto/der/oids.hpp"
#include "crypto/digest.hpp"
#include "crypto/formats/page_hashes.hpp"

namespace formats {

using base::Bytes;
using base::ByteView;
using base::Result;

// SEQUENCE { SEQUENCE { type, value }, DigestInfo }. value: one DER element.
Bytes spc_indirect_data(const der::Oid& type, Bytes value, const crypto::Digest& digest);

// The content to sign for a PE image with that Authenticode digest: SpcPeImageData without flags and with an empty
// file name, as in SignTool's own signatures.
cms::Content pe_content(const crypto::Digest& authenticode_digest);

// Page hashes as a signature or a catalog member carries them.
struct PageHashes {
  PageHashVersion version{};
  Bytes table;   // see page_hashes.hpp
};

// The same with page hashes in place of the empty file name.
cms::Content pe_content(const crypto::Digest& authenticode_digest, PageHashes pages);

// SpcLink with the page hashes inside: SpcSerializedObject of class a6b586d5-b4a1-2466-ae05-a217da8e60d6.
Bytes page_hash_link(PageHashes pages);

// The page hashes in the value of an SpcIndirectData of a PE image (SpcPeImageData); nothing when it has none.
// Errc::malformed for a link of that class that cannot be read, or whose table is not a row of whole entries.
Result<std::optional<PageHashes>> page_hashes_of(ByteView pe_image_data);

struct IndirectData {
  static Result<IndirectData> parse(ByteView der);  // Errc::malformed unless the digest has its algorithm's size
  Bytes type;   // content octets of the OID: oids::kSpcPeImageData, oids::kSpcLink, oids::kSpcSipInfo
  Bytes value;  // whole element; empty when absent
  crypto::Digest digest;
};

}  // namespace formats
