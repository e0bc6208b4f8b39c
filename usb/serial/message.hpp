// What the two ends of a serial link say to each other (docs/serial-protocol.md): parcels in both directions, in the same
// words. Every number and length from the peer is under a limit before anything is allocated.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"
#include "usb/files/partial_parcel.hpp"
#include "usb/serial/session.hpp"

namespace serial {

struct Offer {   // sender: I have this parcel
  usb::ParcelKind kind{};
  std::string id;
  std::uint64_t bytes = 0;   // for progress only; nothing is believed or allocated from it
  crypto::Digest document;   // SHA-256 of the document: whether the receiver has this very one
};
struct Ready {             // receiver: send it; this much of it I have
  usb::Standing standing;
};
struct GoOn {              // sender, once after Ready: its whole files are mine too, or forget them
  bool keep = false;
};
struct FileBegin {
  std::string path;          // in the parcel: "files/..." or the document's name
  std::uint64_t size = 0;
  std::uint64_t offset = 0;  // the first file after GoOn may begin at one of the checkpoints
};
struct FileData {
  base::Bytes bytes;
};
struct PackedData {          // one Zstandard frame, see packing.hpp
  std::uint32_t size = 0;    // of what is in it, at most kBlockBytes
  base::Bytes frame;
};
struct FileEnd {
  crypto::Digest sha256;     // of the whole file
};
struct Commit {};          // sender: that was all of it
struct Accepted {          // receiver: it is on disk, complete
  bool was_there = false;  // before already
};
struct Refused {   // receiver at any time, or the answer to a question: no, and why
  base::Errc code{};
  std::string reason;      // UTF-8, for people; at most limits::kNoteBytes
};
struct Abort {   // sender: forget what I sent of this parcel; or, with Errc::unavailable, I shall go on another time
  base::Errc code{};
  std::string reason;
};
// Where a request is. The numbers travel.
enum class RequestPlace : std::uint8_t {
  answered = 0,   // its response waits
  taken = 1,      // coldseald has it: it is inspected, or waits for the officers
  arrived = 2,    // it lies in the inbox, nobody has looked at it
};
struct ListedRequest {
  std::string id;
  RequestPlace place{};
  std::uint64_t bytes = 0;   // of all files of the response; 0 unless answered
};
struct ListRequests {        // only after a Proof: this submitter's, and those of `ids` that have just arrived
  std::vector<std::string> ids;   // at most kIdsInAMessage
};
struct Requests {
  std::vector<ListedRequest> requests;   // at most kIdsInAMessage
  bool more = false;         // another message with requests follows
};
struct GetResponse {       // only after a Proof
  std::string id;
};
struct AskChallenge {};    // host: I want to prove who I am
struct Challenge {
  std::array<std::uint8_t, 32> random{};
};
struct Proof {             // host: the key, and its signature over proof_digest(challenge)
  base::Bytes public_key;  // SubjectPublicKeyInfo
  base::Bytes signature;
};

using Words = std::variant<Offer, Ready, GoOn, FileBegin, FileData, PackedData, FileEnd, Commit, Accepted, Refused, Abort,
                           ListRequests, Requests, GetResponse, AskChallenge, Challenge, Proof>;

inline constexpr std::size_t kBlockBytes = 32U << 10;      // of a file in one message, at most
inline constexpr std::size_t kIdsInAMessage = 200;
inline constexpr std::size_t kProofBytes = 600;            // key and signature each: RSA with 4096 bits is 550

// What the submitter's key signs; no signature over anything else can be taken for it.
crypto::Digest proof_digest(const Challenge& challenge);

base::Bytes encode_words(const Words& words);
// Errc::malformed for anything encode_words() does not make; Errc::unsupported for an unknown kind of message.
base::Result<Words> decode_words(base::ByteView message);

}  // namespace serial
