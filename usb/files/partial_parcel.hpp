// A parcel that may come in pieces: over a serial cable that is cut, to a program that is killed, before a power cut. What
// came lies in <id>.part, where nobody takes it for a request, with a journal of what is whole. Whoever offers the same
// parcel again (same id, same document) is told how far it came, by content, and goes on there.
//
//   <id>.part/journal.part       records: length (4 bytes, little-endian), first 4 bytes of its SHA-256, contents
//   <id>.part/files/PATH         whole files     <id>.part/files/PATH.part      the one that was under way
//
// Files and journal are fsynced while they grow, at most four times a second: a power cut costs what came since. On a line of
// 4,000,000 baud that is less than a window of the link. Does not decide what is still
// worth keeping: whoever learns that the bytes are wrong calls discard(). Errors as usb/files/parcel.hpp.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "usb/files/parcel.hpp"

namespace usb {

inline constexpr std::uint64_t kSyncBytes = 16U << 10;   // not for fewer
inline constexpr std::chrono::milliseconds kSyncEvery(250);

// Runs over all whole files in order: their paths, sizes and digests.
class FileListDigest {
 public:
  void add(std::string_view path, std::uint64_t size, const crypto::Digest& sha256);
  crypto::Digest finish() && { return std::move(hasher_).finish(); }

 private:
  crypto::Hasher hasher_{crypto::DigestAlgorithm::sha256};
};

// The first `size` bytes of a file that is under way, and their SHA-256.
struct Checkpoint {
  std::uint64_t size = 0;
  crypto::Digest sha256;
};

struct Standing {   // how far a parcel came
  std::uint32_t files = 0;                // whole ones
  crypto::Digest list = FileListDigest().finish();   // over them
  std::uint64_t bytes = 0;                // of them, and of the first checkpoint
  std::string path;                       // of the file that was under way; empty when none was
  std::uint64_t size = 0;                 // of that file when it is whole
  std::vector<Checkpoint> checkpoints;    // of it: all that came, then what certainly survived a power cut; or fewer
};

class PartialParcel {
 public:
  // Takes up <parent>/<id>.part when it is of the same document, and begins it otherwise.
  static base::Result<PartialParcel> open(const std::filesystem::path& parent, std::string id, ParcelKind kind,
                                          const crypto::Digest& document);
  PartialParcel(PartialParcel&&) noexcept = default;
  PartialParcel& operator=(PartialParcel&&) noexcept = default;
  ~PartialParcel();   // what came stays
  const Standing& standing() const { return standing_; }
  // Before the first file: what came is not what the sender has.
  base::Result<void> forget();
  // offset: 0, or one of the checkpoints for the file that was under way.
  base::Result<void> begin_file(std::string_view path, std::uint64_t size, std::uint64_t offset);
  base::Result<void> write(base::ByteView bytes, std::chrono::steady_clock::time_point now);
  // Errc::mismatch when these are not the bytes that the sender has.
  base::Result<void> end_file(const crypto::Digest& sha256);
  base::Result<void> commit(IfThere if_there);
  void discard() &&;   // nothing stays

 private:
  PartialParcel(ParcelWriter writer, const crypto::Digest& document) : writer_(std::move(writer)), document_(document) {}
  base::Result<void> replay();
  base::Result<void> add_checkpoints();
  base::Result<void> begin_journal();
  base::Result<void> note(base::ByteView record);

  ParcelWriter writer_;
  std::optional<FileWriter> journal_;
  crypto::Digest document_;
  Standing standing_;
  std::string path_;               // of the open file
  std::uint64_t written_ = 0;      // of it
  std::uint64_t certain_ = 0;      // of the file in standing_, when a power cut came
  std::uint64_t synced_ = 0;
  std::chrono::steady_clock::time_point synced_at_{};
};

// Removes what nobody will go on with below `parent`: without a journal, not touched since `before` (seconds since 1970), or more than
// `most` of them, the oldest first. Those under way elsewhere stay.
base::Result<void> prune_unfinished(const std::filesystem::path& parent, std::size_t most, std::int64_t before);

}  // namespace usb
