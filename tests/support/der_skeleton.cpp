#include "tests/support/der_skeleton.hpp"

#include <fmt/format.h>

#include "crypto/base/byte_source.hpp"
#include "crypto/base/text.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/formats/pe_image.hpp"
#include "tests/support/results.hpp"
#include "tests/support/temp_dir.hpp"

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

std::string pe_signature_skeleton(const std::filesystem::path& file) {
  const base::Bytes bytes = read_file(file);
  const base::MemorySource source(bytes);
  const formats::PeImage image = must(formats::PeImage::parse(source));
  return signature_skeleton(must(image.certificates(source)).front().der);
}

const std::string_view kSignToolSkeleton = R"(06 1.2.840.113549.1.7.2
a0
  30
    02 01
    31
      30
        06 2.16.840.1.101.3.4.2.1
        05
    30
      06 1.3.6.1.4.1.311.2.1.4
      a0
        30
          30
            06 1.3.6.1.4.1.311.2.1.15
            30
              03 00
              a0
                a2
                  80
          30
            30
              06 2.16.840.1.101.3.4.2.1
              05
            04 ...
    a0 certificates
    31
      30
        02 01
        30 issuerAndSerialNumber
        30
          06 2.16.840.1.101.3.4.2.1
          05
        a0
          30
            06 1.3.6.1.4.1.311.2.1.12
            31
              30
          30
            06 1.2.840.113549.1.9.3
            31
              06 1.3.6.1.4.1.311.2.1.4
          30
            06 1.3.6.1.4.1.311.2.1.11
            31
              30
                06 1.3.6.1.4.1.311.2.1.21
          30
            06 1.2.840.113549.1.9.4
            31
              04 ...
        30
          06 1.2.840.113549.1.1.1
          05
        04 ...
)";

}  // namespace tests
