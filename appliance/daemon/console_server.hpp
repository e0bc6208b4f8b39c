// The local socket where coldseal-console asks. Only this user, the console's and root are let in, checked with
// SO_PEERCRED. When the
// console that began a sitting goes away, the sitting ends and the request waits again.
#pragma once

#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <memory>

#include "appliance/workflow.hpp"
#include "crypto/base/result.hpp"

namespace appliance {

class ConsoleServer {
 public:
  // Listens on the layout's console socket; a socket left by an earlier run is replaced. Mode 0600, or 0660 and of the
  // console's group when the console has a user of its own.
  static base::Result<std::unique_ptr<ConsoleServer>> listen(boost::asio::io_context& io, const Layout& layout,
                                                             Workflow& workflow,
                                                             const std::optional<UserIds>& console_user);

 private:
  ConsoleServer(boost::asio::io_context& io, Workflow& workflow, const std::optional<UserIds>& console_user)
      : acceptor_(io), workflow_(&workflow), console_user_(console_user) {}
  void accept_next();
  boost::asio::local::stream_protocol::acceptor acceptor_;
  Workflow* workflow_;
  std::optional<UserIds> console_user_;
};

}  // namespace appliance
