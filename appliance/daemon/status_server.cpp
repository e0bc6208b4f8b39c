#include "appliance/daemon/status_server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "appliance/checkup.hpp"
#include "appliance/daemon/local_socket.hpp"

namespace appliance {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using base::Result;

Result<std::unique_ptr<StatusServer>> StatusServer::listen(asio::io_context& io, const Layout& layout, Workflow& workflow) {
  std::unique_ptr<StatusServer> server(new StatusServer(io, workflow));
  TRY(listen_locally(server->acceptor_, layout.status_socket(), std::nullopt));
  server->accept_next();
  return server;
}

void StatusServer::accept_next() {
  acceptor_.async_accept([this](auto error, stream_protocol::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error && is_admitted(socket.native_handle(), std::nullopt)) {
      const std::string text = workflow_->checkup().to_json();
      // It fits the socket's buffer; nobody waits for one who does not read.
      (void)send(socket.native_handle(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    accept_next();
  });
}

}  // namespace appliance
