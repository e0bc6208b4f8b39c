#include "appliance/courier/stick_watch.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <system_error>
#include <utility>
#include <vector>

#include "appliance/courier/delivery_mark.hpp"
#include "crypto/base/text.hpp"
#include "usb/wire/request.hpp"

namespace courier {
namespace {

using base::Errc;
using base::Result;
using mass_storage::Outcome;
using mass_storage::Stick;
namespace fs = std::filesystem;

constexpr serial::Duration kRetry = std::chrono::seconds(5);
constexpr std::size_t kRemembered = 10000;   // forgetting costs one more copy, which coldseald recognises

// Trying again with the same bytes will not help.
bool is_final(Errc code) {
  return code == Errc::refused || code == Errc::malformed || code == Errc::too_large || code == Errc::unsupported;
}

}  // namespace

std::optional<StickWatch::Stamp> StickWatch::stamp_of(const fs::path& file) {
  struct stat status {};
  if (::lstat(file.c_str(), &status) != 0) return std::nullopt;
  return Stamp{static_cast<std::uint64_t>(status.st_size),
               std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec, status.st_ino};
}

// An empty mount point is a stick that is not there.
bool StickWatch::is_there() const {
  std::error_code error;
  return fs::is_directory(fs::symlink_status(mounted_at_ / fs::path(wire::kRequestsFolder), error));
}

bool StickWatch::round(HandedOver& handed_over, serial::Instant now) {
  const std::string where = mounted_at_.string();
  if (!is_there()) {
    if (std::exchange(present_, false)) say_(where, "", "stick gone");
    seen_.clear();
    return true;
  }
  if (!std::exchange(present_, true)) say_(where, "", "stick found");
  const Result<Stick> stick = Stick::open(mounted_at_);
  const Result<std::vector<std::string>> ids =
      stick ? stick->requests() : Result<std::vector<std::string>>(tl::unexpected<base::Error>(stick.error()));
  if (!ids) {
    if (std::exchange(problem_, ids.error().text()) != ids.error().text()) say_(where, "", "cannot be read: " + problem_);
    return false;
  }
  bool all_done = true;
  for (const std::string& id : *ids) {
    if (stop_()) return all_done;
    all_done = look_at(*stick, id, handed_over, now) && all_done;
  }
  return all_done;
}

bool StickWatch::look_at(const Stick& stick, const std::string& id, HandedOver& handed_over, serial::Instant now) {
  const std::optional<Stamp> response = stamp_of(boxes_.outbox / id / wire::kReceiptName);
  const std::optional<Stamp> request = stamp_of(mounted_at_ / fs::path(wire::kRequestsFolder) / id / wire::kManifestName);
  Seen& seen = seen_[id];
  // A request is handed over even when there is a response: that may be a refusal of a damaged copy, and this one whole.
  // What was answered before coldseald recognises.
  const bool taken = !request || settle(seen.request, request, id, "request not taken: ", now,
                                        [&] { return take(stick, id, handed_over); });
  const bool delivered = !response || settle(seen.response, response, id, "response not delivered: ", now,
                                             [&] { return deliver(stick, id); });
  return taken && delivered;
}

bool StickWatch::settle(Dealt& dealt, const std::optional<Stamp>& stamp, const std::string& id, std::string_view problem,
                        serial::Instant now, const std::function<Result<void>()>& action) {
  if (dealt.with == stamp) return dealt.problem.empty();
  if (now < dealt.retry_at) return false;
  const Result<void> done = action();
  if (!done && (!is_there() || stop_())) return true;   // pulled meanwhile; the next round says so
  if (done || is_final(done.error().code()))
    dealt.with = stamp;
  else
    dealt.retry_at = now + kRetry;
  if (done) {
    dealt.problem.clear();
    return true;
  }
  if (std::exchange(dealt.problem, done.error().text()) != done.error().text())
    say_(mounted_at_.string(), id, std::string(problem) + dealt.problem);
  return false;
}

Result<void> StickWatch::deliver(const Stick& stick, const std::string& id) {
  const mass_storage::Delivered delivered = TRY(stick.deliver_response(id, boxes_.outbox, until_stopped()));
  if (delivered.outcome == Outcome::copied) say_(mounted_at_.string(), id, "response delivered");
  return mark_delivered(boxes_, id, delivered.receipt);
}

Result<void> StickWatch::take(const Stick& stick, const std::string& id, HandedOver& handed_over) {
  const usb::ParcelReader parcel = TRY(stick.request(id));
  const crypto::Digest looks = TRY(parcel.fingerprint());
  if (const auto before = handed_over.find(id); before != handed_over.end() && before->second == looks) return {};
  const Outcome outcome = TRY(stick.take_request(id, boxes_.inbox, until_stopped()));
  if (handed_over.size() >= kRemembered) handed_over.clear();
  handed_over.insert_or_assign(id, looks);
  if (outcome == Outcome::copied)
    say_(mounted_at_.string(), id, fmt::format("request taken: {} files, {} bytes", parcel.files().size(), parcel.bytes()));
  else
    say_(mounted_at_.string(), id, "request is in the inbox already");
  return {};
}

usb::OnProgress StickWatch::until_stopped() const {
  return [this](const usb::Progress&) -> Result<void> {
    if (stop_()) return base::fail(Errc::unavailable, "told to stop");
    return {};
  };
}

}  // namespace courier
