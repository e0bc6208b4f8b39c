#include "usb/serial/incoming.hpp"

#include <fmt/format.h>

#include <utility>

#include "crypto/base/text.hpp"
#include "usb/serial/packing.hpp"

namespace serial {

using base::Errc;
using base::fail;
using base::Result;

namespace {

// What another attempt can go on with. Everything else was wrong, or lies on a disk that is full.
bool is_worth_keeping(Errc code) { return code == Errc::unavailable || code == Errc::io; }

}  // namespace

Result<Incoming> Incoming::begin(const Offer& offer, const std::filesystem::path& parent, usb::IfThere if_there) {
  const usb::ParcelRules rules = usb::rules_of(offer.kind);
  if (offer.bytes > rules.bytes + rules.document_bytes)
    return fail(Errc::too_large, fmt::format("{} bytes, at most {}", offer.bytes, rules.bytes + rules.document_bytes));
  usb::PartialParcel parcel = TRY(usb::PartialParcel::open(parent, offer.id, offer.kind, offer.document));
  Incoming incoming(std::move(parcel), if_there);
  const std::uint64_t had = incoming.standing().bytes;
  TRY(usb::expect_space(parent, offer.bytes > had ? offer.bytes - had : 0));
  incoming.id_ = offer.id;
  incoming.total_ = offer.bytes;
  return incoming;
}

Result<bool> Incoming::take(const Words& words, Instant now) {
  Result<bool> complete = taken(words, now);
  if (!complete) give_up(complete.error().code());
  return complete;
}

void Incoming::give_up(Errc why) {
  if (!is_worth_keeping(why)) std::move(parcel_).discard();
}

Result<bool> Incoming::taken(const Words& words, Instant now) {
  if (const auto* no = std::get_if<Abort>(&words)) return fail(no->code, "the sender gave up: " + base::printable(no->reason));
  if (const auto* go_on = std::get_if<GoOn>(&words); go_on != nullptr && !going_) {
    going_ = true;
    if (!go_on->keep) TRY(parcel_.forget());
    whole_ = standing().bytes - (standing().checkpoints.empty() ? 0 : standing().checkpoints.front().size);
    done_ = whole_;
    return false;
  }
  if (!going_) return fail(Errc::malformed, "a parcel begins before it is said where");
  if (const auto* data = std::get_if<FileData>(&words)) {
    TRY(write(data->bytes, now));
    return false;
  }
  if (const auto* packed = std::get_if<PackedData>(&words)) {
    const base::Bytes bytes = TRY(unpacked(*packed));
    TRY(write(bytes, now));
    return false;
  }
  if (const auto* file = std::get_if<FileBegin>(&words)) {
    TRY(parcel_.begin_file(file->path, file->size, file->offset));
    path_ = file->path;
    size_ = file->size;
    done_ = whole_ + file->offset;
    return false;
  }
  if (const auto* end = std::get_if<FileEnd>(&words)) {
    TRY(parcel_.end_file(end->sha256));
    whole_ += size_;
    return false;
  }
  if (std::holds_alternative<Commit>(words)) {
    TRY(parcel_.commit(if_there_));
    return true;
  }
  return fail(Errc::malformed, "something else is said in the middle of a parcel");
}

Result<void> Incoming::write(base::ByteView bytes, Instant now) {
  TRY(parcel_.write(bytes, now));
  done_ += bytes.size();
  return {};
}

bool has_document(const std::filesystem::path& parent, const Offer& offer) {
  const Result<usb::Folder> folder = usb::Folder::open(parent);
  if (!folder) return false;
  const Result<usb::ParcelReader> there = usb::ParcelReader::open(*folder, offer.id, offer.kind);
  if (!there) return false;
  const Result<base::Bytes> document = there->document();
  return document && crypto::sha256(*document) == offer.document;
}

Result<usb::Standing> standing_of_whole(const std::filesystem::path& parent, const Offer& offer) {
  const usb::Folder folder = TRY(usb::Folder::open(parent));
  const usb::ParcelReader there = TRY(usb::ParcelReader::open(folder, offer.id, offer.kind));
  usb::Standing standing;
  usb::FileListDigest list;
  for (const usb::FoundFile& file : there.files()) {
    const usb::FileSource source = TRY(there.open_file(file));
    list.add(file.path, source.size(), TRY(crypto::digest_of(crypto::DigestAlgorithm::sha256, source)));
    standing.bytes += source.size();
    ++standing.files;
  }
  standing.list = std::move(list).finish();
  return standing;
}

}  // namespace serial
