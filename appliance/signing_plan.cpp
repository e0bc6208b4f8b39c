#include "appliance/signing_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "crypto/base/limits.hpp"
#include "crypto/cms/signature_edit.hpp"
#include "crypto/formats/catalog.hpp"
#include "crypto/package/catalog_content.hpp"
#include "crypto/package/delivered_catalog.hpp"
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
  crypto::Digest flat;
  std::optional<formats::MemberDigests> digests;   // of PE files and of catalogs' members
  std::optional<formats::PeImage> image;   // of a PE
  std::optional<formats::PeMeasurement> measurement;
};

enum class Membership : std::uint8_t { none, possible, planned };

// Every digest of one file as it lies in the spool now, from one read, held against the manifest. A file that no catalog can list, such as a signed
// cabinet, has none, which matters when it is planned as a member.
Result<MeasuredFile> measure(const SpooledRequest& spooled, const wire::FileEntry& entry, Membership membership, bool with_page_hashes) {
  const usb::FileSource source = TRY(usb::FileSource::open(spooled.file(entry.path)));
  const auto expect_manifest = [&](const crypto::Digest& flat) -> Result<void> {
    if (source.size() == entry.size && flat == entry.sha256) return {};
    return fail(Errc::mismatch, "the spooled file is not what the manifest says");
  };
  const bool is_pe = TRY(formats::looks_like_pe(source));
  if (is_pe) {
    formats::PeImage image = TRY(formats::PeImage::parse(source));
    constexpr DigestAlgorithm kBoth[] = {DigestAlgorithm::sha1, DigestAlgorithm::sha256};
    // An image without defined page hashes is refused by whoever wants them, with the reason.
    const bool finds_pages = with_page_hashes && image.page_layout().has_value();
    formats::PeMeasurement measurement = TRY(image.measure(source, formats::PeMeasuring{.algorithms = kBoth, .page_hashes_v2 = finds_pages, .flat = true}));
    TRY(expect_manifest(measurement.flat()));
    formats::MemberDigests digests{formats::MemberKind::pe, measurement.digest(DigestAlgorithm::sha1), measurement.digest(DigestAlgorithm::sha256), {}};
    return MeasuredFile{measurement.flat(), std::move(digests), std::move(image), std::move(measurement)};
  }
  if (membership != Membership::none) {
    Result<formats::MemberDigests> digests = formats::member_digests(source);
    if (digests) {
      TRY(expect_manifest(*digests->flat));
      return MeasuredFile{*digests->flat, *digests, {}, {}};
    }
    const bool is_no_member = digests.error().code() == Errc::unsupported && membership == Membership::possible;
    if (!is_no_member) return tl::unexpected<base::Error>(digests.error());
  }
  const crypto::Digest flat = TRY(crypto::digest_of(DigestAlgorithm::sha256, source));
  TRY(expect_manifest(flat));
  return MeasuredFile{flat, {}, {}, {}};
}

// Digests of files of the request and of nothing else; page hashes are found when they are wanted.
package::DigestsOf digests_from(const SpooledRequest& spooled, const std::map<std::string, MeasuredFile>& measured) {
  return [&spooled, &measured](const std::string& path, formats::MemberPageHashes wanted) -> Result<formats::MemberDigests> {
    const auto file = measured.find(path);
    if (file == measured.end() || !file->second.digests) return fail(Errc::refused, "the member is not a file of the request");
    if (wanted == formats::MemberPageHashes::none || !file->second.image) return *file->second.digests;
    constexpr auto kV2 = formats::PageHashVersion::v2;
    if (file->second.measurement->has_page_hashes(kV2)) {
      formats::MemberDigests digests = *file->second.digests;
      digests.page_hashes = file->second.measurement->page_hashes(kV2);
      return digests;
    }
    const usb::FileSource source = TRY(usb::FileSource::open(spooled.file(path)));
    const formats::MemberDigests with_pages = TRY(formats::member_digests(source, wanted));
    if (with_pages.sha256 != file->second.digests->sha256) return fail(Errc::mismatch, "the file changed while it was read");
    return with_pages;
  };
}

struct CatalogToSign {
  base::Bytes ctl;
  SigningPlan::CatalogSummary summary;
};

const std::string& attribute_of(const std::vector<formats::NameValue>& attributes, std::string_view name) {
  static const std::string kNone;
  const auto found = std::find_if(attributes.begin(), attributes.end(), [&](const formats::NameValue& each) { return base::equal_ignoring_case(each.name, name); });
  return found == attributes.end() ? kNone : found->value;
}

// Of the inspector's plan only strings go in, held against the request: catalog_content() refuses OSes that were not asked for.
// A plan that leaves files out, or names others, shows in the members that officers see.
Result<CatalogToSign> made_catalog(const package::PlannedCatalog& planned, const wire::Request& request, const package::DigestsOf& digests_of) {
  const std::vector<const package::OsTarget*> targets = TRY(package::os_targets_from_names(request.os_targets));
  formats::CatalogContent content = TRY(package::catalog_content(planned, targets, digests_of));
  content.list_identifier = request.list_identifier(planned.path);
  content.this_update = request.created;
  CatalogToSign made{{}, {planned.path, false, content.version, content.os, content.hardware_ids, {}}};
  for (std::size_t i = 0; i < content.members.size(); ++i) {
    const formats::CatalogMember& member = content.members[i];
    made.summary.members.push_back({planned.members[i].path, member.file, member.os_attr, member.digests.kind, !member.digests.page_hashes.empty()});
  }
  made.ctl = TRY(formats::encode_ctl(content));
  return made;
}

// None for a catalog that is signed already: it stays as it is.
Result<std::optional<CatalogToSign>> catalog_as_delivered(const std::string& path, const SpooledRequest& spooled,
                                                          const std::map<std::string, MeasuredFile>& measured, const package::DigestsOf& digests_of) {
  const usb::FileSource source = TRY(usb::FileSource::open(spooled.file(path)));
  const base::Bytes file = TRY(base::read_all(source, base::limits::kCatalogBytes));
  // measure() has held the file against the manifest; what is read now must be the same.
  if (crypto::sha256(file) != measured.at(path).flat) return fail(Errc::mismatch, "the file changed while it was read");
  const formats::Catalog parsed = TRY(formats::Catalog::parse(file));
  if (parsed.is_signed()) return std::optional<CatalogToSign>();
  std::map<std::string, formats::MemberDigests> files;
  for (const auto& [name, each] : measured)
    if (each.digests) files.emplace(name, *each.digests);
  const std::vector<const package::OsTarget*> targets = TRY(package::os_targets_from_names(spooled.request.os_targets));
  package::DeliveredCatalog delivered = TRY(package::delivered_catalog(file, files, targets, digests_of));
  CatalogToSign found{std::move(delivered.ctl), {path, true, delivered.content.version, attribute_of(delivered.content.attributes, "OS"), parsed.hardware_ids(), {}}};
  for (std::size_t i = 0; i < delivered.paths.size(); ++i) {
    const formats::CatalogMember& member = delivered.content.members[i];
    found.summary.members.push_back({delivered.paths[i], attribute_of(member.attributes, "File"), attribute_of(member.attributes, "OSAttr"), member.digests.kind,
                                     !member.digests.page_hashes.empty()});
  }
  return std::optional(std::move(found));
}

bool has(const std::vector<wire::Operation>& operations, wire::Operation wanted) {
  return std::find(operations.begin(), operations.end(), wanted) != operations.end();
}

bool is_catalog(std::string_view path) { return base::lower_ascii(path).ends_with(".cat"); }

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
                                      const crypto::Digest& profile, const SignatureForm& form) {
  const wire::Request& request = spooled.request;
  PlannedCatalogs catalogs;
  if (has(request.operations, wire::Operation::catalog))
    for (const package::PlannedCatalog& planned : inspection.catalogs) catalogs.push_back(&planned);
  std::sort(catalogs.begin(), catalogs.end(), [](const auto* a, const auto* b) { return a->path < b->path; });

  const bool signs_delivered = has(request.operations, wire::Operation::sign_catalog);
  const EmbedRules rules = EmbedRules::of(request.operations, form.sha1);
  std::set<std::string> members;
  std::set<std::string> with_page_hashes;   // by a catalog
  for (const package::PlannedCatalog* const planned : catalogs)
    for (const package::PlannedMember& member : planned->members) {
      members.insert(member.path);
      if (member.has_page_hashes) with_page_hashes.insert(member.path);
    }
  std::map<std::string, MeasuredFile> measured;
  for (const wire::FileEntry& entry : request.files) {
    const bool is_planned = members.contains(entry.path);
    // Any file may be a member of a delivered catalog.
    const Membership membership = is_planned ? Membership::planned : signs_delivered && !is_catalog(entry.path) ? Membership::possible : Membership::none;
    MeasuredFile file = TRY(base::within(entry.path, measure(spooled, entry, membership, rules.page_hashes || with_page_hashes.contains(entry.path))));
    measured.emplace(entry.path, std::move(file));
  }
  const package::DigestsOf digests_of = digests_from(spooled, measured);
  TRY(expect_catalog_paths(catalogs, request));
  std::map<std::string, CatalogToSign> to_sign;   // by path
  for (const package::PlannedCatalog* planned : catalogs) {
    CatalogToSign made = TRY(base::within(base::printable(planned->path), made_catalog(*planned, request, digests_of)));
    to_sign.emplace(planned->path, std::move(made));
  }
  std::set<std::string> signed_already;
  for (const wire::FileEntry& entry : request.files) {
    if (!signs_delivered || !is_catalog(entry.path) || is_made_anew(catalogs, entry.path)) continue;
    std::optional<CatalogToSign> delivered = TRY(base::within(entry.path, catalog_as_delivered(entry.path, spooled, measured, digests_of)));
    if (!delivered) {
      signed_already.insert(entry.path);
      continue;
    }
    for (const CatalogSummary::Member& member : delivered->summary.members) members.insert(member.path);
    to_sign.emplace(entry.path, std::move(*delivered));
  }

  SigningPlan plan;
  plan.set_.key_name = key_class.key_name;
  plan.set_.profile_sha256 = profile;
  for (const auto& [path, file] : measured) {
    package::FileDigests digests{path, file.flat, {}, {}};
    if (file.measurement) {
      digests.image_sha1 = file.measurement->digest(DigestAlgorithm::sha1);
      digests.image_sha256 = file.measurement->digest(DigestAlgorithm::sha256);
    }
    plan.files_.push_back(std::move(digests));
  }
  const auto add = [&](Item item) {
    if (item.sha1) {
      plan.set_.items.push_back({item.path, std::string(transparency::kPrimarySlot), item.sha1->to_be_signed()});
      plan.sha1_ = crypto::Sha1::for_old_windows;
    }
    plan.set_.items.push_back({item.path, std::string(item.embedding ? item.embedding->slot() : transparency::kPrimarySlot),
                               item.data.to_be_signed()});
    plan.items_.push_back(std::move(item));
  };

  for (const wire::FileEntry& entry : request.files) {
    if (is_made_anew(catalogs, entry.path) || to_sign.contains(entry.path)) continue;
    const MeasuredFile& file = measured.at(entry.path);
    Embedding::Found found = TRY(base::within(entry.path, Embedding::find(spooled.file(entry.path), file.image, file.measurement, rules)));
    if (!found.embedding) {
      plan.copied_.push_back(
          {entry.path, found.is_signed || signed_already.contains(entry.path) ? OutputOperation::already_signed : OutputOperation::unchanged, entry.sha256});
      continue;
    }
    // A PE file has the same digest with and without signatures, which a catalog's digest of a cabinet has not.
    if (found.embedding->is_cabinet() && members.contains(entry.path))
      return fail(Errc::refused, fmt::format("{}: a catalog of the same request lists this cabinet as it is; signing it would change it",
                                             entry.path));
    cms::UnsignedData data = TRY(base::within(
        entry.path, cms::UnsignedData::prepare(found.embedding->content(), form.attributes, identity)));
    std::optional<cms::UnsignedData> sha1;
    if (found.embedding->sha1_content())
      sha1 = TRY(base::within(entry.path, cms::UnsignedData::prepare(*found.embedding->sha1_content(), form.attributes, identity, DigestAlgorithm::sha1, form.sha1)));
    add({entry.path, std::move(data), std::move(sha1), std::move(found.embedding), false});
  }

  for (auto& [path, catalog] : to_sign) {
    cms::UnsignedData data = TRY(base::within(
        path, cms::UnsignedData::prepare({der::oids::kCertificateTrustList, std::move(catalog.ctl)}, form.attributes, identity)));
    add({path, std::move(data), {}, {}, catalog.summary.is_delivered});
    plan.catalogs_.push_back(std::move(catalog.summary));
  }
  if (plan.items_.empty()) return fail(Errc::refused, "there is nothing to sign: every file that the operations are about is signed already, and no catalog is to be signed");
  if (plan.set_.items.size() > base::limits::kSigningSet)
    return fail(Errc::too_large, fmt::format("{} signatures in one request, at most {}: split it, or sign the catalog only",
                                             plan.set_.items.size(), base::limits::kSigningSet));
  return plan;
}

std::vector<crypto::Digest> SigningPlan::digests() const {
  std::vector<crypto::Digest> digests;
  for (const transparency::SigningItem& item : set_.items) digests.push_back(item.digest);
  return digests;
}

Result<base::Bytes> SigningPlan::sign_item(const Item& item, const std::function<Result<base::Bytes>(const crypto::Digest&)>& sign) {
  base::Bytes sha1;
  if (item.sha1) {
    const base::Bytes signature = TRY(sign(item.sha1->to_be_signed()));
    sha1 = TRY(item.sha1->with_signature(signature));
  }
  const base::Bytes signature = TRY(sign(item.data.to_be_signed()));
  base::Bytes signed_data = TRY(item.data.with_signature(signature));
  if (!item.sha1) return signed_data;
  return cms::with_nested_signatures(sha1, {std::move(signed_data)});
}

OutputOperation SigningPlan::operation_of(const Item& item) {
  if (item.embedding) return item.embedding->operation();
  return item.is_delivered_catalog ? OutputOperation::delivered_catalog_signed : OutputOperation::catalog_signed;
}

std::vector<transparency::OutputFile> SigningPlan::outputs_to_come() const {
  std::vector<transparency::OutputFile> outputs;
  for (const Item& item : items_) outputs.push_back({item.path, crypto::sha256({}), operation_of(item)});
  for (const Copied& copied : copied_) outputs.push_back({copied.path, copied.sha256, copied.operation});
  std::sort(outputs.begin(), outputs.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return outputs;
}

Result<void> SigningPlan::write_item(const SpooledRequest& spooled, const Item& item, base::ByteView signed_data,
                                     const std::filesystem::path& to, std::vector<transparency::OutputFile>& outputs) {
  if (!item.embedding) {
    const crypto::Digest written = TRY(usb::write_file(to, signed_data));
    outputs.push_back({item.path, written, operation_of(item)});
    return {};
  }
  const crypto::Digest written = TRY(base::within(item.path, item.embedding->write(spooled.file(item.path), signed_data, to)));
  outputs.push_back({item.path, written, operation_of(item)});
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
    base::Bytes signed_data = TRY(base::within(item.path, sign_item(item, sign)));
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
