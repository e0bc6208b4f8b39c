// Sending a parcel, in either direction, from where the other end has it.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "crypto/base/text.hpp"
#include "usb/serial/packing.hpp"
#include "usb/serial/transfer.hpp"
#include "usb/serial/words.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::ByteView;
using base::Errc;
using base::fail;
using base::Result;

constexpr std::size_t kPlainBytes = 8U << 10;   // in a message that is not packed: how often progress is shown

Result<void> hash_some(const base::ByteSource& source, std::uint64_t from, std::uint64_t to, crypto::Hasher& hasher) {
  return base::for_each_piece(source, from, to - from, [&](ByteView piece) -> Result<void> {
    hasher.update(piece);
    return {};
  });
}

Result<crypto::Digest> digest_of_first(const base::ByteSource& source, std::uint64_t bytes) {
  crypto::Hasher hasher(crypto::DigestAlgorithm::sha256);
  TRY(hash_some(source, 0, bytes, hasher));
  return std::move(hasher).finish();
}

struct Start {
  bool keep = false;          // the receiver's whole files are ours
  std::size_t file = 0;       // index of the first to be sent
  std::uint64_t offset = 0;   // in it
  std::uint64_t bytes = 0;    // before that
};

// By content: the receiver's digests are compared with those of our own files.
Result<Start> where_to_start(const usb::ParcelReader& parcel, const usb::Standing& standing) {
  const std::vector<usb::FoundFile>& files = parcel.files();
  if (standing.files > files.size()) return Start{};
  Start start{true, standing.files, 0, 0};
  usb::FileListDigest list;
  for (std::size_t i = 0; i < start.file; ++i) {
    const usb::FileSource source = TRY(parcel.open_file(files[i]));
    list.add(files[i].path, source.size(), TRY(crypto::digest_of(crypto::DigestAlgorithm::sha256, source)));
    start.bytes += source.size();
  }
  if (std::move(list).finish() != standing.list) return Start{};
  if (standing.path.empty()) return start;
  if (start.file == files.size() || files[start.file].path != standing.path) return Start{};
  const usb::FileSource source = TRY(parcel.open_file(files[start.file]));
  if (source.size() != standing.size) return Start{};
  for (const usb::Checkpoint& point : standing.checkpoints) {
    if (point.size > source.size() || point.size == 0) continue;
    if (TRY(digest_of_first(source, point.size)) != point.sha256) continue;
    start.offset = point.size;
    start.bytes += point.size;
    return start;
  }
  return start;
}

class Sender {
 public:
  Sender(Channel& channel, const usb::ParcelReader& parcel, const usb::OnProgress& progress)
      : channel_(channel), parcel_(parcel), progress_(progress), total_(parcel.bytes()) {}

  Result<void> send_from(const Start& start) {
    done_ = start.bytes;
    TRY(say(channel_, GoOn{start.keep}));
    for (std::size_t i = start.file; i < parcel_.files().size(); ++i)
      TRY(send_file(parcel_.files()[i], i == start.file ? start.offset : 0));
    return {};
  }
  Result<void> show() const {
    if (!progress_) return {};
    const std::uint64_t waiting = std::min(channel_.unacknowledged(), done_);
    return progress_({parcel_.id(), path_, done_ - waiting, total_});
  }

 private:
  Result<void> send_file(const usb::FoundFile& file, std::uint64_t offset) {
    const usb::FileSource source = TRY(parcel_.open_file(file));
    TRY(say(channel_, FileBegin{file.path, source.size(), offset}));
    path_ = file.path;
    crypto::Hasher hasher(crypto::DigestAlgorithm::sha256);
    TRY(hash_some(source, 0, offset, hasher));
    Bytes block;
    while (offset < source.size()) {
      block.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kBlockBytes, source.size() - offset)));
      TRY(source.read_at(offset, block));
      hasher.update(block);
      TRY(send_block(block));
      offset += block.size();
    }
    return say(channel_, FileEnd{std::move(hasher).finish()});
  }

  Result<void> send_block(ByteView block) {
    if (std::optional<PackedData> packed = packer_.pack(block)) {
      TRY(say(channel_, std::move(*packed)));
      return passed(block.size());
    }
    while (!block.empty()) {
      const ByteView part = block.first(std::min(block.size(), kPlainBytes));
      TRY(say(channel_, FileData{base::to_bytes(part)}));
      TRY(passed(part.size()));
      block = block.subspan(part.size());
    }
    return {};
  }

  Result<void> passed(std::uint64_t bytes) {
    done_ += bytes;
    TRY(show());
    // The receiver may refuse early: its disk is full, say.
    const std::optional<Bytes> early = TRY(channel_.receive(Duration::zero()));
    if (!early) return {};
    const Words words = TRY(decode_words(*early));
    return fail_answer(words);
  }

  Channel& channel_;
  const usb::ParcelReader& parcel_;
  const usb::OnProgress& progress_;
  Packer packer_;
  std::string_view path_;
  std::uint64_t done_ = 0;
  std::uint64_t total_;
};

}  // namespace

Result<void> say(Channel& channel, const Words& words) { return channel.send(encode_words(words)); }

Result<Words> next_words(Channel& channel, const std::function<Result<void>()>& meanwhile, Duration patience) {
  constexpr Duration kSlice = std::chrono::milliseconds(250);
  std::uint64_t waiting = channel.unacknowledged();
  for (Duration quiet{}; quiet < patience; quiet += kSlice) {
    const std::optional<Bytes> message = TRY(channel.receive(kSlice));
    if (message) return decode_words(*message);
    if (meanwhile) TRY(meanwhile());
    // On a slow line what was said last takes minutes to get there.
    if (const std::uint64_t now = channel.unacknowledged(); now != waiting) {
      waiting = now;
      quiet = Duration::zero();
    }
  }
  return fail(Errc::unavailable, "the other end is there but does not answer");
}

tl::unexpected<base::Error> fail_answer(const Words& words) {
  if (const auto* no = std::get_if<Refused>(&words)) return fail(no->code, base::printable(no->reason));
  if (const auto* no = std::get_if<Abort>(&words)) return fail(no->code, base::printable(no->reason));
  return fail(Errc::malformed, "the other end said something that answers no question");
}

Result<Sent> send_parcel(Channel& channel, const usb::ParcelReader& parcel, const usb::OnProgress& progress) {
  const Bytes document = TRY(parcel.document());
  TRY(say(channel, Offer{parcel.kind(), parcel.id(), parcel.bytes(), crypto::sha256(document)}));
  const Words answer = TRY(next_words(channel, {}, kReading));   // it reads what it has
  if (std::holds_alternative<Accepted>(answer)) return Sent{parcel.id(), true, 0};
  const auto* ready = std::get_if<Ready>(&answer);
  if (ready == nullptr) return fail_answer(answer);

  const Start start = TRY(where_to_start(parcel, ready->standing));
  Sender sender(channel, parcel, progress);
  if (Result<void> sent = sender.send_from(start); !sent) {
    // Dropped by the other end when it is the one who ended it.
    (void)say(channel, Abort{sent.error().code(), sent.error().text()});
    return tl::unexpected<base::Error>(sent.error());
  }
  TRY(say(channel, Commit{}));
  const Words verdict = TRY(next_words(channel, [&] { return sender.show(); }, kReading));   // it reads what it wrote
  if (const auto* accepted = std::get_if<Accepted>(&verdict)) return Sent{parcel.id(), accepted->was_there, start.bytes};
  return fail_answer(verdict);
}

}  // namespace serial
