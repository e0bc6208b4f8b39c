#include "usb/serial/transfer.hpp"

#include <fmt/format.h>

#include <algorithm>
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
  return fail(Errc::unavailable, fmt::format("{}: no answer within {} s; is the appliance on, and the cable in its courier's port?",
                                             link->name(), std::chrono::duration_cast<std::chrono::seconds>(kConnect).count()));
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
      if (done) {
        (void)(*link)->finish(kGoodbye);   // everything is where it should be, whatever becomes of the goodbye
        return {};
      }
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

Result<std::vector<Response>> list_responses(Channel& channel) {
  TRY(say(channel, ListResponses{}));
  std::vector<Response> responses;
  while (true) {
    const Words words = TRY(next_words(channel));
    const auto* list = std::get_if<Responses>(&words);
    if (list == nullptr) return fail_answer(words);
    if (responses.size() + list->responses.size() > base::limits::kRequestsOnAStick)
      return fail(Errc::too_large, fmt::format("more than {} responses", base::limits::kRequestsOnAStick));
    responses.insert(responses.end(), list->responses.begin(), list->responses.end());
    if (!list->more) return responses;
  }
}

Result<Collected> fetch_response(Channel& channel, const std::string& id, const fs::path& out, const usb::OnProgress& progress) {
  TRY(say(channel, GetResponse{id}));
  const Words answer = TRY(next_words(channel));
  const auto* offer = std::get_if<Offer>(&answer);
  if (offer == nullptr) return fail_answer(answer);
  if (offer->kind != usb::ParcelKind::response || offer->id != id)
    return fail(Errc::malformed, fmt::format("response {} was asked for, something else is offered", id));
  if (has_document(out, *offer)) {
    TRY(say(channel, Accepted{true}));
    return Collected{id, true};
  }

  Result<Incoming> incoming = Incoming::begin(*offer, out, usb::IfThere::replace);
  if (!incoming) {
    (void)say(channel, Refused{incoming.error().code(), incoming.error().text()});
    return tl::unexpected<base::Error>(incoming.error());
  }
  TRY(say(channel, Ready{incoming->standing()}));
  while (true) {
    const Words words = TRY(next_words(channel));
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

Result<std::vector<Sent>> send_requests(const HostLink& to, const std::vector<fs::path>& folders, const usb::OnProgress& progress) {
  std::vector<usb::ParcelReader> parcels;   // all are looked at before the first is sent
  for (const fs::path& given : folders) {
    const fs::path folder = without_slash(given);
    const usb::Folder parent = TRY(usb::Folder::open(folder.has_parent_path() ? folder.parent_path() : fs::path(".")));
    usb::ParcelReader parcel = TRY(usb::ParcelReader::open(parent, folder.filename().string(), usb::ParcelKind::request));
    parcels.push_back(std::move(parcel));
  }
  std::vector<Sent> sent;
  std::uint64_t done = 0;
  TRY(persistently(to, [&](Link& link, const std::function<void()>& moved) -> Result<void> {
    while (sent.size() < parcels.size()) {
      const usb::ParcelReader& parcel = parcels[sent.size()];
      Sent one = TRY(base::within(parcel.id().substr(0, 8), send_parcel(link, parcel, noticing(progress, moved, done))));
      sent.push_back(std::move(one));
      moved();
    }
    return {};
  }));
  return sent;
}

Result<std::vector<Collected>> collect_responses(const HostLink& to, crypto::Signer& submitter, const fs::path& out,
                                                 const std::vector<std::string>& ids, const usb::OnProgress& progress) {
  for (const std::string& id : ids)
    if (!wire::is_request_id(id))
      return fail(Errc::usage, fmt::format("'{}' is no request id: 64 lower-case hex digits are wanted", base::printable(id)));
  std::optional<std::vector<std::string>> wanted;
  if (!ids.empty()) wanted = ids;
  std::vector<Collected> collected;
  std::uint64_t done = 0;
  TRY(persistently(to, [&](Link& link, const std::function<void()>& moved) -> Result<void> {
    TRY(prove(link, submitter));
    if (!wanted) {
      const std::vector<Response> there = TRY(list_responses(link));
      wanted.emplace();
      for (const Response& one : there) wanted->push_back(one.id);
    }
    while (collected.size() < wanted->size()) {
      const std::string& id = (*wanted)[collected.size()];
      Collected one = TRY(base::within(id.substr(0, 8), fetch_response(link, id, out, noticing(progress, moved, done))));
      collected.push_back(std::move(one));
      moved();
    }
    return {};
  }));
  return collected;
}

Result<std::vector<Response>> waiting_responses(const HostLink& to, crypto::Signer& submitter) {
  std::vector<Response> there;
  TRY(persistently(to, [&](Link& link, const std::function<void()>&) -> Result<void> {
    TRY(prove(link, submitter));
    there = TRY(list_responses(link));
    return {};
  }));
  return there;
}

}  // namespace serial
