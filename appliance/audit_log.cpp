#include "appliance/audit_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "crypto/transparency/anchored_lines.hpp"
#include "usb/files/file_source.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;
using transparency::AuditEvent;
using transparency::AuditLine;

namespace {

std::string reason() { return std::strerror(errno); }

Result<void> write_whole(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(descriptor, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno == ENOSPC ? Errc::no_space : Errc::io, fmt::format("audit log: {}", reason()));
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  if (fdatasync(descriptor) != 0) return fail(Errc::io, fmt::format("audit log: fsync: {}", reason()));
  return {};
}

}  // namespace

AuditLog::AuditLog(AuditLog&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      clock_(other.clock_),
      size_(other.size_),
      torn_(other.torn_),
      has_more_(other.has_more_),
      chain_(std::move(other.chain_)),
      tree_(std::move(other.tree_)),
      last_line_(std::move(other.last_line_)) {}

AuditLog& AuditLog::operator=(AuditLog&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(clock_, other.clock_);
  std::swap(size_, other.size_);
  std::swap(torn_, other.torn_);
  std::swap(has_more_, other.has_more_);
  std::swap(chain_, other.chain_);
  std::swap(tree_, other.tree_);
  std::swap(last_line_, other.last_line_);
  return *this;
}

AuditLog::~AuditLog() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<AuditLog::Opened> AuditLog::open(const std::filesystem::path& file, const Clock& clock) {
  std::vector<AuditLine> lines;
  AuditLog log = TRY(open(file, clock, [&lines](const AuditLine& line, const crypto::Digest&) -> Result<void> {
    lines.push_back(line);
    return {};
  }));
  return Opened{std::move(log), std::move(lines)};
}

Result<AuditLog> AuditLog::open(const std::filesystem::path& file, const Clock& clock, const SeeLine& see) {
  TRY(usb::make_folders(file.parent_path()));
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return fail(Errc::io, fmt::format("{}: {}", file.string(), reason()));
  AuditLog log(descriptor, clock);
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0)
    return fail(Errc::unavailable, fmt::format("{}: another coldseald holds the audit log", file.string()));
  TRY(usb::sync_folder(file.parent_path()));

  const usb::FileSource source = TRY(usb::FileSource::open(file));
  auto read = transparency::for_each_audit_line(source, [&](std::string_view text) -> Result<void> {
    const AuditLine line = TRY(log.chain_.accept(text));
    log.take_in(text);
    return see(line, log.chain_.head());
  });
  if (!read)
    return fail(Errc::mismatch, fmt::format("{}: {}; the audit log was changed or damaged: do not sign, keep the file, "
                                            "call an administrator",
                                            file.string(), read.error().text()));
  log.size_ = *read;
  log.torn_ = source.size() - *read;
  return log;
}

Result<std::optional<AuditLine>> AuditLog::mend() {
  if (torn_ == 0) return std::optional<AuditLine>();
  const std::uint64_t torn = std::exchange(torn_, 0);
  has_more_ = true;
  Result<AuditLine> line = append(AuditEvent::recovered, "", {{"what", "a line that was being written when the power went was cut off"},
                                                              {"bytes", fmt::format("{}", torn)},
                                                              {std::string(transparency::kAnchorField), std::string(transparency::kProvisional)}});
  if (!line) {
    torn_ = torn;   // another time
    return tl::unexpected<base::Error>(line.error());
  }
  return std::optional(std::move(*line));
}

void AuditLog::take_in(std::string_view text) {
  tree_.add(base::as_bytes(text));
  last_line_ = text;
}

Result<void> AuditLog::cut_off_what_failed() {
  if (!has_more_) return {};
  struct stat status {};
  if (fstat(descriptor_, &status) != 0) return fail(Errc::io, fmt::format("audit log: {}", reason()));
  const bool is_longer = static_cast<std::uint64_t>(status.st_size) > size_;
  if (is_longer && ftruncate(descriptor_, static_cast<off_t>(size_)) != 0)
    return fail(Errc::io, fmt::format("audit log: cutting off a torn line: {}", reason()));
  has_more_ = false;
  return {};
}

base::Time AuditLog::now() const { return std::max(clock_->now(), chain_.last_at()); }

Result<AuditLine> AuditLog::append(AuditEvent event, const std::string& request,
                                   const std::map<std::string, std::string>& data) {
  base::require(torn_ == 0, "a line behind half a line");
  TRY(cut_off_what_failed());
  transparency::AuditChain next = chain_;
  const base::Time at = transparency::sets_time_back(event, data) ? clock_->now() : now();
  const std::string text = TRY(next.append(at, event, request, data));
  if (auto written = write_whole(descriptor_, text + "\n"); !written) {
    // What did reach the disk must not stand there as half a line before the next one, nor a whole one as if it had counted.
    has_more_ = true;
    (void)cut_off_what_failed();   // where this fails too, the next append tries again and says why
    return tl::unexpected<base::Error>(written.error());
  }
  transparency::AuditChain check = chain_;
  AuditLine line = TRY(check.accept(text));
  chain_ = std::move(next);
  take_in(text);
  size_ += text.size() + 1;
  return line;
}

}  // namespace appliance
