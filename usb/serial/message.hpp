// What the two ends of a serial link say to each other (docs/serial-protocol.md): parcels in both directions, in the same
// words. Every number and length from the peer is under a limit before anything is allocated.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"
#include "usb/files/parcel.hpp"
#include "usb/serial/session.hpp"

namespace serial {

struct Offer {   // sender: I have this parcel
  usb::ParcelKind kind{};
  std::string id;
  std::uint64_t bytes = 0;   // for progress only; nothing is believed or allocated from it
  crypto::Digest document;   // SHA-256 of the document: whether the receiver has this very one
};
struct Ready {};           // receiver: send it
struct FileBegin {
  std::string path;          // in the parcel: "files/..." or the document's name
  std::uint64_t size = 0;
};
struct FileData {
  base::Bytes bytes;
};
struct FileEnd {};
struct Commit {};          // sender: that was all of it
struct Accepted {          // receiver: it is on disk, complete
  bool was_there = false;  // before already
};
struct Refused {   // receiver at any time, or the answer to a question: no, and why
  base::Errc code{};
  std::string reason;      // UTF-8, for people; at most limits::kNoteBytes
};
struct Abort {   // sender: forget what I sent of this parcel
  base::Errc code{};
  std::string reason;
};
struct ListResponses {};
struct ResponseIds {
  std::vector<std::string> ids;
  bool more = false;   // another message with ids follows
};
struct GetResponse {
  std::string id;
};

using Words = std::variant<Offer, Ready, FileBegin, FileData, FileEnd, Commit, Accepted, Refused, Abort, ListResponses,
                           ResponseIds, GetResponse>;

inline constexpr std::size_t kFileDataBytes = 8U << 10;   // as we send them; up to a whole message is accepted
inline constexpr std::size_t kIdsInAMessage = 200;

base::Bytes encode_words(const Words& words);
// Errc::malformed for anything encode_words() does not make; Errc::unsupported for an unknown kind of message.
base::Result<Words> decode_words(base::ByteView message);

}  // namespace serial
