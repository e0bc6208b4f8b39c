#include "appliance/daemon/local_socket.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace appliance {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using base::Errc;
using base::fail;
using base::Result;

Result<void> listen_locally(stream_protocol::acceptor& acceptor, const std::filesystem::path& file, const std::optional<UserIds>& guest) {
  const std::string path = file.string();
  if (path.size() >= 108)
    return fail(Errc::usage, fmt::format("{}: a socket's path has at most 107 characters; use a shorter --root", path));
  (void)unlink(path.c_str());   // the audit log's lock says that no other coldseald serves it
  boost::system::error_code error;
  acceptor.open(stream_protocol(), error);
  if (!error) acceptor.bind(stream_protocol::endpoint(path), error);
  // The group first: until the mode allows it, nobody else gets in.
  if (!error && guest && chown(path.c_str(), static_cast<uid_t>(-1), guest->group) != 0)
    error.assign(errno, boost::system::system_category());
  if (!error && chmod(path.c_str(), guest ? 0660 : 0600) != 0) error.assign(errno, boost::system::system_category());
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return fail(Errc::io, fmt::format("{}: {}", path, error.message()));
  return {};
}

bool is_admitted(int socket, const std::optional<UserIds>& guest) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == geteuid() || peer.uid == 0 || (guest && peer.uid == guest->user));
}

}  // namespace appliance
