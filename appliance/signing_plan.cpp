#include "appliance/signing_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "crypto/base/limits.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/formats/catalog.hpp"
#include "crypto/package/catalog_content.hpp"
#include "usb/files/file_source.hpp"
#include "usb/files/safe_write.hpp"
#include "usb/wire/package_path.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;
using crypto::DigestAlgorithm;
using transparency::OutputOperation;

namespace {

struct MeasuredFile {
  formats::MemberDigests digests;
  std::optional<formats::PeImage> image;   // of a PE
  std::optional<formats::PeMeasurement> measurement;
};

// Digests of one file as it lies in the spool now, held against the manifest.
Result<MeasuredFile> measure(const SpooledRequest& spooled, const wire::FileEntry& entry) {
  const usb::FileSource source = TRY(usb::FileSource::open(spooled.file(entry.path)));
  const crypto::Digest flat = TRY(crypto::digest_of(DigestAlgorithm::sha256, source));
  if (source.size() != entry.size || flat != entry.sha256)
    return fail(Errc::mismatch, "the spooled file is not what the manifest says");
  const bool is_pe = TRY(formats::looks_like_pe(source));
  if (!is_pe) {
    const formats::MemberDigests digests = TRY(formats::member_digests(source));
    return MeasuredFile{digests, {}, {}};
  }
  formats::PeImage image = TRY(formats::PeImage::parse(source));
  constexpr DigestAlgorithm kBoth[] = {DigestAlgorithm::sha1, DigestAlgorithm::sha256};
  formats::PeMeasurement measurement = TRY(image.measure(source, kBoth));
  const formats::MemberDigests digests{formats::MemberKind::pe, measurement.digest(DigestAlgorithm::sha1),
                                       measurement.digest(DigestAlgorithm::sha256), {}};
  return MeasuredFile{digests, std::move(image), std::move(measurement)};
}

// Of the inspector's plan only strings go in, held against the request: catalog_content() refuses OSes that were not asked for.
// A plan that leaves files out, or names others, shows in the members that officers see.
Result<base::Bytes> encode_catalog(const package::PlannedCatalog& planned, const SpooledRequest& spooled,
                                   const std::map<std::string, MeasuredFile>& measured) {
  const wire::Request& request = spooled.request;
  const auto digests_of = [&](const std::string& path, formats::MemberPageHashes wanted) -> Result<formats::MemberDigests> {
    const auto file = measured.find(path);
    if (file == measured.end()) return fail(Errc::refused, "the member is not a file of the request");
    if (wanted == formats::MemberPageHashes::none || !file->second.image) return file->second.digests;
    const usb::FileSource source = TRY(usb::FileSource::open(spooled.file(path)));
    const formats::MemberDigests with_pages = TRY(formats::member_digests(source, wanted));
    if (with_pages.sha256 != file->second.digests.sha256) return fail(Errc::mismatch, "the file changed while it was read");
    return with_pages;
  };
  const std::vector<const package::OsTarget*> targets = TRY(package::os_targets_from_names(request.os_targets));
  formats::CatalogContent content = TRY(package::catalog_content(planned, targets, digests_of));
  content.list_identifier = request.list_identifier(planned.path);
  content.this_update = request.created;
  return formats::encode_ctl(content);
}

bool has(const std::vector<wire::Operation>& operations, wire::Operation wanted) {
  return std::find(operations.begin(), operations.end(), wanted) != operations.end();
}

// Where a catalog may go: a path of the package that is free, or holds the catalog that is made anew.
Result<void> expect_catalog_path(const std::string& path, const wire::Request& request) {
  TRY(wire::expect_package_path(path));
  if (!path.ends_with(".cat")) return fail(Errc::refused, "a catalog's name ends in .cat");
  std::vector<std::string> paths{path};
  for (const wire::FileEntry& file : request.files)
    if (!base::equal_ignoring_case(file.path, path)) paths.push_back(file.path);
  return wire::expect_distinct_paths(paths);
}

}  // namespace

Result<SigningPlan> SigningPlan::make(const SpooledRequest& spooled, const package::Inspection& inspection,
                                      const KeyClass& key_class, const crypto::SigningIdentity& identity,
                                      const crypto::Digest& profile) {
  const wire::Request& request = spooled.request;
  std::map<std::string, MeasuredFile> measured;
  for (const wire::FileEntry& entry : request.files)
    measured.emplace(entry.path, TRY(base::within(entry.path, measure(spooled, entry))));

  SigningPlan plan;
  plan.set_.key_name = key_class.key_name;
  plan.set_.profile_sha256 = profile;
  const auto add = [&](Item item) {
    plan.set_.items.push_back({item.path, std::string(transparency::kPrimarySlot), item.data.to_be_signed()});
    plan.items_.push_back(std::move(item));
  };

  std::vector<const package::PlannedCatalog*> catalogs;
  if (has(request.operations, wire::Operation::catalog))
    for (const package::PlannedCatalog& planned : inspection.catalogs) catalogs.push_back(&planned);
  std::sort(catalogs.begin(), catalogs.end(), [](const auto* a, const auto* b) { return a->path < b->path; });

  for (const wire::FileEntry& entry : request.files) {
    const bool is_replaced = std::any_of(catalogs.begin(), catalogs.end(), [&](const auto* planned) {
      return base::equal_ignoring_case(planned->path, entry.path);
    });
    if (is_replaced) continue;
    MeasuredFile& file = measured.at(entry.path);
    const bool is_signed = file.image && file.image->is_signed();
    if (!file.image || is_signed || !has(request.operations, wire::Operation::embed)) {
      plan.copied_.push_back(
          {entry.path, is_signed ? OutputOperation::already_signed : OutputOperation::unchanged, entry.sha256});
      continue;
    }
    cms::UnsignedData data = TRY(base::within(
        entry.path, cms::UnsignedData::prepare(formats::pe_content(file.digests.sha256), {}, identity)));
    add({entry.path, std::move(data), file.image, file.measurement});
  }

  for (const package::PlannedCatalog* planned : catalogs) {
    TRY(base::within(base::printable(planned->path), expect_catalog_path(planned->path, request)));
    base::Bytes list = TRY(base::within(planned->path, encode_catalog(*planned, spooled, measured)));
    cms::UnsignedData data = TRY(base::within(
        planned->path, cms::UnsignedData::prepare({der::oids::kCertificateTrustList, std::move(list)}, {}, identity)));
    add({planned->path, std::move(data), {}, {}});
  }
  if (plan.items_.empty()) return fail(Errc::refused, "there is nothing to sign: every PE file is signed already, and no catalog was asked for");
  if (plan.items_.size() > base::limits::kSigningSet)
    return fail(Errc::too_large, fmt::format("{} signatures in one request, at most {}: split it, or sign the catalog only",
                                             plan.items_.size(), base::limits::kSigningSet));
  return plan;
}

std::vector<crypto::Digest> SigningPlan::digests() const {
  std::vector<crypto::Digest> digests;
  for (const transparency::SigningItem& item : set_.items) digests.push_back(item.digest);
  return digests;
}

Result<std::vector<transparency::OutputFile>> SigningPlan::carry_out(
    const SpooledRequest& spooled, const std::filesystem::path& folder,
    const std::function<Result<base::Bytes>(const crypto::Digest&)>& sign) const {
  std::vector<transparency::OutputFile> outputs;
  for (const Item& item : items_) {
    const base::Bytes signature = TRY(base::within(item.path, sign(item.data.to_be_signed())));
    const base::Bytes signed_data = TRY(base::within(item.path, item.data.with_signature(signature)));
    const std::filesystem::path to = folder / item.path;
    TRY(usb::make_folders(to.parent_path()));
    if (!item.image) {
      const crypto::Digest written = TRY(usb::write_file(to, signed_data));
      outputs.push_back({item.path, written, OutputOperation::catalog_signed});
      continue;
    }
    const usb::FileSource source = TRY(usb::FileSource::open(spooled.file(item.path)));
    usb::FileWriter writer = TRY(usb::FileWriter::create(to));
    TRY(base::within(item.path, formats::write_signed(source, *item.image, *item.measurement, signed_data, writer)));
    const crypto::Digest written = TRY(writer.commit());
    outputs.push_back({item.path, written, OutputOperation::embedded});
  }
  for (const Copied& copied : copied_) {
    const usb::FileSource source = TRY(usb::FileSource::open(spooled.file(copied.path)));
    const std::filesystem::path to = folder / copied.path;
    TRY(usb::make_folders(to.parent_path()));
    const crypto::Digest written = TRY(usb::copy_file(source, to));
    if (written != copied.sha256) return fail(Errc::mismatch, fmt::format("{}: changed while it was copied", copied.path));
    outputs.push_back({copied.path, written, copied.operation});
  }
  std::sort(outputs.begin(), outputs.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return outputs;
}

}  // namespace appliance
