// A parcel on its way in over a serial link, at either end. Takes what the sender says, word by word. What came stays on
// disk, unseen, when the link ends; it goes when it is wrong.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "crypto/base/result.hpp"
#include "usb/files/partial_parcel.hpp"
#include "usb/serial/message.hpp"
#include "usb/serial/session.hpp"

namespace serial {

class Incoming {
 public:
  static base::Result<Incoming> begin(const Offer& offer, const std::filesystem::path& parent, usb::IfThere if_there);
  const usb::Standing& standing() const { return parcel_.standing(); }   // for Ready
  // True once the parcel is complete and on disk. Errc::malformed for words that do not belong into a parcel, the
  // sender's own code when it aborted. After an error this has been given up.
  base::Result<bool> take(const Words& words, Instant now);
  // It ends here, for that reason: what came is kept when another attempt may go on with it.
  void give_up(base::Errc why);
  // Valid until the next take().
  usb::Progress progress() const { return {id_, path_, done_, total_}; }
  const std::string& id() const { return id_; }
  bool is_going() const { return going_; }   // the sender has said where it begins

 private:
  Incoming(usb::PartialParcel parcel, usb::IfThere if_there) : parcel_(std::move(parcel)), if_there_(if_there) {}
  base::Result<bool> taken(const Words& words, Instant now);
  base::Result<void> write(base::ByteView bytes, Instant now);
  usb::PartialParcel parcel_;
  usb::IfThere if_there_;
  std::string id_;
  std::string path_;
  bool going_ = false;             // GoOn has come
  std::uint64_t whole_ = 0;        // bytes of files before the present one
  std::uint64_t size_ = 0;         // of the present one
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

// Whether <parent>/<id> holds the document that is offered. It was put there complete or not at all.
bool has_document(const std::filesystem::path& parent, const Offer& offer);

// How far such a parcel came, which is all the way: for the sender, who compares it by content with what it offers.
base::Result<usb::Standing> standing_of_whole(const std::filesystem::path& parent, const Offer& offer);

}  // namespace serial
