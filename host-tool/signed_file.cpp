#include "host-tool/signed_file.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"
#include "crypto/cms/signature_edit.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/formats/authenticode.hpp"
#include "usb/files/safe_write.hpp"

namespace host_tool {

using base::Bytes;
using base::ByteView;
using base::Errc;
using base::fail;
using base::Result;
using crypto::DigestAlgorithm;
namespace oids = der::oids;

namespace {

// Digests of nothing but the flat file are wanted where a file is compared with a receipt.
class DigestSink final : public base::ByteSink {
 public:
  Result<void> write(ByteView bytes) override {
    hasher_.update(bytes);
    return {};
  }
  crypto::Digest finish() { return std::move(hasher_).finish(); }

 private:
  crypto::Hasher hasher_{DigestAlgorithm::sha256};
};

// ContentInfo starts with the OID of SignedData, whatever the length of the length before it.
Result<bool> looks_like_signed_data(const base::ByteSource& source) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(source.size(), 32));
  const Bytes start = TRY(base::read_region(source, 0, size, 32));
  const ByteView oid = oids::kSignedData.octets();
  return !start.empty() && start.front() == 0x30 &&
         std::search(start.begin(), start.end(), oid.begin(), oid.end()) != start.end();
}

}  // namespace

Result<bool> SignedFile::is_of_a_known_kind(const base::ByteSource& source) {
  const bool is_pe = TRY(formats::looks_like_pe(source));
  const bool is_cab = TRY(formats::looks_like_cab(source));
  const bool is_signed_data = TRY(looks_like_signed_data(source));
  return is_pe || is_cab || is_signed_data;
}

Result<SignedFile> SignedFile::open(const std::filesystem::path& file) {
  usb::FileSource source = TRY(usb::FileSource::open(file));
  auto own = std::make_unique<usb::FileSource>(std::move(source));
  SignedFile opened = TRY(of(*own, file));
  opened.own_source_ = std::move(own);
  return opened;
}

Result<SignedFile> SignedFile::of(const base::ByteSource& source, const std::filesystem::path& name) {
  SignedFile opened(source, name);
  TRY(base::within(base::printable(name.string()), opened.read_signatures()));
  return opened;
}

Result<void> SignedFile::read_signatures() {
  const bool is_pe = TRY(formats::looks_like_pe(*source_));
  const bool is_cab = TRY(formats::looks_like_cab(*source_));
  if (is_pe) {
    kind_ = Kind::pe;
    image_ = TRY(formats::PeImage::parse(*source_));
    const std::vector<formats::WinCertificate> table = TRY(image_->certificates(*source_));
    for (const formats::WinCertificate& entry : table) {
      if (entry.type == formats::WinCertificate::kPkcsSignedData)
        signatures_.push_back(entry.der);
      else
        other_entries_.push_back({entry.type, entry.der.size()});
    }
    return {};
  }
  if (is_cab) {
    kind_ = Kind::cabinet;
    cabinet_ = TRY(formats::CabFile::parse(*source_));
    if (!cabinet_->is_signed()) return {};
    const Bytes area = TRY(cabinet_->signature(*source_));
    const der::Element element = TRY(base::within("signature", der::Reader(area).expect_element(der::kSequence)));
    signatures_.push_back(base::to_bytes(element.whole));
    return {};
  }
  const bool is_signed_data = TRY(looks_like_signed_data(*source_));
  if (!is_signed_data) return fail(Errc::unsupported, "neither a PE image, a cabinet nor a catalog");
  kind_ = Kind::catalog;
  Bytes der = TRY(base::read_all(*source_, base::limits::kCatalogBytes));
  catalog_ = TRY(cms::SignedData::parse(der));
  if (!(catalog_->content_type() == oids::kCertificateTrustList))
    return fail(Errc::unsupported, "a SignedData over " + der::dotted(catalog_->content_type()) + ", which is no catalog");
  if (!catalog_->signers().empty()) signatures_.push_back(std::move(der));
  return {};
}

Result<const Bytes*> SignedFile::first_signature() const {
  if (signatures_.empty()) return fail(Errc::refused, base::printable(path_.string()) + ": there is no signature");
  return &signatures_.front();
}

Result<crypto::Digest> SignedFile::signed_digest(DigestAlgorithm algorithm) const {
  if (catalog_) return crypto::digest_of(algorithm, catalog_->content_der());
  if (cabinet_) return cabinet_->digest(*source_, algorithm);
  const DigestAlgorithm wanted[] = {algorithm};
  const formats::PeMeasurement measured = TRY(image_->measure(*source_, wanted));
  return measured.digest(algorithm);
}

Result<void> SignedFile::expect_signature_for(ByteView signed_data_der) const {
  const cms::SignedData data = TRY(cms::SignedData::parse(signed_data_der));
  if (data.signers().size() != 1) return fail(Errc::refused, fmt::format("{} signers, one is wanted in a signature", data.signers().size()));
  if (catalog_) {
    if (!std::ranges::equal(data.content_der(), catalog_->content_der()))
      return fail(Errc::mismatch, "signature is over another list than this catalog's");
    return {};
  }
  const formats::IndirectData content = TRY(formats::IndirectData::parse(data.content_der()));
  const crypto::Digest actual = TRY(signed_digest(content.digest.algorithm()));
  if (actual != content.digest)
    return fail(Errc::mismatch,
                fmt::format("signature is for digest {}, the file has {}", content.digest.hex(), actual.hex()));
  return {};
}

Result<crypto::Digest> SignedFile::write_with(const std::vector<Bytes>& signatures, base::ByteSink& out) const {
  const bool is_efi = image_ && image_->subsystem() >= 10 && image_->subsystem() <= 13;
  if (signatures.size() > 1 && signatures.size() > signatures_.size() && !is_efi)
    return fail(Errc::refused, fmt::format("{} signatures side by side; only EFI images hold more than one",
                                           signatures.size()));
  if (!other_entries_.empty() && !signatures.empty())
    return fail(Errc::refused, fmt::format("the certificate table has an entry of type {:#06x}, which would be lost",
                                           other_entries_.front().type));
  if (catalog_) {
    Bytes whole = signatures.empty() ? TRY(cms::without_signer({oids::kCertificateTrustList, base::to_bytes(catalog_->content_der())})) : signatures.front();
    TRY(out.write(whole));
    return signed_digest(DigestAlgorithm::sha256);
  }
  if (cabinet_) {
    TRY(signatures.empty() ? cabinet_->write_unsigned(*source_, out) : cabinet_->write_signed(*source_, signatures.front(), out));
    return signed_digest(DigestAlgorithm::sha256);
  }
  constexpr DigestAlgorithm kWanted[] = {DigestAlgorithm::sha256};
  const formats::PeMeasurement measured = TRY(image_->measure(*source_, kWanted));
  TRY(formats::write_with_table(*source_, *image_, measured, signatures, out));
  return measured.digest(DigestAlgorithm::sha256);
}

Result<void> SignedFile::replace(const std::filesystem::path& out, const std::vector<Bytes>& signatures) const {
  TRY(usb::expect_file_or_nothing(out));
  const std::filesystem::path beside = out.string() + ".coldseal-new";
  struct Removed {   // whatever goes wrong
    const std::filesystem::path& file;
    ~Removed() {
      std::error_code ignored;
      std::filesystem::remove(file, ignored);
    }
  } const removed{beside};
  usb::FileWriter writer = TRY(usb::FileWriter::create(beside));
  const crypto::Digest before = TRY(base::within(base::printable(out.string()), write_with(signatures, writer)));
  TRY(writer.commit());
  const SignedFile written = TRY(open(beside));
  const crypto::Digest after = TRY(written.signed_digest(DigestAlgorithm::sha256));
  if (after != before || written.signatures() != signatures)
    return fail(Errc::mismatch, fmt::format("{}: what was written is not what was there with other signatures; "
                                            "something else writes to the file", base::printable(path_.string())));
  std::error_code error;
  const std::filesystem::file_status there = std::filesystem::status(std::filesystem::exists(out, error) ? out : path_, error);
  if (!error) std::filesystem::permissions(beside, there.permissions(), error);
  return usb::rename_durably(beside, out, usb::IfThere::replace);
}

Result<crypto::Digest> SignedFile::digest_without_timestamps() const {
  std::vector<Bytes> plain;
  for (const Bytes& signature : signatures_) {
    Bytes without = TRY(cms::with_every_signature(
        signature, [](ByteView der, const std::string&) { return cms::without_timestamp(der); }));
    plain.push_back(std::move(without));
  }
  DigestSink sink;
  TRY(write_with(plain, sink));
  return sink.finish();
}

}  // namespace host_tool
