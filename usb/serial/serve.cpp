#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/verify_signature.hpp"
#include "usb/serial/incoming.hpp"
#include "usb/serial/message.hpp"
#include "usb/serial/transfer.hpp"
#include "usb/serial/words.hpp"
#include "usb/wire/request.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::Errc;
using base::fail;
using base::Result;
namespace fs = std::filesystem;

constexpr std::size_t kOwnerBytes = 64;

class Server {
 public:
  Server(Channel& channel, const Boxes& boxes, const FillRandom& random, const std::function<void(const Served&)>& on_event)
      : channel_(channel), boxes_(boxes), random_(random), on_event_(on_event) {}

  // Returns only errors of the channel: what the host does wrong is answered.
  Result<void> serve() {
    while (true) {
      const bool host_reads = incoming_ && !incoming_->is_going();   // what it has of a parcel that is to go on
      const Duration patience = host_reads ? kReading : kAnswer;
      const std::optional<Bytes> message = TRY(channel_.receive(patience));
      if (!message) {
        if (incoming_) {
          TRY(refuse(base::Error(Errc::unavailable, fmt::format("nothing more of the request came for {} seconds", std::chrono::duration_cast<std::chrono::seconds>(patience).count()))));
        }
        continue;
      }
      const Result<Words> words = decode_words(*message);
      if (!words) {
        TRY(refuse(words.error()));
        continue;
      }
      TRY(answer(*words));
    }
  }

 private:
  Result<void> say(const Words& words) { return serial::say(channel_, words); }

  void tell(Served::What what, const std::string& id, std::string reason = {}) { on_event_({what, id, std::move(reason)}); }

  // Forgets the parcel that was coming, if any.
  Result<void> refuse(const base::Error& why) {
    const std::string id = incoming_ ? incoming_->id() : std::string();
    if (incoming_) incoming_->give_up(why.code());
    incoming_.reset();
    tell(Served::What::refused, id, why.text());
    return say(Refused{why.code(), why.text()});
  }

  Result<void> answer(const Words& words) {
    if (const auto* offer = std::get_if<Offer>(&words)) return take_offer(*offer);
    if (const auto* list = std::get_if<ListRequests>(&words)) return answer_list(*list);
    if (const auto* get = std::get_if<GetResponse>(&words)) return answer_get(*get);
    if (std::holds_alternative<AskChallenge>(words)) return give_challenge();
    if (const auto* proof = std::get_if<Proof>(&words)) return take_proof(*proof);
    // Of a parcel that was refused meanwhile, on its way when we said so; or an answer to nothing: not a word back.
    if (!incoming_) return {};
    const Result<bool> complete = incoming_->take(words, std::chrono::steady_clock::now());
    if (!complete) return refuse(complete.error());
    if (!*complete) return {};
    const std::string id = incoming_->id();
    incoming_.reset();
    tell(Served::What::received, id);
    return say(Accepted{false});
  }

  // By coldseald, which has verified it: answered, or waiting. A refusal at the door has no owner and proves nothing: somebody may have
  // sent something else under this id.
  bool is_known(const std::string& id) const {
    std::error_code error;
    return fs::exists(fs::symlink_status(boxes_.outbox / id / usb::kOwnerName, error)) ||
           fs::exists(fs::symlink_status(boxes_.outbox / (id + std::string(usb::kWaitingSuffix)), error));
  }

  Result<void> take_offer(const Offer& offer) {
    incoming_.reset();
    if (offer.kind != usb::ParcelKind::request)
      return refuse(base::Error(Errc::refused, "an appliance takes requests only"));
    std::error_code ignored;
    const bool has_arrived = fs::exists(fs::symlink_status(boxes_.inbox / offer.id, ignored));
    if (is_known(offer.id) || (has_arrived && has_document(boxes_.inbox, offer))) {
      tell(Served::What::was_there, offer.id);
      return say(Accepted{true});
    }
    if (has_arrived) return refuse(base::Error(Errc::unavailable, "something else with this id has arrived and is not looked at yet; try again later"));
    // What hosts left unfinished may not fill the disk.
    (void)usb::prune_unfinished(boxes_.inbox, base::limits::kUnfinishedParcels, 0);
    if (const Result<void> room = usb::expect_room_in_inbox(boxes_.inbox, offer.bytes); !room) return refuse(room.error());
    Result<Incoming> incoming = Incoming::begin(offer, boxes_.inbox, usb::IfThere::refuse);
    if (!incoming) return refuse(incoming.error());
    incoming_ = std::move(*incoming);
    const usb::Standing& standing = incoming_->standing();
    if (standing.bytes > 0) tell(Served::What::went_on, offer.id, fmt::format("{} of {} bytes", standing.bytes, offer.bytes));
    return say(Ready{standing});
  }

  // ---- who the host is, and what is its ----------------------------------------------------------------------------

  Result<void> give_challenge() {
    challenge_.emplace();
    random_(challenge_->random);
    return say(*challenge_);
  }

  // Each challenge is good for one proof.
  Result<void> take_proof(const Proof& proof) {
    proven_.clear();
    const std::optional<Challenge> challenge = std::exchange(challenge_, std::nullopt);
    if (!challenge) return refuse(base::Error(Errc::refused, "a proof without a challenge"));
    const Result<crypto::PublicKey> key = crypto::PublicKey::parse(proof.public_key);
    if (!key) return refuse(key.error().within("the submitter's key"));
    if (!key->verify(proof_digest(*challenge), proof.signature))
      return refuse(base::Error(Errc::refused, "the proof was not made with the submitter's key"));
    proven_ = key->keyid();
    tell(Served::What::proven, proven_);
    return say(Accepted{false});
  }

  // The key id that coldseald wrote beside the response, having verified the request; empty when it could not.
  static std::string owner_of(const usb::Folder& outbox, const std::string& id) {
    const Result<usb::Folder> folder = outbox.folder(id);
    if (!folder) return {};
    const Result<Bytes> owner = folder->read(usb::kOwnerName, kOwnerBytes);
    return owner ? std::string(base::as_text(*owner)) : std::string();
  }

  // Of the submitter at the other end.
  std::vector<ListedRequest> answered(const usb::Folder& outbox) const {
    std::vector<ListedRequest> listed;
    // Those of others do not count: however many there are, they cannot hide what is this submitter's.
    const Result<std::vector<std::string>> found = outbox.names(base::limits::kRequestsOnAStick, [&](std::string_view name) {
      return wire::is_request_id(name) && owner_of(outbox, std::string(name)) == proven_;
    });
    if (!found) return listed;
    for (const std::string& id : *found) {
      const Result<usb::ParcelReader> parcel = usb::ParcelReader::open(outbox, id, usb::ParcelKind::response);
      if (parcel) listed.push_back({id, RequestPlace::answered, parcel->bytes()});
    }
    return listed;
  }

  static bool is_waiting_name(std::string_view name) {
    return name.ends_with(usb::kWaitingSuffix) && wire::is_request_id(name.substr(0, name.size() - usb::kWaitingSuffix.size()));
  }
  std::vector<ListedRequest> taken(const usb::Folder& outbox) const {
    std::vector<ListedRequest> listed;
    const Result<std::vector<std::string>> found = outbox.names(base::limits::kRequestsOnAStick, [&](std::string_view name) {
      if (!is_waiting_name(name)) return false;
      const Result<Bytes> owner = outbox.read(name, kOwnerBytes);
      return owner && base::as_text(*owner) == proven_;
    });
    if (!found) return listed;
    for (const std::string& name : *found)
      listed.push_back({name.substr(0, name.size() - usb::kWaitingSuffix.size()), RequestPlace::taken, 0});
    return listed;
  }

  Result<void> answer_list(const ListRequests& list) {
    if (proven_.empty()) return refuse(base::Error(Errc::refused, "requests are listed only to a submitter who has proven a key"));
    std::vector<ListedRequest> listed;
    if (const Result<usb::Folder> outbox = usb::Folder::open(boxes_.outbox)) {
      // The waiting ones first: one that is answered in between is then seen twice, and not missed.
      listed = taken(*outbox);
      for (ListedRequest& one : answered(*outbox)) {
        std::erase_if(listed, [&one](const ListedRequest& other) { return other.id == one.id; });
        listed.push_back(std::move(one));
      }
    }
    // Whose an unread request is, nobody knows yet; who names it has seen it, because its id is a digest of all of it.
    for (const std::string& id : list.ids) {
      std::error_code ignored;
      const bool known = std::any_of(listed.begin(), listed.end(), [&id](const ListedRequest& one) { return one.id == id; });
      if (!known && fs::exists(fs::symlink_status(boxes_.inbox / id, ignored))) listed.push_back({id, RequestPlace::arrived, 0});
    }
    std::size_t at = 0;
    do {
      const std::size_t count = std::min(kIdsInAMessage, listed.size() - at);
      const auto first = listed.begin() + static_cast<std::ptrdiff_t>(at);
      at += count;
      TRY(say(Requests{{first, first + static_cast<std::ptrdiff_t>(count)}, at < listed.size()}));
    } while (at < listed.size());
    return {};
  }

  Result<void> answer_get(const GetResponse& get) {
    incoming_.reset();
    if (proven_.empty()) return refuse(base::Error(Errc::refused, "responses are given only to a submitter who has proven a key"));
    const Result<usb::Folder> outbox = usb::Folder::open(boxes_.outbox);
    if (!outbox) return say(Refused{outbox.error().code(), "no response yet"});
    const Result<usb::ParcelReader> parcel = usb::ParcelReader::open(*outbox, get.id, usb::ParcelKind::response);
    const std::string owner = owner_of(*outbox, get.id);
    // Of somebody else's not even that it is there is told.
    const bool not_there = !parcel && parcel.error().code() == Errc::not_found;
    if (not_there || (!owner.empty() && owner != proven_)) return say(Refused{Errc::not_found, "no response yet"});
    if (!parcel) return refuse(parcel.error());
    const Result<Bytes> document = parcel->document();   // of the folder that is open: another answer may take its place meanwhile
    if (!document) return refuse(document.error());
    const Result<Sent> sent = send_parcel(channel_, *parcel);
    if (sent) {
      on_event_({Served::What::delivered, get.id, {}, crypto::sha256(*document)});
      return {};
    }
    // Either the host refused, or the channel is gone: the next receive() will say so.
    tell(Served::What::refused, get.id, sent.error().text());
    return {};
  }

  Channel& channel_;
  const Boxes& boxes_;
  const FillRandom& random_;
  const std::function<void(const Served&)>& on_event_;
  std::optional<Incoming> incoming_;
  std::optional<Challenge> challenge_;
  std::string proven_;   // key id of the submitter at the other end
};

}  // namespace

base::Error serve(Channel& channel, const Boxes& boxes, const FillRandom& random, const std::function<void(const Served&)>& on_event) {
  const Result<void> ended = Server(channel, boxes, random, on_event).serve();
  base::require(!ended, "serving ends with a reason");
  return ended.error();
}

}  // namespace serial
