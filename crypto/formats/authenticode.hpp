// SpcIndirectDataContent: the content of an Authenticode signature, a digest and what kind of file it is of. Also the
// building block of catalog members. Written byte for byte as SignTool does; read in every form Windows accepts.
// Source: "Windows Authenticode Portable Executable Signature Format" (2008), and genuine signatures where they differ.
#pragma once

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/cms/signed_data.hpp"
#include "crypto/der/oids.hpp"
#include "crypto/digest.hpp"

namespace formats {

using base::Bytes;
using base::ByteView;
using base::Result;

// SEQUENCE { SEQUENCE { type, value }, DigestInfo }. value: one DER element.
Bytes spc_indirect_data(const der::Oid& type, ByteView value, const crypto::Digest& digest);

// The content to sign for a PE image with that Authenticode digest: SpcPeImageData without flags and with an empty
// file name, as in SignTool's own signatures.
cms::Content pe_content(const crypto::Digest& authenticode_digest);

struct IndirectData {
  static Result<IndirectData> parse(ByteView der);  // Errc::malformed unless the digest has its algorithm's size
  Bytes type;   // content octets of the OID: oids::kSpcPeImageData, oids::kSpcLink, oids::kSpcSipInfo
  Bytes value;  // whole element; empty when absent
  crypto::Digest digest;
};

}  // namespace formats
