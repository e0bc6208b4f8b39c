// One stick's folder, looked at again and again: requests on it go to the inbox, responses in the outbox to requests on
// it go back to it. Knows nothing of what is in them. A folder that vanishes is a pulled stick; when it is back,
// everything is looked at anew.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "appliance/courier/boxes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"
#include "usb/mass_storage/stick.hpp"
#include "usb/serial/session.hpp"

namespace courier {

// Which requests were handed to the inbox in this run, and how they looked. coldseald moves them on from there, so that
// a stick left in the port would otherwise be taken in again and again.
using HandedOver = std::map<std::string, crypto::Digest>;

class StickWatch {
 public:
  // stop: asked between pieces of a copy; true leaves at once.
  StickWatch(std::filesystem::path mounted_at, Boxes boxes, Say say, std::function<bool()> stop)
      : mounted_at_(std::move(mounted_at)), boxes_(std::move(boxes)), say_(std::move(say)), stop_(std::move(stop)) {}
  // Looks once, and does what there is to do. False when something could not be done.
  bool round(HandedOver& handed_over, serial::Instant now);

 private:
  // A file as it was when we dealt with it; another one means that there is something new.
  struct Stamp {
    std::uint64_t size = 0;
    std::int64_t modified = 0;
    std::uint64_t inode = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  struct Dealt {
    std::optional<Stamp> with;
    serial::Instant retry_at{};
    std::string problem;   // the last one told
  };
  struct Seen {
    Dealt request;
    Dealt response;
  };
  static std::optional<Stamp> stamp_of(const std::filesystem::path& file);
  bool is_there() const;
  bool look_at(const mass_storage::Stick& stick, const std::string& id, HandedOver& handed_over, serial::Instant now);
  // Does what a new stamp asks for; false when it could not be done.
  bool settle(Dealt& dealt, const std::optional<Stamp>& stamp, const std::string& id, std::string_view problem,
              serial::Instant now, const std::function<base::Result<void>()>& action);
  base::Result<void> deliver(const mass_storage::Stick& stick, const std::string& id);
  base::Result<void> take(const mass_storage::Stick& stick, const std::string& id, HandedOver& handed_over);
  usb::OnProgress until_stopped() const;

  std::filesystem::path mounted_at_;
  Boxes boxes_;
  Say say_;
  std::function<bool()> stop_;
  bool present_ = false;
  std::string problem_;
  std::map<std::string, Seen> seen_;   // at most as many as a stick may hold, since it is cleared with each stick
};

}  // namespace courier
