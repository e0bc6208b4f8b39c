#include "crypto/formats/authenticode.hpp"

#include <algorithm>
#include <string>

#include "crypto/der/reader.hpp"
#include "crypto/der/writer.hpp"

namespace formats {

Bytes spc_indirect_data(const der::Oid& type, Bytes value, const crypto::Digest& digest) {
  Bytes data = der::sequence_around(der::oid(type), std::move(value));
  return der::sequence_around({}, std::move(data), der::sequence({der::algorithm(digest.algorithm()), der::octet_string(digest.bytes())}));
}

cms::Content pe_content(const crypto::Digest& authenticode_digest) {
  // SpcPeImageData { flags {}, file [0] EXPLICIT SpcLink [2] EXPLICIT SpcString [0] IMPLICIT BMPString "" }:
  // 30 09 03 01 00 a0 04 a2 02 80 00 in genuine signatures; the specification's own "<<<Obsolete>>>" is in none of
  // them.
  const Bytes no_file_name = der::element(der::context(2), der::element(der::context_primitive(0), ByteView()));
  const Bytes image_data = der::sequence({der::bit_string({}), der::element(der::context(0), no_file_name)});
  return {der::oids::kSpcIndirectData, spc_indirect_data(der::oids::kSpcPeImageData, image_data, authenticode_digest)};
}

namespace {

// SpcSerializedObject.classId, as stored.
constexpr std::uint8_t kPageHashClass[] = {0xa6, 0xb5, 0x86, 0xd5, 0xb4, 0xa1, 0x24, 0x66,
                                           0xae, 0x05, 0xa2, 0x17, 0xda, 0x8e, 0x60, 0xd6};

}  // namespace

// Both SETs are needed: Windows finds signatures without the outer one invalid.
Bytes page_hash_link(PageHashes pages) {
  const Bytes type =
      der::oid(pages.version == PageHashVersion::v1 ? der::oids::kSpcPageHashesV1 : der::oids::kSpcPageHashesV2);
  Bytes values = der::element(der::kSet, der::element(der::kOctetString, std::move(pages.table)));
  Bytes attribute = der::element(der::kSet, der::sequence_around(type, std::move(values)));
  Bytes object = der::element(der::kOctetString, std::move(attribute));
  const Bytes class_id = der::octet_string(kPageHashClass);
  object.insert(object.begin(), class_id.begin(), class_id.end());
  return der::element(der::context(1), std::move(object));
}

cms::Content pe_content(const crypto::Digest& authenticode_digest, PageHashes pages) {
  Bytes image_data = der::sequence_around(der::bit_string({}), der::element(der::context(0), page_hash_link(std::move(pages))));
  return {der::oids::kSpcIndirectData, spc_indirect_data(der::oids::kSpcPeImageData, std::move(image_data), authenticode_digest)};
}

Result<std::optional<PageHashes>> page_hashes_of(ByteView pe_image_data) {
  const der::Element outer = TRY(der::expect_single(pe_image_data, der::kSequence));
  der::Reader in(outer.value);
  TRY(in.match(der::kBitString));
  const auto file = TRY(in.match(der::context(0)));
  if (!file) return std::optional<PageHashes>();
  der::Reader link(file->value);
  const auto moniker = TRY(link.match(der::context(1)));
  if (!moniker) return std::optional<PageHashes>();
  der::Reader object(moniker->value);
  const ByteView class_id = TRY(object.expect(der::kOctetString));
  if (!std::ranges::equal(class_id, kPageHashClass)) return std::optional<PageHashes>();
  const ByteView data = TRY(object.expect(der::kOctetString));
  TRY(object.expect_end());
  const der::Element set = TRY(base::within("page hashes", der::expect_single(data, der::kSet)));
  der::Reader attribute = TRY(base::within("page hashes", der::Reader(set.value).expect_inside(der::kSequence)));
  const ByteView type = TRY(attribute.expect_any_oid());
  const bool is_v1 = type == der::oids::kSpcPageHashesV1;
  if (!is_v1 && !(type == der::oids::kSpcPageHashesV2))
    return base::fail(base::Errc::malformed, "page hashes of unknown type " + der::dotted(type));
  PageHashes pages{is_v1 ? PageHashVersion::v1 : PageHashVersion::v2, {}};
  const ByteView values = TRY(attribute.expect(der::kSet));
  TRY(attribute.expect_end());
  const der::Element table = TRY(base::within("page hashes", der::expect_single(values, der::kOctetString)));
  pages.table = base::to_bytes(table.value);
  const std::size_t entry = 4 + crypto::digest_size(page_hash_algorithm(pages.version));
  if (pages.table.size() < 2 * entry || pages.table.size() % entry != 0)
    return base::fail(base::Errc::malformed, "page hashes: table of " + std::to_string(pages.table.size()) +
                                                 " bytes, whole entries of " + std::to_string(entry) + " wanted");
  return std::optional<PageHashes>(std::move(pages));
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
