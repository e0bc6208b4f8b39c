#include "crypto/cms/signature_edit.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/der/writer.hpp"

namespace cms {
namespace {

using base::Errc;
using base::fail;
namespace oids = der::oids;

Result<SignedData> with_one_signer(ByteView signed_data_der) {
  SignedData data = TRY(SignedData::parse(signed_data_der));
  if (data.signers().size() != 1)
    return fail(Errc::malformed, fmt::format("{} signers, one wanted", data.signers().size()));
  return data;
}

Bytes encoded(const Attribute& attribute) {
  return der::sequence({der::element(der::kOid, attribute.type), der::set_of(attribute.values)});
}

// All elements before the last one of a constructed element's content, and that last one.
struct BeforeAndLast {
  ByteView before;
  der::Element last;
};
Result<BeforeAndLast> before_and_last(ByteView content) {
  der::Reader in(content);
  std::size_t size = 0;
  der::Element last;
  while (!in.at_end()) {
    size += last.whole.size();
    last = TRY(in.expect_element());
  }
  return BeforeAndLast{content.first(size), last};
}

void set(std::vector<Attribute>& attributes, const der::Oid& type, std::vector<Bytes> values) {
  std::erase_if(attributes, [&](const Attribute& attribute) { return attribute.type == type; });
  if (!values.empty()) attributes.push_back({base::to_bytes(type.octets()), std::move(values)});
}

}  // namespace

Result<Bytes> with_unsigned_attributes(ByteView signed_data_der, const std::vector<Attribute>& attributes) {
  const SignedData before = TRY(with_one_signer(signed_data_der));
  // ContentInfo { type, [0] SignedData { ..., signerInfos SET { SignerInfo { ..., [1] unsigned attributes } } } }.
  // SignedData::parse has checked every level; what stands before the last element of each keeps its bytes.
  const der::Element content_info = TRY(der::expect_single(signed_data_der, der::kSequence));
  const BeforeAndLast explicit_tag = TRY(before_and_last(content_info.value));
  const der::Element signed_data = TRY(der::expect_single(explicit_tag.last.value, der::kSequence));
  const BeforeAndLast signers = TRY(before_and_last(signed_data.value));
  const der::Element signer = TRY(der::expect_single(signers.last.value, der::kSequence));
  const BeforeAndLast fields = TRY(before_and_last(signer.value));
  Bytes signer_info = base::to_bytes(fields.last.tag == der::context(1) ? fields.before : signer.value);
  if (!attributes.empty()) {
    std::vector<Bytes> elements;
    for (const Attribute& attribute : attributes) elements.push_back(encoded(attribute));
    base::append(signer_info, der::set_of(der::context(1), std::move(elements)));
  }
  const Bytes signer_set = der::element(der::kSet, der::element(der::kSequence, signer_info));
  const Bytes inner = der::element(der::kSequence, der::concat({signers.before, signer_set}));
  Bytes edited = der::sequence({explicit_tag.before, der::element(der::context(0), inner)});

  const SignedData after = TRY(with_one_signer(edited));
  const SignerInfo& was = before.signers().front();
  const SignerInfo& is = after.signers().front();
  base::require(std::ranges::equal(before.content_der(), after.content_der()) &&
                    was.signed_attributes_der == is.signed_attributes_der && was.signature == is.signature &&
                    before.certificates() == after.certificates(),
                "editing unsigned attributes changed what was signed");
  return edited;
}

Result<std::vector<Bytes>> nested_signatures(ByteView signed_data_der) {
  const SignedData data = TRY(with_one_signer(signed_data_der));
  const Attribute* const nested = data.signers().front().unsigned_attribute(oids::kSpcNestedSignature);
  if (nested == nullptr) return std::vector<Bytes>();
  if (nested->values.size() > base::limits::kNestedSignatures)
    return fail(Errc::too_large, fmt::format("{} nested signatures, at most {}", nested->values.size(),
                                             base::limits::kNestedSignatures));
  return nested->values;
}

Result<Bytes> with_nested_signatures(ByteView signed_data_der, const std::vector<Bytes>& nested) {
  if (nested.size() > base::limits::kNestedSignatures)
    return fail(Errc::too_large,
                fmt::format("{} nested signatures, at most {}", nested.size(), base::limits::kNestedSignatures));
  for (const Bytes& each : nested) TRY(base::within("nested signature", with_one_signer(each)));
  const SignedData data = TRY(with_one_signer(signed_data_der));
  std::vector<Attribute> attributes = data.signers().front().unsigned_attributes;
  set(attributes, oids::kSpcNestedSignature, nested);
  return with_unsigned_attributes(signed_data_der, attributes);
}

Result<Bytes> with_timestamp(ByteView signed_data_der, ByteView token) {
  const SignedData data = TRY(with_one_signer(signed_data_der));
  std::vector<Attribute> attributes = data.signers().front().unsigned_attributes;
  set(attributes, oids::kCounterSignature, {});
  set(attributes, oids::kSpcRfc3161Timestamp, {base::to_bytes(token)});
  return with_unsigned_attributes(signed_data_der, attributes);
}

Result<Bytes> without_timestamp(ByteView signed_data_der) {
  const SignedData data = TRY(with_one_signer(signed_data_der));
  std::vector<Attribute> attributes = data.signers().front().unsigned_attributes;
  set(attributes, oids::kCounterSignature, {});
  set(attributes, oids::kSpcRfc3161Timestamp, {});
  if (attributes.size() == data.signers().front().unsigned_attributes.size()) return base::to_bytes(signed_data_der);
  return with_unsigned_attributes(signed_data_der, attributes);
}

namespace {

Result<Bytes> edited_tree(ByteView der, const std::string& place, std::size_t depth, const Edit& edit) {
  if (depth > base::limits::kNestingDepth)
    return fail(Errc::too_large, fmt::format("signatures are nested more than {} deep", base::limits::kNestingDepth));
  const std::vector<Bytes> nested = TRY(nested_signatures(der));
  std::vector<Bytes> changed;
  for (std::size_t i = 0; i < nested.size(); ++i) {
    const std::string inner = place.empty() ? fmt::format("{}", i + 1) : fmt::format("{}.{}", place, i + 1);
    Bytes edited = TRY(edited_tree(nested[i], inner, depth + 1, edit));
    changed.push_back(std::move(edited));
  }
  const std::string slot = place.empty() ? "primary" : "nested " + place;
  if (changed == nested) return edit(der, slot);   // a tree that is not touched keeps its order, DER or not
  const Bytes with_nested = TRY(with_nested_signatures(der, changed));
  return edit(with_nested, slot);
}

}  // namespace

Result<Bytes> with_every_signature(ByteView signed_data_der, const Edit& edit) {
  return edited_tree(signed_data_der, {}, 0, edit);
}

}  // namespace cms
