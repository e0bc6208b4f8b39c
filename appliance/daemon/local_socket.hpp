// coldseald's local sockets: who may connect.
#pragma once

#include <utility>

#include <boost/asio/local/stream_protocol.hpp>
#include <filesystem>
#include <optional>

#include "appliance/confinement.hpp"
#include "crypto/base/result.hpp"

namespace appliance {

// Listens there; a socket left by an earlier run is replaced. Mode 0600, or 0660 and of the guest's group. Errc::usage for a path
// that is too long, Errc::io.
base::Result<void> listen_locally(boost::asio::local::stream_protocol::acceptor& acceptor, const std::filesystem::path& path,
                                  const std::optional<UserIds>& guest);

// By SO_PEERCRED: this user, root, and the guest.
bool is_admitted(int socket, const std::optional<UserIds>& guest);

}  // namespace appliance
