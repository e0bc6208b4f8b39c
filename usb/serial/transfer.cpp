#include "usb/serial/transfer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "usb/serial/incoming.hpp"
#include "usb/serial/words.hpp"
#include "usb/wire/request.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::Errc;
using base::fail;
using base::Result;
namespace fs = std::filesystem;

constexpr Duration kConnect = std::chrono::seconds(15);
constexpr Duration kGoodbye = std::chrono::seconds(2);
constexpr Duration kBetweenAttempts = std::chrono::milliseconds(500);
constexpr Duration kBetweenLooks = std::chrono::seconds(2);   // while responses are waited for

std::uint32_t link_number() {
  std::random_device random;
  return static_cast<std::uint32_t>(random());
}

Result<std::unique_ptr<Link>> connected_link(const HostLink& to) {
  std::unique_ptr<Link> link = TRY(Link::open(to.device, Role::host, link_number(), to.line, to.stop));
  const bool answered = TRY(link->connect(kConnect));
  if (answered) {
    if (to.news) to.news(fmt::format("{}: connected", link->name()));
    return link;
  }
  if (const std::string noise = link->unreadable(); !noise.empty()) return fail(Errc::unavailable, link->name() + ": " + noise);
  return fail(Errc::unavailable,
              fmt::format("{}: no answer within {} s; is the appliance on, the cable in its courier's port, and is its courier set to {} baud?",
                          link->name(), std::chrono::duration_cast<std::chrono::seconds>(kConnect).count(), to.line.baud));
}

bool may_pass(Errc code) { return code == Errc::unavailable || code == Errc::io || code == Errc::not_found; }

// Does `work` on a link, and again on the next one when the link is lost under it, until it is done or nothing has moved
// for to.patience. `work` goes on where it was; it calls the function it is given for whatever moves.
Result<void> persistently(const HostLink& to, const std::function<Result<void>(Link&, const std::function<void()>& moved)>& work) {
  bool was_connected = false;
  Instant last_moved = std::chrono::steady_clock::now();
  while (true) {
    Result<std::unique_ptr<Link>> link = connected_link(to);
    if (!link && !was_connected) return tl::unexpected<base::Error>(link.error());
    bool lost = !link;
    base::Error why = link ? base::Error(Errc::io, "") : link.error();
    if (link) {
      was_connected = true;
      const Result<void> done = work(**link, [&] { last_moved = std::chrono::steady_clock::now(); });
      if (done) (void)(*link)->finish(kGoodbye);   // everything is where it should be, whatever becomes of the goodbye
      if (const std::string quality = (*link)->quality().words(); !quality.empty() && to.news) to.news("the cable: " + quality);
      if (done) return {};
      why = done.error();
      lost = !(*link)->is_connected() || why.code() == Errc::unavailable;
    }
    const bool told_to_stop = to.stop && to.stop();
    if (!lost || !may_pass(why.code()) || told_to_stop || std::chrono::steady_clock::now() - last_moved > to.patience)
      return tl::unexpected<base::Error>(why);
    if (to.news) to.news(why.text() + "; trying again");
    link = fail(Errc::io, "closed");
    std::this_thread::sleep_for(kBetweenAttempts);
  }
}

// The name of a request's folder, whatever the path looks like: "x/<id>", "x/<id>/".
fs::path without_slash(const fs::path& folder) { return folder.has_filename() ? folder : folder.parent_path(); }

usb::OnProgress noticing(const usb::OnProgress& progress, const std::function<void()>& moved, std::uint64_t& done) {
  return [&progress, &moved, &done](const usb::Progress& now) -> Result<void> {
    if (std::exchange(done, now.done) != now.done) moved();
    return progress ? progress(now) : Result<void>();
  };
}

}  // namespace

Result<void> prove(Channel& channel, crypto::Signer& submitter) {
  TRY(say(channel, AskChallenge{}));
  const Words words = TRY(next_words(channel));
  const auto* challenge = std::get_if<Challenge>(&words);
  if (challenge == nullptr) return fail_answer(words);
  Bytes signature = TRY(submitter.sign(proof_digest(*challenge)));
  TRY(say(channel, Proof{base::to_bytes(submitter.public_key_der()), std::move(signature)}));
  const Words answer = TRY(next_words(channel));
  if (std::holds_alternative<Accepted>(answer)) return {};
  return fail_answer(answer);
}

Result<std::vector<ListedRequest>> list_requests(Channel& channel, const std::vector<std::string>& ids) {
  constexpr std::size_t kMost = 2 * base::limits::kRequestsOnAStick + kIdsInAMessage;
  TRY(say(channel, ListRequests{ids}));
  std::vector<ListedRequest> requests;
  while (true) {
    const Words words = TRY(next_words(channel));
    const auto* list = std::get_if<Requests>(&words);
    if (list == nullptr) return fail_answer(words);
    if (requests.size() + list->requests.size() > kMost) return fail(Errc::too_large, fmt::format("more than {} requests", kMost));
    requests.insert(requests.end(), list->requests.begin(), list->requests.end());
    if (!list->more) return requests;
  }
}

Result<Collected> fetch_response(Channel& channel, const std::string& id, const fs::path& out, const usb::OnProgress& progress) {
  TRY(say(channel, GetResponse{id}));
  const Words answer = TRY(next_words(channel));
  const auto* offer = std::get_if<Offer>(&answer);
  if (offer == nullptr) return fail_answer(answer);
  if (offer->kind != usb::ParcelKind::response || offer->id != id)
    return fail(Errc::malformed, fmt::format("response {} was asked for, something else is offered", id));
  // The receipt is there already. Whether its files are whole, the appliance must know: it keeps them only until they have arrived.
  std::optional<Words> said;
  if (has_document(out, *offer)) {
    if (const Result<usb::Standing> there = standing_of_whole(out, *offer)) {
      TRY(say(channel, Ready{*there}));
      said = TRY(next_words(channel, {}, kReading));
      if (const auto* go_on = std::get_if<GoOn>(&*said); go_on != nullptr && go_on->keep) {
        const Words end = TRY(next_words(channel));
        if (!std::holds_alternative<Commit>(end)) return fail_answer(end);
        TRY(say(channel, Accepted{true}));
        return Collected{id, true};
      }
    }
  }

  Result<Incoming> incoming = Incoming::begin(*offer, out, usb::IfThere::replace);
  if (!incoming) {
    (void)say(channel, Refused{incoming.error().code(), incoming.error().text()});
    return tl::unexpected<base::Error>(incoming.error());
  }
  if (!said) TRY(say(channel, Ready{incoming->standing()}));
  while (true) {
    const Words words = said ? *std::exchange(said, std::nullopt) : TRY(next_words(channel, {}, incoming->is_going() ? kAnswer : kReading));
    Result<bool> complete = incoming->take(words, std::chrono::steady_clock::now());
    if (complete && progress) {
      if (Result<void> go_on = progress(incoming->progress()); !go_on) complete = tl::unexpected<base::Error>(go_on.error());
    }
    if (!complete) {
      (void)say(channel, Refused{complete.error().code(), complete.error().text()});
      return tl::unexpected<base::Error>(complete.error());
    }
    if (*complete) break;
  }
  TRY(say(channel, Accepted{false}));
  return Collected{id, false};
}

namespace {

// Requests on their way in. Goes on where it was on the next link.
class Sending {
 public:
  // All are looked at before the first is sent.
  static Result<Sending> open(const std::vector<fs::path>& folders) {
    Sending sending;
    for (const fs::path& given : folders) {
      const fs::path folder = without_slash(given);
      const usb::Folder parent = TRY(usb::Folder::open(folder.has_parent_path() ? folder.parent_path() : fs::path(".")));
      usb::ParcelReader parcel = TRY(usb::ParcelReader::open(parent, folder.filename().string(), usb::ParcelKind::request));
      sending.parcels_.push_back(std::move(parcel));
    }
    return sending;
  }

  Result<void> go_on(Link& link, const std::function<void()>& moved, const usb::OnProgress& progress,
                     const std::function<void(const Sent&)>& on_sent) {
    while (sent_.size() < parcels_.size()) {
      const usb::ParcelReader& parcel = parcels_[sent_.size()];
      Sent one = TRY(base::within(parcel.id().substr(0, 8), send_parcel(link, parcel, noticing(progress, moved, done_))));
      if (on_sent) on_sent(one);
      sent_.push_back(std::move(one));
      moved();
    }
    return {};
  }

  std::vector<std::string> ids() const {
    std::vector<std::string> ids;
    for (const usb::ParcelReader& parcel : parcels_) ids.push_back(parcel.id());
    return ids;
  }
  std::vector<Sent> sent() && { return std::move(sent_); }

 private:
  std::vector<usb::ParcelReader> parcels_;
  std::vector<Sent> sent_;
  std::uint64_t done_ = 0;
};

// Responses on their way out, those that are there and those that will be.
class Awaiting {
 public:
  Awaiting(const Collecting& what, std::vector<std::string> ids)
      : what_(what), missing_(std::move(ids)), all_(missing_.empty()), until_(std::chrono::steady_clock::now() + what.wait) {}

  Result<void> go_on(Link& link, const std::function<void()>& moved, const usb::OnProgress& progress) {
    TRY(prove(link, what_.submitter));
    while (true) {
      const bool last_look = std::chrono::steady_clock::now() >= until_;
      TRY(look(link));
      moved();
      for (std::size_t i = 0; i < missing_.size();) {
        const bool here = TRY(fetch(link, missing_[i], moved, progress));
        if (here) missing_.erase(missing_.begin() + static_cast<std::ptrdiff_t>(i));
        else ++i;
      }
      if (missing_.empty()) return {};
      if (last_look) return fail(Errc::not_found, why_not());
      const std::optional<Bytes> unasked = TRY(link.receive(kBetweenLooks));
      if (unasked) return fail(Errc::malformed, "the appliance answers what nobody asked");
    }
  }

  std::vector<Collected> collected() && { return std::move(collected_); }

 private:
  Result<void> look(Link& link) {
    const std::size_t named = std::min(missing_.size(), kIdsInAMessage);
    const std::vector<ListedRequest> listed =
        TRY(list_requests(link, {missing_.begin(), missing_.begin() + static_cast<std::ptrdiff_t>(named)}));
    for (const ListedRequest& one : listed) {
      const bool new_one = std::find(missing_.begin(), missing_.end(), one.id) == missing_.end();
      const bool wanted = all_ && (one.place == RequestPlace::answered || what_.wait > Duration(0));
      if (new_one && !wanted) continue;
      if (new_one) missing_.push_back(one.id);
      const auto [known, first] = places_.emplace(one.id, one.place);
      if (one.place != RequestPlace::answered && what_.on_wait && (first || known->second != one.place)) what_.on_wait(one);
      known->second = one.place;
    }
    all_ = false;   // what comes later is another command's
    return {};
  }

  // False while it is not there. One that is refused at the door is in no list, so that one that is in none is asked for.
  Result<bool> fetch(Link& link, const std::string& id, const std::function<void()>& moved, const usb::OnProgress& progress) {
    const auto place = places_.find(id);
    if (place != places_.end() && place->second == RequestPlace::taken) return false;
    Result<Collected> one = fetch_response(link, id, what_.out, noticing(progress, moved, done_));
    if (!one && one.error().code() == Errc::not_found && link.is_connected()) return false;
    if (!one) return tl::unexpected<base::Error>(one.error().within(id.substr(0, 8)));
    moved();
    if (what_.on_collected) what_.on_collected(*one);
    collected_.push_back(std::move(*one));
    return true;
  }

  std::string why_not() const {
    std::string text;
    for (const std::string& id : missing_) {
      const auto place = places_.find(id);
      const std::string_view where = place == places_.end() ? "the appliance has no request or response of yours with this id"
                                     : place->second == RequestPlace::taken ? "no response yet: it waits for the release officers"
                                                                            : "no response yet: the appliance has not read it";
      text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", id.substr(0, 8), where);
    }
    return text;
  }

  const Collecting& what_;
  std::vector<std::string> missing_;
  bool all_;                       // which they are is not known yet
  Instant until_;
  std::map<std::string, RequestPlace> places_;
  std::vector<Collected> collected_;
  std::uint64_t done_ = 0;
};

Result<void> expect_ids(const std::vector<std::string>& ids) {
  for (const std::string& id : ids)
    if (!wire::is_request_id(id))
      return fail(Errc::usage, fmt::format("'{}' is no request id: 64 lower-case hex digits are wanted", base::printable(id)));
  return {};
}

}  // namespace

Result<std::vector<Sent>> send_requests(const HostLink& to, const std::vector<fs::path>& folders, const usb::OnProgress& progress,
                                        const std::function<void(const Sent&)>& on_sent) {
  Sending sending = TRY(Sending::open(folders));
  TRY(persistently(to, [&](Link& link, const std::function<void()>& moved) { return sending.go_on(link, moved, progress, on_sent); }));
  return std::move(sending).sent();
}

Result<std::vector<Collected>> collect_responses(const HostLink& to, const Collecting& what, const usb::OnProgress& progress) {
  TRY(expect_ids(what.ids));
  Awaiting awaiting(what, what.ids);
  TRY(persistently(to, [&](Link& link, const std::function<void()>& moved) { return awaiting.go_on(link, moved, progress); }));
  return std::move(awaiting).collected();
}

Result<std::vector<Collected>> send_and_collect(const HostLink& to, const std::vector<fs::path>& folders,
                                                const std::function<void(const Sent&)>& on_sent, const Collecting& what,
                                                const usb::OnProgress& progress) {
  Sending sending = TRY(Sending::open(folders));
  std::optional<Awaiting> awaiting;   // its time begins when everything is sent
  TRY(persistently(to, [&](Link& link, const std::function<void()>& moved) -> Result<void> {
    TRY(sending.go_on(link, moved, progress, on_sent));
    if (!awaiting) awaiting.emplace(what, sending.ids());
    return awaiting->go_on(link, moved, progress);
  }));
  return std::move(*awaiting).collected();
}

Result<std::vector<ListedRequest>> listed_requests(const HostLink& to, crypto::Signer& submitter, const std::vector<std::string>& ids) {
  TRY(expect_ids(ids));
  if (ids.size() > kIdsInAMessage)
    return fail(Errc::usage, fmt::format("{} ids, at most {} can be asked for", ids.size(), kIdsInAMessage));
  std::vector<ListedRequest> there;
  TRY(persistently(to, [&](Link& link, const std::function<void()>&) -> Result<void> {
    TRY(prove(link, submitter));
    there = TRY(list_requests(link, ids));
    return {};
  }));
  return there;
}

}  // namespace serial
