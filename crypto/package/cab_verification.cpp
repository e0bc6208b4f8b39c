// The verdict on a signed cabinet.
#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/cms/signature_edit.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/cab_file.hpp"
#include "crypto/package/signature_verdict.hpp"

namespace package {
namespace {

namespace oids = der::oids;

void judge_one(base::ByteView der, const base::ByteSource& file, const formats::CabFile& cab, const Trust& trust,
               const Findings& report) {
  const auto data = cms::SignedData::parse(der);
  if (!data) return report.error("signature.malformed", data.error().text(), std::string(kGetAnother));
  ++report.verdict().signatures;
  const auto content = formats::IndirectData::parse(data->content_der());
  if (!(data->content_type() == oids::kSpcIndirectData) || !content)
    return report.error("signature.malformed", "signature is not over the digest of a file", std::string(kSignAgain));
  // Some signers say SpcPeImageData here; Windows takes both.
  if (!(content->type == oids::kSpcLink) && !(content->type == oids::kSpcPeImageData))
    return report.error("signature.malformed", "signature is over data of type " + der::dotted(content->type) + ", not over a cabinet",
                        std::string(kSignAgain));
  const auto actual = cab.digest(file, content->digest.algorithm());
  if (!actual) return report.error("cab.not-readable", actual.error().text(), "read the file from another medium");
  if (report.is_primary()) report.verdict().file_digest = *actual;
  if (*actual != content->digest)
    report.error("cab.digest-mismatch",
                 fmt::format("signature is for digest {}, the cabinet has {}", content->digest.hex(), actual->hex()),
                 std::string(kGetAnother));
  judge_signature(*data, trust, report);
}

}  // namespace

Verdict verify_cab(const base::ByteSource& file, const std::vector<crypto::Certificate>& roots, base::Time time) {
  Verdict verdict;
  const Findings report(verdict);
  const auto cab = formats::CabFile::parse(file);
  if (!cab) {
    report.error("cab.not-readable", cab.error().text(), "make the cabinet again, as a single one");
    return verdict;
  }
  if (!cab->is_signed()) {
    report.error("cab.not-signed", "the cabinet has no signature", "sign it");
    return verdict;
  }
  const auto area = cab->signature(file);
  if (!area) {
    report.error("cab.not-readable", area.error().text(), std::string(kGetAnother));
    return verdict;
  }
  der::Reader in(*area);
  const auto element = in.expect_element(der::kSequence);
  if (!element) {
    report.error("signature.malformed", element.error().text(), std::string(kGetAnother));
    return verdict;
  }
  const base::ByteView slack = in.rest();
  if (slack.size() > 7 || std::any_of(slack.begin(), slack.end(), [](std::uint8_t octet) { return octet != 0; }))
    report.error("cab.stuffed", fmt::format("{} bytes after the signature; up to 7 zero bytes are padding", slack.size()),
                 "remove the hidden data, or sign the cabinet again");
  const Trust trust{roots, time};
  judge_one(element->whole, file, *cab, trust, report);
  const auto nested = cms::nested_signatures(element->whole);
  if (!nested) {
    report.error("signature.nested", nested.error().text(), std::string(kSignAgain));
    return verdict;
  }
  for (std::size_t i = 0; i < nested->size(); ++i)
    judge_one((*nested)[i], file, *cab, trust, Findings(verdict, fmt::format("nested signature {}", i + 1)));
  return verdict;
}

}  // namespace package
