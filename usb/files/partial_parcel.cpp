#include "usb/files/partial_parcel.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/base/limits.hpp"
#include "usb/wire/request.hpp"

namespace usb {
namespace {

using base::Bytes;
using base::ByteReader;
using base::ByteView;
using base::ByteWriter;
using base::Errc;
using base::fail;
using base::Result;
namespace fs = std::filesystem;

constexpr std::string_view kJournal = "journal";        // FileWriter adds ".part", and here it never loses it
constexpr std::size_t kRecordBytes = 600;
constexpr std::size_t kCheckBytes = 4;
constexpr std::string_view kPartSuffix = ".part";

enum class Record : std::uint8_t { parcel = 1, file = 2, whole = 3, synced = 4 };

Bytes check_of(ByteView record) {
  const crypto::Digest digest = crypto::sha256(record);
  return base::to_bytes(digest.bytes().first(kCheckBytes));
}

// The record at `offset`, which moves behind it; nothing at the end, or where a power cut tore the journal.
Result<std::optional<Bytes>> next_record(const FileSource& journal, std::uint64_t& offset) {
  if (journal.size() - offset < 4 + kCheckBytes) return std::optional<Bytes>();
  const Bytes head = TRY(base::read_region(journal, offset, 4 + kCheckBytes, 4 + kCheckBytes));
  ByteReader reader(head);
  const std::uint32_t length = TRY(reader.u32le());
  const ByteView check = TRY(reader.take(kCheckBytes));
  if (length > kRecordBytes || journal.size() - offset - head.size() < length) return std::optional<Bytes>();
  Bytes record = TRY(base::read_region(journal, offset + head.size(), length, kRecordBytes));
  if (!std::ranges::equal(check, check_of(record))) return std::optional<Bytes>();
  offset += head.size() + length;
  return std::optional<Bytes>(std::move(record));
}

Result<crypto::Digest> take_digest(ByteReader& reader) {
  const ByteView bytes = TRY(reader.take(32));
  return crypto::Digest::from_bytes(crypto::DigestAlgorithm::sha256, bytes);
}

std::int64_t last_touched(const fs::path& part) {   // seconds since 1970; what cannot be looked at is oldest
  struct stat journal {};
  struct stat files {};
  if (::lstat((part / (std::string(kJournal) + std::string(kPartSuffix))).c_str(), &journal) != 0) return -1;
  return ::lstat(part.c_str(), &files) == 0 ? std::max<std::int64_t>(journal.st_mtim.tv_sec, files.st_mtim.tv_sec) : -1;
}

bool is_unfinished(std::string_view name) {
  return name.ends_with(kPartSuffix) && wire::is_request_id(name.substr(0, name.size() - kPartSuffix.size()));
}

}  // namespace

void FileListDigest::add(std::string_view path, std::uint64_t size, const crypto::Digest& sha256) {
  ByteWriter entry;
  entry.put_counted(base::as_bytes(path)).u64le(size).put(sha256.bytes());
  hasher_.update(entry.bytes());
}

PartialParcel::~PartialParcel() {
  if (journal_) journal_->keep();
}

void PartialParcel::discard() && {
  journal_.reset();
  writer_.remove_unfinished();
}

Result<PartialParcel> PartialParcel::open(const fs::path& parent, std::string id, ParcelKind kind, const crypto::Digest& document) {
  ParcelWriter writer = TRY(ParcelWriter::begin(parent, std::move(id), kind, ParcelWriter::Unfinished::kept));
  PartialParcel parcel(std::move(writer), document);
  // Whatever is wrong with what lies there, the answer is the same: it is not gone on with.
  if (!parcel.replay() || !parcel.journal_) TRY(parcel.forget());
  return parcel;
}

Result<void> PartialParcel::forget() {
  journal_.reset();
  TRY(writer_.forget());
  standing_ = {};
  return begin_journal();
}

Result<void> PartialParcel::begin_journal() {
  journal_ = TRY(FileWriter::create(writer_.folder() / kJournal));
  ByteWriter record;
  record.u8(static_cast<std::uint8_t>(Record::parcel)).put(document_.bytes());
  return note(record.bytes());
}

Result<void> PartialParcel::note(ByteView record) {
  ByteWriter framed;
  framed.u32le(static_cast<std::uint32_t>(record.size())).put(check_of(record)).put(record);
  return journal_->write(framed.bytes());
}

Result<void> PartialParcel::replay() {
  const fs::path file = writer_.folder() / kJournal;
  const FileSource journal = TRY(FileSource::open(file.string() + std::string(kPartSuffix)));
  standing_ = {};
  FileListDigest list;
  std::uint64_t end = 0;
  bool is_ours = false;
  while (const std::optional<Bytes> bytes = TRY(next_record(journal, end))) {
    ByteReader record(*bytes);
    const std::uint8_t kind = TRY(record.u8());
    if (kind == static_cast<std::uint8_t>(Record::file)) {
      standing_.size = TRY(record.u64le());
      const ByteView path = TRY(record.take(record.remaining()));
      standing_.path = base::as_text(path);
      certain_ = 0;
      continue;
    }
    if (kind == static_cast<std::uint8_t>(Record::synced)) {
      certain_ = TRY(record.u64le());
      continue;
    }
    const crypto::Digest digest = TRY(take_digest(record));
    if (kind == static_cast<std::uint8_t>(Record::parcel)) {
      is_ours = digest == document_;
      continue;
    }
    TRY(writer_.count_file(standing_.path, standing_.size));
    list.add(standing_.path, standing_.size, digest);
    ++standing_.files;
    standing_.bytes += standing_.size;
    standing_.path.clear();
  }
  if (!is_ours) return fail(Errc::mismatch, "what lies there is of another document");
  standing_.list = std::move(list).finish();
  if (!standing_.path.empty()) TRY(add_checkpoints());
  journal_ = TRY(FileWriter::resume(file, end));
  return {};
}

Result<void> PartialParcel::add_checkpoints() {
  const Result<FileSource> came = FileSource::open((writer_.folder() / standing_.path).string() + std::string(kPartSuffix));
  if (!came || came->size() > standing_.size) {
    standing_.path.clear();   // it was whole already, or never begun: it comes again
    return {};
  }
  const std::uint64_t all = came->size();
  const std::uint64_t certain = std::min(all, certain_);
  crypto::Hasher to_all(crypto::DigestAlgorithm::sha256);
  crypto::Hasher to_certain(crypto::DigestAlgorithm::sha256);
  TRY(base::for_each_piece(*came, 0, certain, [&](ByteView piece) -> Result<void> {
    to_certain.update(piece);
    to_all.update(piece);
    return {};
  }));
  TRY(base::for_each_piece(*came, certain, all - certain, [&](ByteView piece) -> Result<void> {
    to_all.update(piece);
    return {};
  }));
  standing_.checkpoints.push_back({all, std::move(to_all).finish()});
  if (certain > 0 && certain < all) standing_.checkpoints.push_back({certain, std::move(to_certain).finish()});
  standing_.bytes += all;
  return {};
}

Result<void> PartialParcel::begin_file(std::string_view path, std::uint64_t size, std::uint64_t offset) {
  if (offset == 0) {
    if (!standing_.path.empty() && path != standing_.path)
      return fail(Errc::malformed, fmt::format("{} was under way, and another file comes", standing_.path));
    TRY(writer_.begin_file(path, size));
    ByteWriter record;
    record.u8(static_cast<std::uint8_t>(Record::file)).u64le(size).put(base::as_bytes(path));
    TRY(note(record.bytes()));
  } else {
    const auto is_there = [&](const Checkpoint& point) { return point.size == offset; };
    if (path != standing_.path || size != standing_.size || std::ranges::none_of(standing_.checkpoints, is_there))
      return fail(Errc::malformed, "a file goes on where none had stopped");
    TRY(writer_.resume_file(path, size, offset));
  }
  standing_.path.clear();   // only the first file may go on
  path_ = path;
  written_ = synced_ = offset;
  return {};
}

Result<void> PartialParcel::write(ByteView bytes, std::chrono::steady_clock::time_point now) {
  TRY(writer_.write(bytes));
  written_ += bytes.size();
  if (written_ - synced_ < kSyncBytes || now - synced_at_ < kSyncEvery) return {};
  TRY(writer_.sync());   // first the bytes, then the journal that says they are there
  synced_ = written_;
  synced_at_ = now;
  ByteWriter record;
  record.u8(static_cast<std::uint8_t>(Record::synced)).u64le(written_);
  TRY(note(record.bytes()));
  return journal_->sync();
}

Result<void> PartialParcel::end_file(const crypto::Digest& sha256) {
  const crypto::Digest there = TRY(writer_.end_file());
  if (there != sha256) return fail(Errc::mismatch, fmt::format("{}: other bytes came than the sender has", path_));
  ByteWriter record;
  record.u8(static_cast<std::uint8_t>(Record::whole)).put(sha256.bytes());
  return note(record.bytes());
}

Result<void> PartialParcel::commit(IfThere if_there) {
  if (!writer_.is_whole()) return fail(Errc::malformed, "the end of a parcel that is not whole");
  journal_.reset();
  return writer_.commit(if_there);
}

Result<void> prune_unfinished(const fs::path& parent, std::size_t most, std::int64_t before) {
  const Result<Folder> folder = Folder::open(parent);
  if (!folder) {
    if (folder.error().code() == Errc::not_found) return {};
    return tl::unexpected<base::Error>(folder.error());
  }
  std::vector<std::pair<std::int64_t, fs::path>> parts;   // oldest first
  const std::vector<std::string> names = TRY(folder->names(base::limits::kRequestsOnAStick, is_unfinished));
  for (const std::string& name : names)
    parts.emplace_back(last_touched(parent / name), parent / name);
  std::sort(parts.begin(), parts.end());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& [touched, part] = parts[i];
    if (touched >= before && touched >= 0 && parts.size() - i <= most) continue;
    const int lock = ::open(part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    std::error_code stays;   // it is tried again at the next start
    if (lock < 0 || ::flock(lock, LOCK_EX | LOCK_NB) == 0) fs::remove_all(part, stays);
    if (lock >= 0) ::close(lock);
  }
  return {};
}

}  // namespace usb
