#include "tests/support/der_skeleton.hpp"

#include <fmt/format.h>

#include "crypto/base/text.hpp"
#include "crypto/der/reader.hpp"

namespace tests {
namespace {

// Paths of child numbers from the ContentInfo: 1.0 is the SignedData, 1.0.4.0 its first SignerInfo.
constexpr std::string_view kCertificates = "1.0.3";
constexpr std::string_view kIssuerAndSerial = "1.0.4.0.1";
constexpr std::string_view kUnsignedAttributes = "1.0.4.0.6";

void print_children(std::string& to, base::ByteView content, const std::string& path, std::size_t depth) {
  base::require(depth < 24, "DER too deep for a skeleton");
  der::Reader in(content);
  for (int child = 0; !in.at_end(); ++child) {
    const auto element = in.expect_element();
    base::require(element.has_value(), "not DER");
    const std::string here = path.empty() ? std::to_string(child) : fmt::format("{}.{}", path, child);
    if (here == kUnsignedAttributes) continue;
    to += fmt::format("{}{:02x}", std::string(depth * 2, ' '), element->tag);
    if (here == kCertificates) {
      to += " certificates\n";
    } else if (here == kIssuerAndSerial) {
      to += " issuerAndSerialNumber\n";
    } else if ((element->tag & 0x20U) != 0) {
      to += "\n";
      print_children(to, element->value, here, depth + 1);
    } else if (element->tag == der::kOid) {
      to += " " + der::dotted(element->value) + "\n";
    } else if (element->tag == der::kOctetString) {
      to += " ...\n";
    } else {
      to += (element->value.empty() ? "" : " " + base::hex(element->value)) + "\n";
    }
  }
}

}  // namespace

std::string signature_skeleton(base::ByteView signed_data) {
  const auto content_info = der::expect_single(signed_data, der::kSequence);
  base::require(content_info.has_value(), "not a ContentInfo");
  std::string text;
  print_children(text, content_info->value, "", 0);
  return text;
}

}  // namespace tests
