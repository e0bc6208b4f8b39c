#include "usb/serial/message.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "usb/wire/request.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::ByteReader;
using base::ByteView;
using base::ByteWriter;
using base::Errc;
using base::fail;
using base::Result;

// The first byte of a message. Numbers are never used again for something else.
enum class Kind : std::uint8_t {
  offer = 1,
  ready = 2,
  file_begin = 3,
  file_data = 4,
  file_end = 5,
  commit = 6,
  accepted = 7,
  refused = 8,
  abort = 9,
  list_requests = 10,
  requests = 11,
  get_response = 12,
  go_on = 13,
  packed_data = 14,
  ask_challenge = 15,
  challenge = 16,
  proof = 17,
};

constexpr std::size_t kIdBytes = 32;
constexpr std::size_t kCheckpoints = 2;
constexpr std::size_t kParcelPathBytes = base::limits::kPathBytes + wire::kFilesFolder.size() + 1;

// Ids travel as 32 bytes; only valid ones are ever sent.
void put_id(ByteWriter& writer, const std::string& id) {
  const Result<Bytes> bytes = base::from_hex(id);
  base::require(bytes && bytes->size() == kIdBytes, "an id is 64 hex digits");
  writer.put(*bytes);
}

Result<std::string> take_id(ByteReader& reader) {
  const ByteView bytes = TRY(reader.take(kIdBytes));
  return base::hex(bytes);
}

Result<std::string> take_text(ByteReader& reader, std::uint64_t limit) {
  const ByteView bytes = TRY(reader.take_counted(limit));
  const std::string_view text = base::as_text(bytes);
  if (!base::is_utf8(text)) return fail(Errc::malformed, "text that is not UTF-8");
  return std::string(text);
}

Result<bool> take_flag(ByteReader& reader) {
  const std::uint8_t value = TRY(reader.u8());
  if (value > 1) return fail(Errc::malformed, fmt::format("a flag is 0 or 1, not {}", value));
  return value == 1;
}

// What the peer can do about it. Codes of a later version become "io".
Result<Errc> take_code(ByteReader& reader) {
  const std::uint8_t value = TRY(reader.u8());
  return value <= static_cast<std::uint8_t>(Errc::usage) ? static_cast<Errc>(value) : Errc::io;
}

void put_kind(ByteWriter& writer, Kind kind) { writer.u8(static_cast<std::uint8_t>(kind)); }

// So the reason is UTF-8 and safe to show at the other end.
void put_no(ByteWriter& writer, Kind kind, Errc code, std::string_view reason) {
  put_kind(writer, kind);
  writer.u8(static_cast<std::uint8_t>(code)).put_counted(base::as_bytes(base::shortened(reason, base::limits::kNoteBytes)));
}

struct Encoder {
  ByteWriter& writer;

  void operator()(const Offer& offer) const {
    put_kind(writer, Kind::offer);
    writer.u8(offer.kind == usb::ParcelKind::response ? 1 : 0);
    put_id(writer, offer.id);
    writer.u64le(offer.bytes).put(offer.document.bytes());
  }
  void operator()(const Ready& ready) const {
    const usb::Standing& standing = ready.standing;
    put_kind(writer, Kind::ready);
    writer.u32le(standing.files).put(standing.list.bytes()).u64le(standing.bytes);
    writer.u64le(standing.size).put_counted(base::as_bytes(standing.path));
    writer.u8(static_cast<std::uint8_t>(standing.checkpoints.size()));
    for (const usb::Checkpoint& point : standing.checkpoints) writer.u64le(point.size).put(point.sha256.bytes());
  }
  void operator()(const GoOn& go_on) const {
    put_kind(writer, Kind::go_on);
    writer.u8(go_on.keep ? 1 : 0);
  }
  void operator()(const FileBegin& file) const {
    put_kind(writer, Kind::file_begin);
    writer.u64le(file.size).u64le(file.offset).put_counted(base::as_bytes(file.path));
  }
  void operator()(const FileData& data) const {
    put_kind(writer, Kind::file_data);
    writer.put(data.bytes);
  }
  void operator()(const PackedData& data) const {
    put_kind(writer, Kind::packed_data);
    writer.u32le(data.size).put(data.frame);
  }
  void operator()(const FileEnd& end) const {
    put_kind(writer, Kind::file_end);
    writer.put(end.sha256.bytes());
  }
  void operator()(const Commit&) const { put_kind(writer, Kind::commit); }
  void operator()(const Accepted& accepted) const {
    put_kind(writer, Kind::accepted);
    writer.u8(accepted.was_there ? 1 : 0);
  }
  void operator()(const Refused& no) const { put_no(writer, Kind::refused, no.code, no.reason); }
  void operator()(const Abort& no) const { put_no(writer, Kind::abort, no.code, no.reason); }
  void operator()(const ListRequests& list) const {
    base::require(list.ids.size() <= kIdsInAMessage, "a list of ids fits its message");
    put_kind(writer, Kind::list_requests);
    writer.u8(static_cast<std::uint8_t>(list.ids.size()));
    for (const std::string& id : list.ids) put_id(writer, id);
  }
  void operator()(const Requests& list) const {
    base::require(list.requests.size() <= kIdsInAMessage, "a list of requests fits its message");
    put_kind(writer, Kind::requests);
    writer.u8(list.more ? 1 : 0).u8(static_cast<std::uint8_t>(list.requests.size()));
    for (const ListedRequest& one : list.requests) {
      put_id(writer, one.id);
      writer.u8(static_cast<std::uint8_t>(one.place)).u64le(one.bytes);
    }
  }
  void operator()(const AskChallenge&) const { put_kind(writer, Kind::ask_challenge); }
  void operator()(const Challenge& challenge) const {
    put_kind(writer, Kind::challenge);
    writer.put(challenge.random);
  }
  void operator()(const Proof& proof) const {
    put_kind(writer, Kind::proof);
    writer.put_counted(proof.public_key).put_counted(proof.signature);
  }
  void operator()(const GetResponse& get) const {
    put_kind(writer, Kind::get_response);
    put_id(writer, get.id);
  }
};

Result<crypto::Digest> take_sha256(ByteReader& reader) {
  const ByteView digest = TRY(reader.take(kIdBytes));
  return crypto::Digest::from_bytes(crypto::DigestAlgorithm::sha256, digest);
}

Result<Words> take_offer(ByteReader& reader) {
  const bool response = TRY(take_flag(reader));
  std::string id = TRY(take_id(reader));
  const std::uint64_t bytes = TRY(reader.u64le());
  const crypto::Digest document = TRY(take_sha256(reader));
  return Offer{response ? usb::ParcelKind::response : usb::ParcelKind::request, std::move(id), bytes, document};
}

Result<Words> take_ready(ByteReader& reader) {
  Ready ready;
  usb::Standing& standing = ready.standing;
  standing.files = TRY(reader.u32le());
  standing.list = TRY(take_sha256(reader));
  standing.bytes = TRY(reader.u64le());
  standing.size = TRY(reader.u64le());
  standing.path = TRY(take_text(reader, kParcelPathBytes));
  const std::uint8_t count = TRY(reader.u8());
  if (count > kCheckpoints) return fail(Errc::malformed, fmt::format("{} checkpoints, at most {}", count, kCheckpoints));
  for (std::uint8_t i = 0; i < count; ++i) {
    const std::uint64_t size = TRY(reader.u64le());
    const crypto::Digest sha256 = TRY(take_sha256(reader));
    standing.checkpoints.push_back({size, sha256});
  }
  return ready;
}

Result<Words> take_file_begin(ByteReader& reader) {
  FileBegin file;
  file.size = TRY(reader.u64le());
  file.offset = TRY(reader.u64le());
  file.path = TRY(take_text(reader, kParcelPathBytes));
  return file;
}

Result<Words> take_packed(ByteReader& reader) {
  PackedData data;
  data.size = TRY(reader.u32le());
  if (data.size > kBlockBytes) return fail(Errc::too_large, fmt::format("a block of {} bytes, at most {}", data.size, kBlockBytes));
  const ByteView frame = TRY(reader.take(reader.remaining()));
  data.frame = base::to_bytes(frame);
  return data;
}

Result<Words> take_challenge(ByteReader& reader) {
  Challenge challenge;
  const ByteView random = TRY(reader.take(challenge.random.size()));
  std::copy(random.begin(), random.end(), challenge.random.begin());
  return challenge;
}

Result<Words> take_proof(ByteReader& reader) {
  const ByteView public_key = TRY(reader.take_counted(kProofBytes));
  const ByteView signature = TRY(reader.take_counted(kProofBytes));
  return Proof{base::to_bytes(public_key), base::to_bytes(signature)};
}

template <class No>
Result<Words> take_no(ByteReader& reader) {
  No no;
  no.code = TRY(take_code(reader));
  no.reason = TRY(take_text(reader, base::limits::kNoteBytes));
  return no;
}

Result<std::uint8_t> take_id_count(ByteReader& reader) {
  const std::uint8_t count = TRY(reader.u8());
  if (count > kIdsInAMessage) return fail(Errc::too_large, fmt::format("{} requests in a list, at most {}", count, kIdsInAMessage));
  return count;
}

Result<Words> take_list_requests(ByteReader& reader) {
  ListRequests list;
  const std::uint8_t count = TRY(take_id_count(reader));
  for (std::uint8_t i = 0; i < count; ++i) {
    std::string id = TRY(take_id(reader));
    list.ids.push_back(std::move(id));
  }
  return list;
}

Result<Words> take_requests(ByteReader& reader) {
  Requests list;
  list.more = TRY(take_flag(reader));
  const std::uint8_t count = TRY(take_id_count(reader));
  for (std::uint8_t i = 0; i < count; ++i) {
    std::string id = TRY(take_id(reader));
    const std::uint8_t place = TRY(reader.u8());
    if (place > static_cast<std::uint8_t>(RequestPlace::arrived))
      return fail(Errc::malformed, fmt::format("a request's place is 0 to 2, not {}", place));
    const std::uint64_t bytes = TRY(reader.u64le());
    list.requests.push_back({std::move(id), static_cast<RequestPlace>(place), bytes});
  }
  return list;
}

Result<Words> take_words(ByteReader& reader) {
  const std::uint8_t kind = TRY(reader.u8());
  switch (static_cast<Kind>(kind)) {
    case Kind::offer: return take_offer(reader);
    case Kind::ready: return take_ready(reader);
    case Kind::file_begin: return take_file_begin(reader);
    case Kind::go_on: {
      const bool keep = TRY(take_flag(reader));
      return GoOn{keep};
    }
    case Kind::packed_data: return take_packed(reader);
    case Kind::ask_challenge: return AskChallenge{};
    case Kind::challenge: return take_challenge(reader);
    case Kind::proof: return take_proof(reader);
    case Kind::file_data: {
      const ByteView bytes = TRY(reader.take(reader.remaining()));
      return FileData{base::to_bytes(bytes)};
    }
    case Kind::file_end: {
      const crypto::Digest sha256 = TRY(take_sha256(reader));
      return FileEnd{sha256};
    }
    case Kind::commit: return Commit{};
    case Kind::accepted: {
      const bool was_there = TRY(take_flag(reader));
      return Accepted{was_there};
    }
    case Kind::refused: return take_no<Refused>(reader);
    case Kind::abort: return take_no<Abort>(reader);
    case Kind::list_requests: return take_list_requests(reader);
    case Kind::requests: return take_requests(reader);
    case Kind::get_response: {
      std::string id = TRY(take_id(reader));
      return GetResponse{std::move(id)};
    }
  }
  return fail(Errc::unsupported, fmt::format("message of unknown kind {}", kind));
}

}  // namespace

crypto::Digest proof_digest(const Challenge& challenge) {
  ByteWriter text;
  text.put(base::as_bytes("coldseal serial link: proof of a submitter's key")).u8(0).put(challenge.random);
  return crypto::sha256(text.bytes());
}

Bytes encode_words(const Words& words) {
  ByteWriter writer;
  std::visit(Encoder{writer}, words);
  return std::move(writer).bytes();
}

Result<Words> decode_words(ByteView message) {
  ByteReader reader(message);
  Words words = TRY(take_words(reader));
  TRY(reader.expect_end());
  return words;
}

}  // namespace serial
