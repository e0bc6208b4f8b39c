#include "usb/files/parcel.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "usb/wire/package_path.hpp"
#include "usb/wire/request.hpp"
#include "usb/files/shared_folder.hpp"

namespace usb {
namespace {

using base::Bytes;
using base::ByteView;
using base::Errc;
using base::fail;
using base::Result;
namespace fs = std::filesystem;
namespace limits = base::limits;

constexpr std::size_t kComparedAtOnce = 1U << 20;   // bytes
const std::string kFilesPrefix = std::string(wire::kFilesFolder) + "/";

Result<void> expect_id(std::string_view id) {
  if (wire::is_request_id(id)) return {};
  return fail(Errc::refused, fmt::format("'{}' is no request id: 64 lower-case hex digits are wanted", base::printable(id)));
}

}  // namespace

ParcelRules rules_of(ParcelKind kind) {
  if (kind == ParcelKind::request)
    return {wire::kManifestName, limits::kManifestBytes, limits::kPackageFiles, limits::kPackageBytes};
  // Signing makes files longer and adds catalogs.
  return {wire::kReceiptName, limits::kReceiptBytes, limits::kPackageFiles + limits::kCatalogs, 2 * limits::kPackageBytes};
}

Result<ParcelReader> ParcelReader::open(const Folder& parent, std::string id, ParcelKind kind) {
  TRY(expect_id(id));
  const ParcelRules rules = rules_of(kind);
  Folder folder = TRY(parent.folder(id));
  FoundFile document = TRY(folder.stat(rules.document));
  if (document.size > rules.document_bytes)
    return fail(Errc::too_large, fmt::format("{}/{}: {} bytes, at most {}", id, rules.document, document.size, rules.document_bytes));

  ParcelReader parcel(std::move(folder), std::move(id), kind);
  Result<Folder> files = parcel.folder_.folder(wire::kFilesFolder);
  if (!files && files.error().code() != Errc::not_found) return tl::unexpected<base::Error>(files.error());
  if (files) parcel.files_ = TRY(files->files(rules.files, rules.bytes));
  for (FoundFile& file : parcel.files_) {
    TRY(base::within(parcel.id_, wire::expect_package_path(file.path)));
    file.path.insert(0, kFilesPrefix);
    parcel.bytes_ += file.size;
  }
  std::sort(parcel.files_.begin(), parcel.files_.end(), [](const FoundFile& a, const FoundFile& b) {
    return base::lower_ascii(a.path) < base::lower_ascii(b.path);
  });
  parcel.bytes_ += document.size;
  parcel.files_.push_back(std::move(document));
  return parcel;
}

Result<Bytes> ParcelReader::document() const {
  const ParcelRules rules = rules_of(kind_);
  return folder_.read(rules.document, rules.document_bytes);
}

Result<crypto::Digest> ParcelReader::fingerprint() const {
  base::ByteWriter list;
  const Bytes signed_document = TRY(document());
  list.put_counted(signed_document);
  for (const FoundFile& file : files_)
    list.put_counted(base::as_bytes(file.path)).u64le(file.size).u64le(static_cast<std::uint64_t>(file.modified));
  return crypto::sha256(list.bytes());
}

struct ParcelWriter::State {
  fs::path parent;
  std::string id;
  ParcelRules rules{};
  fs::path part;
  bool keep = false;
  int lock = -1;   // flock(2) on the .part folder: two cables may bring the same request at once
  bool has_document = false;
  std::size_t files = 0;
  std::uint64_t bytes = 0;       // announced, all files
  std::uint64_t expected = 0;    // of the open file, still to come
  std::string last;              // lower-case path of the last file
  std::string path;              // of the open file
  std::optional<FileWriter> file;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (lock < 0) return;
    if (keep && file) file->keep();
    file.reset();
    std::error_code pulled;   // nothing can be removed from a stick that is gone
    if (!part.empty() && !keep) fs::remove_all(part, pulled);
    ::close(lock);
  }
};

ParcelWriter::ParcelWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
ParcelWriter::ParcelWriter(ParcelWriter&&) noexcept = default;
ParcelWriter& ParcelWriter::operator=(ParcelWriter&&) noexcept = default;
ParcelWriter::~ParcelWriter() = default;

namespace {

Result<void> empty_folder(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error); !error && at != fs::directory_iterator(); at.increment(error)) {
    fs::remove_all(at->path(), error);
    if (error) break;
  }
  if (!error) return {};
  return fail(Errc::io, fmt::format("{}: removing what an earlier attempt left: {}", base::printable(folder.string()), error.message()));
}

// Makes the folder, or takes over what a crash left. The descriptor returned holds a lock on it.
Result<int> take_part_folder(const fs::path& part) {
  const std::string shown = base::printable(part.string());
  struct stat status {};
  std::error_code error;
  if (::lstat(part.c_str(), &status) == 0 && !S_ISDIR(status.st_mode)) fs::remove(part, error);
  TRY(make_folders(part));
  const int descriptor = ::open(part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor < 0) return fail(Errc::io, fmt::format("{}: {}", shown, std::strerror(errno)));
  struct stat opened {};
  // Whoever held it may have renamed it to its final name just before we got the lock: then it is not ours to empty.
  const bool ours = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && ::fstat(descriptor, &opened) == 0 &&
                    ::lstat(part.c_str(), &status) == 0 && opened.st_ino == status.st_ino && opened.st_dev == status.st_dev;
  if (!ours) {
    ::close(descriptor);
    return fail(Errc::unavailable, fmt::format("{}: the same one is just being received over another cable", shown));
  }
  return descriptor;
}

}  // namespace

Result<ParcelWriter> ParcelWriter::begin(const fs::path& parent, std::string id, ParcelKind kind, Unfinished unfinished) {
  TRY(expect_id(id));
  TRY(make_folders(parent));
  auto state = std::make_unique<State>();
  state->parent = parent;
  state->rules = rules_of(kind);
  state->part = parent / (id + ".part");
  state->id = std::move(id);
  state->keep = unfinished == Unfinished::kept;
  state->lock = TRY(take_part_folder(state->part));
  if (!state->keep) TRY(empty_folder(state->part));
  return ParcelWriter(std::move(state));
}

const fs::path& ParcelWriter::folder() const { return state_->part; }

void ParcelWriter::remove_unfinished() { state_->keep = false; }
bool ParcelWriter::is_whole() const { return !state_->file && state_->has_document; }

Result<void> ParcelWriter::forget() {
  State& s = *state_;
  s.file.reset();
  s.has_document = false;
  s.files = 0;
  s.bytes = 0;
  s.expected = 0;
  s.last.clear();
  return empty_folder(s.part);
}

// Whether this file may come now, and counts it.
Result<void> ParcelWriter::expect_next(std::string_view path, std::uint64_t size) {
  State& s = *state_;
  const std::string shown = base::printable(path);
  if (s.file) return fail(Errc::malformed, fmt::format("{}: begins before {} has ended", shown, s.path));
  if (s.has_document) return fail(Errc::malformed, fmt::format("{}: comes after {}, which must be last", shown, s.rules.document));
  const bool is_document = path == s.rules.document;
  std::uint64_t limit = s.rules.document_bytes;
  if (!is_document) {
    if (!path.starts_with(kFilesPrefix))
      return fail(Errc::refused, fmt::format("{}: only {} and files below {} are taken", shown, s.rules.document, kFilesPrefix));
    TRY(wire::expect_package_path(path.substr(kFilesPrefix.size())));
    std::string lower = base::lower_ascii(path);
    if (lower <= s.last)
      return fail(Errc::malformed, fmt::format("{}: comes after {}, but lower-case paths must ascend", shown, s.last));
    s.last = std::move(lower);
    if (++s.files > s.rules.files) return fail(Errc::too_large, fmt::format("{}: more than {} files", shown, s.rules.files));
    limit = std::min(limits::kFileBytes, s.rules.bytes - s.bytes);
    if (size <= limit) s.bytes += size;
  }
  if (size > limit) return fail(Errc::too_large, fmt::format("{}: {} bytes, at most {} here", shown, size, limit));
  s.path = path;
  s.has_document = is_document;
  return {};
}

Result<void> ParcelWriter::begin_file(std::string_view path, std::uint64_t size) {
  State& s = *state_;
  TRY(expect_next(path, size));
  const fs::path target = s.part / path;
  TRY(make_folders(target.parent_path()));
  s.file = TRY(FileWriter::create(target));
  s.expected = size;
  return {};
}

Result<void> ParcelWriter::count_file(std::string_view path, std::uint64_t size) {
  TRY(expect_next(path, size));
  struct stat status {};
  if (::lstat((state_->part / path).c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
      static_cast<std::uint64_t>(status.st_size) == size)
    return {};
  return fail(Errc::mismatch, fmt::format("{}: is not there any more as it came", base::printable(path)));
}

Result<void> ParcelWriter::resume_file(std::string_view path, std::uint64_t size, std::uint64_t offset) {
  State& s = *state_;
  if (offset > size) return fail(Errc::malformed, fmt::format("{}: goes on behind its end", base::printable(path)));
  TRY(expect_next(path, size));
  s.file = TRY(FileWriter::resume(s.part / path, offset));
  s.expected = size - offset;
  return {};
}

Result<void> ParcelWriter::sync() {
  if (!state_->file) return {};
  TRY(state_->file->sync());
  return sync_folder((state_->part / state_->path).parent_path());
}

Result<void> ParcelWriter::write(ByteView bytes) {
  State& s = *state_;
  if (!s.file) return fail(Errc::malformed, "bytes of a file, but no file has begun");
  if (bytes.size() > s.expected)
    return fail(Errc::malformed, fmt::format("{}: more bytes come than were announced", s.path));
  s.expected -= bytes.size();
  return s.file->write(bytes);
}

Result<crypto::Digest> ParcelWriter::end_file() {
  State& s = *state_;
  if (!s.file) return fail(Errc::malformed, "the end of a file, but no file has begun");
  if (s.expected != 0) return fail(Errc::malformed, fmt::format("{}: {} announced bytes are missing", s.path, s.expected));
  FileWriter writer = std::move(*s.file);
  s.file.reset();
  return writer.commit();
}

Result<void> ParcelWriter::add(std::string_view path, const base::ByteSource& source, Progress& so_far,
                               const OnProgress& progress) {
  TRY(begin_file(path, source.size()));
  so_far.path = path;
  TRY(base::for_each_piece(source, 0, source.size(), [&](ByteView piece) -> Result<void> {
    TRY(write(piece));
    so_far.done += piece.size();
    return progress ? progress(so_far) : Result<void>();
  }));
  TRY(end_file());
  return {};
}

Result<void> ParcelWriter::commit(IfThere if_there) {
  State& s = *state_;
  if (s.file) return fail(Errc::malformed, fmt::format("{}: has not ended", s.path));
  if (!s.has_document) return fail(Errc::malformed, fmt::format("{}: {} has not come", s.id, s.rules.document));
  TRY(give_rights_of_shared_folder(s.parent, s.part));
  TRY(rename_durably(s.part, s.parent / s.id, if_there));
  s.part.clear();
  return {};
}

// Said before anything is written, because a stick takes minutes to fill. Write errors are checked all the same.
Result<void> expect_space(const fs::path& folder, std::uint64_t needed) {
  struct statvfs status {};
  if (statvfs(folder.c_str(), &status) != 0 || status.f_blocks == 0) return {};
  const std::uint64_t present = std::uint64_t{status.f_bavail} * status.f_frsize;
  if (needed <= present) return {};
  return fail(Errc::no_space, fmt::format("{}: the medium is full: {} bytes needed, {} free",
                                          base::printable(folder.string()), needed, present));
}

Result<void> copy_parcel(const ParcelReader& from, const fs::path& parent, IfThere if_there, const OnProgress& progress) {
  ParcelWriter to = TRY(ParcelWriter::begin(parent, from.id(), from.kind()));
  TRY(expect_space(parent, from.bytes()));
  Progress so_far{from.id(), {}, 0, from.bytes()};
  for (const FoundFile& file : from.files()) {
    const FileSource source = TRY(from.open_file(file));
    TRY(to.add(file.path, source, so_far, progress));
  }
  return to.commit(if_there);
}

namespace {

// The copy is read from its medium: pages that are still in memory say nothing about a worn-out stick.
Result<bool> is_copy_of(const FileSource& original, const FileSource& copy, Progress& so_far, const OnProgress& progress) {
  (void)posix_fadvise(copy.descriptor(), 0, 0, POSIX_FADV_DONTNEED);
  if (original.size() != copy.size()) return false;
  Bytes ours;
  Bytes theirs;
  for (std::uint64_t offset = 0; offset < original.size(); offset += ours.size()) {
    ours.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kComparedAtOnce, original.size() - offset)));
    theirs.resize(ours.size());
    TRY(original.read_at(offset, ours));
    if (!copy.read_at(offset, theirs) || ours != theirs) return false;
    so_far.done += ours.size();
    if (progress) TRY(progress(so_far));
  }
  return true;
}

}  // namespace

Result<bool> holds_same_parcel(const ParcelReader& parcel, const fs::path& parent, const OnProgress& progress) {
  const Result<Folder> folder = Folder::open(parent);
  if (!folder) return false;
  const Result<ParcelReader> there = ParcelReader::open(*folder, parcel.id(), parcel.kind());
  if (!there) return false;
  const auto same = [](const FoundFile& a, const FoundFile& b) { return a.path == b.path && a.size == b.size; };
  if (!std::equal(parcel.files().begin(), parcel.files().end(), there->files().begin(), there->files().end(), same)) return false;
  Progress so_far{parcel.id(), {}, 0, parcel.bytes()};
  for (const FoundFile& file : parcel.files()) {
    so_far.path = file.path;
    const FileSource ours = TRY(parcel.open_file(file));
    const Result<FileSource> theirs = there->open_file(file);
    if (!theirs || !TRY(is_copy_of(ours, *theirs, so_far, progress))) return false;
  }
  return true;
}

Result<void> expect_room_in_inbox(const fs::path& inbox, std::uint64_t bytes) {
  const Result<Folder> folder = Folder::open(inbox);
  if (!folder) {
    if (folder.error().code() == Errc::not_found) return {};
    return tl::unexpected<base::Error>(folder.error());
  }
  const std::vector<std::string> waiting = TRY(folder->names(limits::kRequestsWaiting, wire::is_request_id));
  if (waiting.size() >= limits::kRequestsWaiting)
    return fail(Errc::unavailable, fmt::format("{} requests are waiting in the inbox already; try again later", waiting.size()));
  if (bytes > limits::kOutputBytes) return {};   // too large for any disk here: its own refusal follows
  return base::within("no room for another request", expect_space(inbox, 3 * bytes + limits::kKeptFree));
}

}  // namespace usb
