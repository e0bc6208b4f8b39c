#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "usb/serial/incoming.hpp"
#include "usb/serial/message.hpp"
#include "usb/serial/transfer.hpp"
#include "usb/wire/request.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::Errc;
using base::fail;
using base::Result;
namespace fs = std::filesystem;

class Server {
 public:
  Server(Channel& channel, const Boxes& boxes, const std::function<void(const Served&)>& on_event)
      : channel_(channel), boxes_(boxes), on_event_(on_event) {}

  // Returns only errors of the channel: what the host does wrong is answered.
  Result<void> serve() {
    while (true) {
      const std::optional<Bytes> message = TRY(channel_.receive(kAnswer));
      if (!message) {
        if (incoming_) {
          TRY(refuse(base::Error(Errc::unavailable, "nothing more of the request came for 120 seconds")));
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
  Result<void> say(const Words& words) { return channel_.send(encode_words(words)); }

  void tell(Served::What what, const std::string& id, std::string reason = {}) { on_event_({what, id, std::move(reason)}); }

  // Forgets the parcel that was coming, if any.
  Result<void> refuse(const base::Error& why) {
    const std::string id = incoming_ ? incoming_->id() : std::string();
    incoming_.reset();
    tell(Served::What::refused, id, why.text());
    return say(Refused{why.code(), why.text()});
  }

  Result<void> answer(const Words& words) {
    if (const auto* offer = std::get_if<Offer>(&words)) return take_offer(*offer);
    if (std::holds_alternative<ListResponses>(words)) return answer_list();
    if (const auto* get = std::get_if<GetResponse>(&words)) return answer_get(*get);
    // Of a parcel that was refused meanwhile, on its way when we said so; or an answer to nothing: not a word back.
    if (!incoming_) return {};
    const Result<bool> complete = incoming_->take(words);
    if (!complete) return refuse(complete.error());
    if (!*complete) return {};
    const std::string id = incoming_->id();
    incoming_.reset();
    tell(Served::What::received, id);
    return say(Accepted{false});
  }

  bool has_request(const std::string& id) const {
    std::error_code error;
    return fs::exists(fs::symlink_status(boxes_.inbox / id, error)) ||
           fs::exists(fs::symlink_status(boxes_.outbox / id / wire::kReceiptName, error));
  }

  Result<void> take_offer(const Offer& offer) {
    incoming_.reset();
    if (offer.kind != usb::ParcelKind::request)
      return refuse(base::Error(Errc::refused, "an appliance takes requests only"));
    if (has_request(offer.id)) {
      tell(Served::What::was_there, offer.id);
      return say(Accepted{true});
    }
    if (const Result<void> room = usb::expect_room_in_inbox(boxes_.inbox); !room) return refuse(room.error());
    Result<Incoming> incoming = Incoming::begin(offer, boxes_.inbox, usb::IfThere::refuse);
    if (!incoming) return refuse(incoming.error());
    incoming_ = std::move(*incoming);
    return say(Ready{});
  }

  Result<void> answer_list() {
    std::vector<std::string> ids;
    if (const Result<usb::Folder> outbox = usb::Folder::open(boxes_.outbox))
      if (Result<std::vector<std::string>> found = outbox->names(base::limits::kRequestsOnAStick, wire::is_request_id))
        ids = std::move(*found);
    std::size_t at = 0;
    do {
      const std::size_t count = std::min(kIdsInAMessage, ids.size() - at);
      const auto first = ids.begin() + static_cast<std::ptrdiff_t>(at);
      at += count;
      TRY(say(ResponseIds{{first, first + static_cast<std::ptrdiff_t>(count)}, at < ids.size()}));
    } while (at < ids.size());
    return {};
  }

  Result<void> answer_get(const GetResponse& get) {
    incoming_.reset();
    const Result<usb::Folder> outbox = usb::Folder::open(boxes_.outbox);
    if (!outbox) return say(Refused{outbox.error().code(), "no response yet"});
    const Result<usb::ParcelReader> parcel = usb::ParcelReader::open(*outbox, get.id, usb::ParcelKind::response);
    if (!parcel && parcel.error().code() == Errc::not_found) return say(Refused{Errc::not_found, "no response yet"});
    if (!parcel) return refuse(parcel.error());
    const Result<Sent> sent = send_parcel(channel_, *parcel);
    if (sent) {
      tell(Served::What::delivered, get.id);
      return {};
    }
    // Either the host refused, or the channel is gone: the next receive() will say so.
    tell(Served::What::refused, get.id, sent.error().text());
    return {};
  }

  Channel& channel_;
  const Boxes& boxes_;
  const std::function<void(const Served&)>& on_event_;
  std::optional<Incoming> incoming_;
};

}  // namespace

base::Error serve(Channel& channel, const Boxes& boxes, const std::function<void(const Served&)>& on_event) {
  const Result<void> ended = Server(channel, boxes, on_event).serve();
  base::require(!ended, "serving ends with a reason");
  return ended.error();
}

}  // namespace serial
