#include "usb/serial/incoming.hpp"

#include <utility>

#include "crypto/base/text.hpp"

namespace serial {

using base::Errc;
using base::fail;
using base::Result;

Result<Incoming> Incoming::begin(const Offer& offer, const std::filesystem::path& parent, usb::IfThere if_there) {
  usb::ParcelWriter writer = TRY(usb::ParcelWriter::begin(parent, offer.id, offer.kind));
  Incoming incoming(std::move(writer), if_there);
  incoming.id_ = offer.id;
  incoming.total_ = offer.bytes;
  return incoming;
}

Result<bool> Incoming::take(const Words& words) {
  if (const auto* data = std::get_if<FileData>(&words)) {
    TRY(writer_.write(data->bytes));
    done_ += data->bytes.size();
    return false;
  }
  if (const auto* file = std::get_if<FileBegin>(&words)) {
    TRY(writer_.begin_file(file->path, file->size));
    path_ = file->path;
    return false;
  }
  if (std::holds_alternative<FileEnd>(words)) {
    TRY(writer_.end_file());
    return false;
  }
  if (std::holds_alternative<Commit>(words)) {
    TRY(writer_.commit(if_there_));
    return true;
  }
  if (const auto* no = std::get_if<Abort>(&words))
    return fail(no->code, "the sender gave up: " + base::printable(no->reason));
  return fail(Errc::malformed, "something else is said in the middle of a parcel");
}

bool has_document(const std::filesystem::path& parent, const Offer& offer) {
  const Result<usb::Folder> folder = usb::Folder::open(parent);
  if (!folder) return false;
  const Result<usb::ParcelReader> there = usb::ParcelReader::open(*folder, offer.id, offer.kind);
  if (!there) return false;
  const Result<base::Bytes> document = there->document();
  return document && crypto::sha256(*document) == offer.document;
}

}  // namespace serial
