#include "crypto/formats/authenticode.hpp"

#include "crypto/der/reader.hpp"
#include "crypto/der/writer.hpp"

namespace formats {

Bytes spc_indirect_data(const der::Oid& type, ByteView value, const crypto::Digest& digest) {
  return der::sequence({der::sequence({der::oid(type), value}),
                        der::sequence({der::algorithm(digest.algorithm()), der::octet_string(digest.bytes())})});
}

cms::Content pe_content(const crypto::Digest& authenticode_digest) {
  // SpcPeImageData { flags {}, file [0] EXPLICIT SpcLink [2] EXPLICIT SpcString [0] IMPLICIT BMPString "" }:
  // 30 09 03 01 00 a0 04 a2 02 80 00 in genuine signatures; the specification's own "<<<Obsolete>>>" is in none of
  // them.
  const Bytes no_file_name = der::element(der::context(2), der::element(der::context_primitive(0), {}));
  const Bytes image_data = der::sequence({der::bit_string({}), der::element(der::context(0), no_file_name)});
  return {der::oids::kSpcIndirectData, spc_indirect_data(der::oids::kSpcPeImageData, image_data, authenticode_digest)};
}

Result<IndirectData> IndirectData::parse(ByteView der) {
  der::Reader outer(der);
  der::Reader in = TRY(outer.expect_inside(der::kSequence));
  TRY(outer.expect_end());
  der::Reader data = TRY(in.expect_inside(der::kSequence));
  const ByteView type = TRY(data.expect_any_oid());
  ByteView value;
  if (!data.at_end()) {
    const der::Element element = TRY(data.expect_element());
    value = element.whole;
  }
  TRY(data.expect_end());
  der::Reader digest_info = TRY(in.expect_inside(der::kSequence));
  TRY(in.expect_end());
  const crypto::DigestAlgorithm algorithm = TRY(digest_info.expect_digest_algorithm());
  const ByteView octets = TRY(digest_info.expect(der::kOctetString));
  TRY(digest_info.expect_end());
  const crypto::Digest digest = TRY(crypto::Digest::from_bytes(algorithm, octets));
  return IndirectData{base::to_bytes(type), base::to_bytes(value), digest};
}

}  // namespace formats
