// A parcel on its way in over a serial link, at either end. Takes what the sender says, word by word.
#pragma once

#include <filesystem>
#include <string>

#include "crypto/base/result.hpp"
#include "usb/files/parcel.hpp"
#include "usb/serial/message.hpp"

namespace serial {

class Incoming {
 public:
  static base::Result<Incoming> begin(const Offer& offer, const std::filesystem::path& parent, usb::IfThere if_there);
  // True once the parcel is complete and on disk. After an error nothing of it is left; Errc::malformed for words that
  // do not belong into a parcel, the sender's own code when it aborted.
  base::Result<bool> take(const Words& words);
  // Valid until the next take().
  usb::Progress progress() const { return {id_, path_, done_, total_}; }
  const std::string& id() const { return id_; }

 private:
  Incoming(usb::ParcelWriter writer, usb::IfThere if_there) : writer_(std::move(writer)), if_there_(if_there) {}
  usb::ParcelWriter writer_;
  usb::IfThere if_there_;
  std::string id_;
  std::string path_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

// Whether <parent>/<id> holds the document that is offered. It was put there complete or not at all.
bool has_document(const std::filesystem::path& parent, const Offer& offer);

}  // namespace serial
