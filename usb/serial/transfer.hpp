// Whole parcels over a serial link. The host's two commands, and the appliance's end that serves them: requests go to
// the inbox and responses come from the outbox by the same code as for a stick (usb/files/parcel.hpp), so a cut cable
// leaves nothing half-received behind.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "crypto/base/result.hpp"
#include "usb/files/parcel.hpp"
#include "usb/serial/link.hpp"

namespace serial {

struct Sent {
  std::string id;
  bool was_there = false;   // the appliance had it already
};

// Sends request folders (each named by its id and holding request.dsse.json and files/) and returns once the appliance
// has all of them on its disk. Stops at the first that is refused. Errc::unavailable when nobody answers.
base::Result<std::vector<Sent>> send_requests(const std::filesystem::path& device,
                                              const std::vector<std::filesystem::path>& folders,
                                              const usb::OnProgress& progress = {});

struct Collected {
  std::string id;
  bool was_there = false;   // `out` had the same one already
};

// Copies responses to out/<id>: those with these ids, or all that the appliance holds when ids is empty. Errc::not_found
// when one that was asked for is not there yet; those before it have been collected.
base::Result<std::vector<Collected>> collect_responses(const std::filesystem::path& device,
                                                       const std::filesystem::path& out,
                                                       const std::vector<std::string>& ids,
                                                       const usb::OnProgress& progress = {});

// The parts of the above on any channel. send_parcel() is what the appliance sends a response with, too.
base::Result<Sent> send_parcel(Channel& channel, const usb::ParcelReader& parcel, const usb::OnProgress& progress = {});
base::Result<std::vector<std::string>> list_responses(Channel& channel);
base::Result<Collected> fetch_response(Channel& channel, const std::string& id, const std::filesystem::path& out,
                                       const usb::OnProgress& progress = {});

// The appliance's end.
struct Served {
  enum class What : std::uint8_t { received, was_there, delivered, refused } what{};
  std::string id;
  std::string reason;   // when refused
};
struct Boxes {
  std::filesystem::path inbox;
  std::filesystem::path outbox;
};
// Answers one host until the link ends, and returns why it did (never ok). A request that the inbox has, or that has a
// response in the outbox, is not received again. A parcel that makes no progress for kAnswer is forgotten.
base::Error serve(Channel& channel, const Boxes& boxes, const std::function<void(const Served&)>& on_event);

// How long either end waits for the other's next word.
inline constexpr Duration kAnswer = std::chrono::seconds(120);

}  // namespace serial
