#include "appliance/embedding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "crypto/cms/signature_edit.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/formats/authenticode.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Bytes;
using base::ByteView;
using base::Errc;
using base::fail;
using base::Result;
using crypto::DigestAlgorithm;
using transparency::OutputOperation;

namespace {

constexpr DigestAlgorithm kSha256[] = {DigestAlgorithm::sha256};

Result<Bytes> cabinet_signature(const formats::CabFile& cabinet, const usb::FileSource& source) {
  const Bytes area = TRY(cabinet.signature(source));
  der::Reader in(area);
  const der::Element element = TRY(base::within("signature", in.expect_element(der::kSequence)));
  return base::to_bytes(element.whole);
}

}  // namespace

EmbedRules EmbedRules::of(const std::vector<wire::Operation>& operations, crypto::Sha1 sha1) {
  const auto has = [&](wire::Operation wanted) { return std::find(operations.begin(), operations.end(), wanted) != operations.end(); };
  return {has(wire::Operation::embed), has(wire::Operation::cabinet), has(wire::Operation::append), has(wire::Operation::page_hashes), sha1};
}

Result<Embedding::Found> Embedding::find(const std::filesystem::path& file, const std::optional<formats::PeImage>& image,
                                         const std::optional<formats::PeMeasurement>& measurement, const EmbedRules& rules) {
  const usb::FileSource source = TRY(usb::FileSource::open(file));
  if (!image) return find_cabinet(source, rules);
  const bool is_signed = image->is_signed();
  if (is_signed ? !rules.append : !rules.images) return Found{is_signed, std::nullopt};
  formats::PeMeasurement measured = *measurement;
  cms::Content content = formats::pe_content(measured.digest(DigestAlgorithm::sha256));
  if (rules.page_hashes) {
    TRY(base::within("page hashes", image->page_layout()));
    constexpr auto kV2 = formats::PageHashVersion::v2;
    content = formats::pe_content(measured.digest(DigestAlgorithm::sha256), {kV2, measured.page_hashes(kV2)});
  }
  Embedding embedding(std::move(content));
  if (is_signed) {
    const std::vector<formats::WinCertificate> table = TRY(image->certificates(source));
    if (table.size() != 1 || table.front().type != formats::WinCertificate::kPkcsSignedData)
      return fail(Errc::refused, fmt::format("{} entries in the certificate table; one signature wanted, to nest another in it",
                                             table.size()));
    embedding.first_signature_ = table.front().der;
    TRY(base::within("the signature that is there", cms::nested_signatures(embedding.first_signature_)));
  }
  if (!is_signed && rules.sha1 == crypto::Sha1::for_old_windows)
    embedding.sha1_content_ = formats::pe_content(measured.digest(DigestAlgorithm::sha1));
  embedding.digest_ = measured.digest(DigestAlgorithm::sha256);
  embedding.image_ = *image;
  embedding.measurement_ = std::move(measured);
  return Found{is_signed, std::move(embedding)};
}

Result<Embedding::Found> Embedding::find_cabinet(const usb::FileSource& source, const EmbedRules& rules) {
  const bool is_cabinet = TRY(formats::looks_like_cab(source));
  if (!is_cabinet) return Found{};
  const Result<formats::CabFile> cabinet = formats::CabFile::parse(source);
  if (!cabinet && !rules.cabinets) return Found{};   // whatever it is, nobody asked for a signature in it
  if (!cabinet) return tl::unexpected<base::Error>(cabinet.error());
  const bool is_signed = cabinet->is_signed();
  if (is_signed ? !rules.append : !rules.cabinets) return Found{is_signed, std::nullopt};
  const crypto::Digest digest = TRY(cabinet->digest(source, DigestAlgorithm::sha256));
  Embedding embedding(formats::cab_content(digest));
  embedding.digest_ = digest;
  if (is_signed) {
    embedding.first_signature_ = TRY(cabinet_signature(*cabinet, source));
    TRY(base::within("the signature that is there", cms::nested_signatures(embedding.first_signature_)));
  } else if (rules.sha1 == crypto::Sha1::for_old_windows) {
    const crypto::Digest sha1 = TRY(cabinet->digest(source, DigestAlgorithm::sha1));
    embedding.sha1_content_ = formats::cab_content(sha1);
  }
  embedding.cabinet_ = *cabinet;
  return Found{is_signed, std::move(embedding)};
}

std::string_view Embedding::slot() const { return first_signature_.empty() && !sha1_content_ ? transparency::kPrimarySlot : transparency::kNestedSlot; }

OutputOperation Embedding::operation() const {
  if (!first_signature_.empty()) return OutputOperation::appended;
  return is_cabinet() ? OutputOperation::cabinet_signed : OutputOperation::embedded;
}

Result<crypto::Digest> Embedding::write(const std::filesystem::path& from, ByteView signed_data, const std::filesystem::path& to) const {
  Bytes signature = base::to_bytes(signed_data);
  if (!first_signature_.empty()) {
    std::vector<Bytes> nested = TRY(cms::nested_signatures(first_signature_));
    nested.push_back(std::move(signature));
    signature = TRY(cms::with_nested_signatures(first_signature_, nested));
  }
  const usb::FileSource source = TRY(usb::FileSource::open(from));
  usb::FileWriter writer = TRY(usb::FileWriter::create(to));
  if (is_cabinet()) {
    TRY(cabinet_->write_signed(source, signature, writer));
  } else {
    TRY(formats::write_signed(source, *image_, *measurement_, signature, writer));
  }
  const crypto::Digest written = TRY(writer.commit());
  TRY(expect_approved(to));
  return written;
}

// The signature is over the file as it was measured before the approval; the spool may have changed since.
Result<void> Embedding::expect_approved(const std::filesystem::path& written) const {
  const usb::FileSource source = TRY(usb::FileSource::open(written));
  std::optional<crypto::Digest> there;
  if (is_cabinet()) {
    const formats::CabFile cabinet = TRY(formats::CabFile::parse(source));
    there = TRY(cabinet.digest(source, DigestAlgorithm::sha256));
  } else {
    const formats::PeImage image = TRY(formats::PeImage::parse(source));
    const formats::PeMeasurement measured = TRY(image.measure(source, kSha256));
    there = measured.digest(DigestAlgorithm::sha256);
  }
  if (*there != *digest_) return fail(Errc::mismatch, "the spooled file was changed after it was approved");
  return {};
}

}  // namespace appliance
