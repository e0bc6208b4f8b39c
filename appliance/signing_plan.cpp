#include "appliance/signing_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "crypto/base/limits.hpp"
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
  std::optional<formats::MemberDigests> digests;   // of PE files and of catalogs' members
  std::optional<formats::PeImage> image;   // of a PE
  std::optional<formats::PeMeasurement> measurement;
};

// Digests of one file as it lies in the spool now, held against the manifest.
Result<MeasuredFile> measure(const SpooledRequest& spooled, const wire::FileEntry& entry, bool is_member) {
  const usb::FileSource source = TRY(usb::FileSource::open(spooled.file(entry.path)));
  const crypto::Digest flat = TRY(crypto::digest_of(DigestAlgorithm::sha256, source));
  if (source.size() != entry.size || flat != entry.sha256)
    return fail(Errc::mismatch, "the spooled file is not what the manifest says");
  const bool is_pe = TRY(formats::looks_like_pe(source));
  if (!is_pe) {
    MeasuredFile file;
    if (is_member) file.digests = TRY(formats::member_digests(source));
    return file;
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
    if (wanted == formats::MemberPageHashes::none || !file->second.image) return *file->second.digests;
    const usb::FileSource source = TRY(usb::FileSource::open(spooled.file(path)));
    const formats::MemberDigests with_pages = TRY(formats::member_digests(source, wanted));
    if (with_pages.sha256 != file->second.digests->sha256) return fail(Errc::mismatch, "the file changed while it was read");
    return with_pages;
  };
  const std::vector<const package::OsTarget*> targets = TRY(package::os_targets_from_names(request.os_targets));
  formats::CatalogContent content = TRY(package::catalog_content(planned, targets, digests_of));
  content.list_identifier = request.list_identifier(planned.path);
  content.this_update = request.created;
  if (content.members.empty()) return fail(Errc::refused, "the catalog would have no members");
  return formats::encode_ctl(content);
}

bool has(const std::vector<wire::Operation>& operations, wire::Operation wanted) {
  return std::find(operations.begin(), operations.end(), wanted) != operations.end();
}

using PlannedCatalogs = std::vector<const package::PlannedCatalog*>;

bool is_made_anew(const PlannedCatalogs& catalogs, const std::string& path) {
  return std::any_of(catalogs.begin(), catalogs.end(),
                     [&](const auto* planned) { return base::equal_ignoring_case(planned->path, path); });
}

// Where catalogs may go: paths of the package that are free, or hold the catalog that is made anew.
Result<void> expect_catalog_paths(const PlannedCatalogs& catalogs, const wire::Request& request) {
  std::vector<std::string> paths;
  for (const package::PlannedCatalog* const planned : catalogs) {
    if (!planned->path.ends_with(".cat"))
      return fail(Errc::refused, fmt::format("{}: a catalog's name ends in .cat", base::printable(planned->path)));
    paths.push_back(planned->path);
  }
  for (const wire::FileEntry& file : request.files)
    if (!is_made_anew(catalogs, file.path)) paths.push_back(file.path);
  return wire::expect_distinct_paths(paths);
}

}  // namespace

Result<SigningPlan> SigningPlan::make(const SpooledRequest& spooled, const package::Inspection& inspection,
                                      const KeyClass& key_class, const crypto::SigningIdentity& identity,
                                      const crypto::Digest& profile, const cms::SignedAttributes& attributes) {
  const wire::Request& request = spooled.request;
  PlannedCatalogs catalogs;
  if (has(request.operations, wire::Operation::catalog))
    for (const package::PlannedCatalog& planned : inspection.catalogs) catalogs.push_back(&planned);
  std::sort(catalogs.begin(), catalogs.end(), [](const auto* a, const auto* b) { return a->path < b->path; });

  std::set<std::string> members;
  for (const package::PlannedCatalog* const planned : catalogs)
    for (const package::PlannedMember& member : planned->members) members.insert(member.path);
  std::map<std::string, MeasuredFile> measured;
  for (const wire::FileEntry& entry : request.files) {
    MeasuredFile file = TRY(base::within(entry.path, measure(spooled, entry, members.contains(entry.path))));
    measured.emplace(entry.path, std::move(file));
  }

  SigningPlan plan;
  plan.set_.key_name = key_class.key_name;
  plan.set_.profile_sha256 = profile;
  const auto add = [&](Item item) {
    plan.set_.items.push_back({item.path, std::string(item.embedding ? item.embedding->slot() : transparency::kPrimarySlot),
                               item.data.to_be_signed()});
    plan.items_.push_back(std::move(item));
  };

  const EmbedRules rules = EmbedRules::of(request.operations);
  for (const wire::FileEntry& entry : request.files) {
    if (is_made_anew(catalogs, entry.path)) continue;
    const MeasuredFile& file = measured.at(entry.path);
    Embedding::Found found = TRY(base::within(entry.path, Embedding::find(spooled.file(entry.path), file.image, file.measurement, rules)));
    if (!found.embedding) {
      plan.copied_.push_back(
          {entry.path, found.is_signed ? OutputOperation::already_signed : OutputOperation::unchanged, entry.sha256});
      continue;
    }
    // A PE file has the same digest with and without signatures, which a catalog's digest of a cabinet has not.
    if (found.embedding->is_cabinet() && members.contains(entry.path))
      return fail(Errc::refused, fmt::format("{}: a catalog of the same request lists this cabinet as it is; signing it would change it",
                                             entry.path));
    cms::UnsignedData data = TRY(base::within(
        entry.path, cms::UnsignedData::prepare(found.embedding->content(), attributes, identity)));
    add({entry.path, std::move(data), std::move(found.embedding)});
  }

  TRY(expect_catalog_paths(catalogs, request));
  for (const package::PlannedCatalog* planned : catalogs) {
    base::Bytes list = TRY(base::within(planned->path, encode_catalog(*planned, spooled, measured)));
    cms::UnsignedData data = TRY(base::within(
        planned->path, cms::UnsignedData::prepare({der::oids::kCertificateTrustList, std::move(list)}, attributes, identity)));
    add({planned->path, std::move(data), {}});
  }
  if (plan.items_.empty()) return fail(Errc::refused, "there is nothing to sign: every file that the operations are about is signed already, and no catalog was asked for");
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

Result<void> SigningPlan::write_item(const SpooledRequest& spooled, const Item& item, base::ByteView signed_data,
                                     const std::filesystem::path& to, std::vector<transparency::OutputFile>& outputs) {
  if (!item.embedding) {
    const crypto::Digest written = TRY(usb::write_file(to, signed_data));
    outputs.push_back({item.path, written, OutputOperation::catalog_signed});
    return {};
  }
  const crypto::Digest written = TRY(base::within(item.path, item.embedding->write(spooled.file(item.path), signed_data, to)));
  outputs.push_back({item.path, written, item.embedding->operation()});
  return {};
}

Result<void> SigningPlan::write_copy(const SpooledRequest& spooled, const Copied& copied, const std::filesystem::path& to,
                                     std::vector<transparency::OutputFile>& outputs) {
  const usb::FileSource source = TRY(usb::FileSource::open(spooled.file(copied.path)));
  const crypto::Digest written = TRY(usb::copy_file(source, to));
  if (written != copied.sha256) return fail(Errc::mismatch, fmt::format("{}: changed while it was copied", copied.path));
  outputs.push_back({copied.path, written, copied.operation});
  return {};
}

Result<std::vector<transparency::OutputFile>> SigningPlan::carry_out(
    const SpooledRequest& spooled, const std::filesystem::path& folder,
    const std::function<Result<base::Bytes>(const crypto::Digest&)>& sign) const {
  struct Write {
    const Item* item = nullptr;   // or
    const Copied* copied = nullptr;
    base::Bytes signed_data;
  };
  // By path: a file is written as "<path>.part" first, which must never be another file of the response that is there
  // already. In ascending order it comes later.
  std::map<std::string, Write> writes;
  for (const Item& item : items_) {
    const base::Bytes signature = TRY(base::within(item.path, sign(item.data.to_be_signed())));
    base::Bytes signed_data = TRY(base::within(item.path, item.data.with_signature(signature)));
    writes.emplace(item.path, Write{&item, nullptr, std::move(signed_data)});
  }
  for (const Copied& copied : copied_) writes.emplace(copied.path, Write{nullptr, &copied, {}});
  std::vector<transparency::OutputFile> outputs;
  for (const auto& [path, write] : writes) {
    const std::filesystem::path to = folder / path;
    TRY(usb::make_folders(to.parent_path()));
    if (write.item != nullptr) {
      TRY(write_item(spooled, *write.item, write.signed_data, to, outputs));
    } else {
      TRY(write_copy(spooled, *write.copied, to, outputs));
    }
  }
  return outputs;
}

}  // namespace appliance
