// A parcel is one request or one response as it crosses the gap, whichever cable: a folder named by the request's id
// with one signed document and the files below files/. Here it is read and written; nothing in it is parsed or believed.
//
//   <id>/request.dsse.json  or  <id>/receipt.dsse.json     the document
//   <id>/files/...                                          any number of files, under limits
//
// A parcel is written as <id>.part and renamed when it is complete, so a half-received one is never seen under its id.
// Files travel in ascending order of their lower-case paths, the document last. The order is a rule of the writer: it
// makes two names that differ only in case, and the ".part" name of a file that is being written, impossible to confuse.
// Errors: Errc::refused (a path or a kind of file that is not allowed), Errc::too_large, Errc::no_space, Errc::io,
// Errc::malformed (order, or more or fewer bytes than were announced), Errc::unavailable (being received elsewhere).
// Everything else lying in a parcel's folder (Thumbs.db and the like) is left where it is. In the outbox that is
// kOwnerName: the key id of the submitter whose request was answered, in 64 hex digits, written by coldseald. Until then
// <id> + kWaitingSuffix lies in the outbox, a file with that key id: coldseald has the request, and it waits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"
#include "usb/files/folder.hpp"
#include "usb/files/safe_write.hpp"

namespace usb {

inline constexpr std::string_view kOwnerName = "owner";
inline constexpr std::string_view kWaitingSuffix = ".waiting";
// Beside the parcels in the inbox: <id>.delivered holds the SHA-256 of the receipt, in hex, of a response that has arrived.
inline constexpr std::string_view kDeliveredSuffix = ".delivered";

enum class ParcelKind : std::uint8_t { request, response };

struct ParcelRules {
  std::string_view document;      // name of the document
  std::uint64_t document_bytes;   // at most
  std::size_t files;              // at most, without the document
  std::uint64_t bytes;            // at most, all files together
};
ParcelRules rules_of(ParcelKind kind);

// How far a transfer has come. An error returned from the callback stops the transfer and becomes its result.
struct Progress {
  std::string_view id;
  std::string_view path;       // the file being copied
  std::uint64_t done = 0;      // bytes of the whole parcel
  std::uint64_t total = 0;
};
using OnProgress = std::function<base::Result<void>(const Progress&)>;

class ParcelReader {
 public:
  // The parcel <parent>/<id>. Errc::not_found when there is none, or it has no document yet.
  static base::Result<ParcelReader> open(const Folder& parent, std::string id, ParcelKind kind);

  const std::string& id() const { return id_; }
  ParcelKind kind() const { return kind_; }
  // In the order in which they travel: "files/..." by lower-case path, the document last.
  const std::vector<FoundFile>& files() const { return files_; }
  std::uint64_t bytes() const { return bytes_; }
  base::Result<FileSource> open_file(const FoundFile& file) const { return folder_.file(file.path); }
  base::Result<base::Bytes> document() const;
  // SHA-256 over the document and every path, size and time of change: whether a parcel seen again is still the same.
  base::Result<crypto::Digest> fingerprint() const;

 private:
  ParcelReader(Folder folder, std::string id, ParcelKind kind)
      : folder_(std::move(folder)), id_(std::move(id)), kind_(kind) {}
  Folder folder_;
  std::string id_;
  ParcelKind kind_;
  std::vector<FoundFile> files_;
  std::uint64_t bytes_ = 0;
};

class ParcelWriter {  // one parcel being received; nothing is left of it unless commit() succeeded, or it is to be kept
 public:
  enum class Unfinished : std::uint8_t { removed, kept };
  // Starts <parent>/<id>.part. Removed: what a crash left there goes, and so does what is not committed. Kept: both stay,
  // for PartialParcel. parent is made when it is not there.
  static base::Result<ParcelWriter> begin(const std::filesystem::path& parent, std::string id, ParcelKind kind,
                                          Unfinished unfinished = Unfinished::removed);
  // For PartialParcel: the folder; to forget what is in it; to count a file that is in it already, whole; to go on with
  // one whose first `offset` bytes are; to make what was written survive a power cut.
  const std::filesystem::path& folder() const;
  base::Result<void> forget();
  base::Result<void> count_file(std::string_view path, std::uint64_t size);
  base::Result<void> resume_file(std::string_view path, std::uint64_t size, std::uint64_t offset);
  base::Result<void> sync();
  void remove_unfinished();   // nothing is to be kept after all
  bool is_whole() const;      // the document has come, and no file is open
  // Next file, by its path in the parcel; size is what the sender says it will be and allocates nothing.
  base::Result<void> begin_file(std::string_view path, std::uint64_t size);
  base::Result<void> write(base::ByteView bytes);
  base::Result<crypto::Digest> end_file();   // fsynced and read back; its SHA-256
  // One whole file; so_far.done grows by its size.
  base::Result<void> add(std::string_view path, const base::ByteSource& source, Progress& so_far,
                         const OnProgress& progress);
  // Renames to <parent>/<id>. The document must have come. Errc::refused when one is already there, unless it may be replaced.
  base::Result<void> commit(IfThere if_there);

  ParcelWriter(ParcelWriter&&) noexcept;
  ParcelWriter& operator=(ParcelWriter&&) noexcept;
  ~ParcelWriter();

 private:
  struct State;
  base::Result<void> expect_next(std::string_view path, std::uint64_t size);
  explicit ParcelWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Copies a parcel below `parent`, every file as safe_write.hpp does.
base::Result<void> copy_parcel(const ParcelReader& from, const std::filesystem::path& parent,
                               IfThere if_there, const OnProgress& progress = {});

// Whether <parent>/<id> holds the same parcel: paths, sizes and every byte, read from its medium. One that cannot be read is none.
base::Result<bool> holds_same_parcel(const ParcelReader& parcel, const std::filesystem::path& parent, const OnProgress& progress = {});

// Errc::no_space when the file system of `folder` has less room than that; says both numbers.
base::Result<void> expect_space(const std::filesystem::path& folder, std::uint64_t needed);

// Errc::unavailable when limits::kRequestsWaiting requests lie there untaken; Errc::no_space when one of so many bytes would not
// fit three times (in the inbox, as coldseald's copy, as the response) and leave limits::kKeptFree to the log.
base::Result<void> expect_room_in_inbox(const std::filesystem::path& inbox, std::uint64_t bytes);

}  // namespace usb
