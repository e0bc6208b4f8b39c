// Whole parcels over a serial link. The host's commands, and the appliance's end that serves them: requests go to the
// inbox and responses come from the outbox by the same code as for a stick (usb/files/parcel.hpp). A cut cable leaves
// nothing half-received that anybody could see, and the next attempt goes on where it stopped (partial_parcel.hpp).
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"
#include "crypto/signer.hpp"
#include "usb/files/parcel.hpp"
#include "usb/serial/link.hpp"
#include "usb/serial/message.hpp"

namespace serial {

// How a host reaches the appliance.
struct HostLink {
  std::filesystem::path device;             // or a pattern
  LineSettings line;
  Duration patience = std::chrono::seconds(60);   // without progress, once a link was lost
  std::function<bool()> stop;               // Ctrl-C
  std::function<void(std::string_view what)> news;   // for people: connected, lost and why
};

struct Sent {
  std::string id;
  bool was_there = false;          // the appliance had it already
  std::uint64_t went_on_at = 0;    // bytes of it that an earlier attempt had brought
};

// Sends request folders (each named by its id and holding request.dsse.json and files/) and returns once the appliance
// has all of them on its disk; tells on_sent of each. Stops at the first that is refused. A link that is lost is taken up
// again until nothing has moved for link.patience. Errc::unavailable when nobody answers.
base::Result<std::vector<Sent>> send_requests(const HostLink& link, const std::vector<std::filesystem::path>& folders,
                                              const usb::OnProgress& progress = {}, const std::function<void(const Sent&)>& on_sent = {});

struct Collected {
  std::string id;
  bool was_there = false;   // `out` had the same one already
};

struct Collecting {
  crypto::Signer& submitter;
  std::filesystem::path out;
  std::vector<std::string> ids{};   // empty: all of this submitter's that are answered, or with `wait` all there are
  Duration wait{0};               // how long to stay on the link for those that are not answered yet
  std::function<void(const ListedRequest&)> on_wait = {};       // one is not answered yet; again when its place changes
  std::function<void(const Collected&)> on_collected = {};
};
// Copies responses to out/<id>. Errc::not_found when one that was asked for is not there in time, or is another
// submitter's; the others have been collected. Errc::refused when the key's proof is not taken.
base::Result<std::vector<Collected>> collect_responses(const HostLink& link, const Collecting& what,
                                                       const usb::OnProgress& progress = {});
// Both on one link: sends the requests, tells on_sent of each, stays, and collects their responses. what.ids is not used.
base::Result<std::vector<Collected>> send_and_collect(const HostLink& link, const std::vector<std::filesystem::path>& folders,
                                                      const std::function<void(const Sent&)>& on_sent, const Collecting& what,
                                                      const usb::OnProgress& progress = {});
// The requests of this submitter that the appliance has, answered or not.
base::Result<std::vector<ListedRequest>> listed_requests(const HostLink& link, crypto::Signer& submitter,
                                                         const std::vector<std::string>& ids = {});

// The parts of the above on any channel. send_parcel() is what the appliance sends a response with, too.
base::Result<Sent> send_parcel(Channel& channel, const usb::ParcelReader& parcel, const usb::OnProgress& progress = {});
base::Result<void> prove(Channel& channel, crypto::Signer& submitter);
base::Result<std::vector<ListedRequest>> list_requests(Channel& channel, const std::vector<std::string>& ids = {});
base::Result<Collected> fetch_response(Channel& channel, const std::string& id, const std::filesystem::path& out,
                                       const usb::OnProgress& progress = {});

// The appliance's end.
struct Served {
  enum class What : std::uint8_t { received, went_on, was_there, delivered, proven, refused } what{};
  std::string id;       // of the parcel, or of the key
  std::string reason;   // when refused; how much was there when it went on
  std::optional<crypto::Digest> document = std::nullopt;   // when delivered: SHA-256 of the receipt that the host has
};
struct Boxes {
  std::filesystem::path inbox;
  std::filesystem::path outbox;
};
using FillRandom = std::function<void(std::span<std::uint8_t>)>;
// Answers one host until the link ends, and returns why it did (never ok). A request that the inbox has, or that has a
// response in the outbox, is not received again. A parcel that makes no progress for kAnswer is put aside. Responses are
// listed and given only to a host that has proven the key of their submitter (usb::kOwnerName); one without an owner,
// because its request never got as far as that, is given to any proven key that knows its id, and not listed.
base::Error serve(Channel& channel, const Boxes& boxes, const FillRandom& random, const std::function<void(const Served&)>& on_event);

// How long either end waits for the other's next word; and where the other first reads what it has of a parcel, to go on with it.
inline constexpr Duration kAnswer = std::chrono::seconds(120);
inline constexpr Duration kReading = std::chrono::minutes(20);

}  // namespace serial
