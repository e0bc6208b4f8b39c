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

// Sends request folders (each holding request.dsse.json and files/, its name the id) and returns once the appliance
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

// The parts of the above on any channel.
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
  std::function<bool(const std::string& id)> already_has;   // beside inbox and outbox: handed over earlier; may be empty
};
// Answers one host until the link ends: then the link's error (Errc::unavailable when the host simply left), or ok when
// `stop` says so, which is asked at least every 200 ms.
base::Result<void> serve(Channel& channel, const Boxes& boxes, const std::function<void(const Served&)>& on_event,
                         const std::function<bool()>& stop);

}  // namespace serial
