// The local socket where coldseal-console asks. Only this user (or root) is let in, checked with SO_PEERCRED. When the
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
  // Listens on the layout's console socket, mode 0600; a socket left by an earlier run is replaced.
  static base::Result<std::unique_ptr<ConsoleServer>> listen(boost::asio::io_context& io, const Layout& layout,
                                                             Workflow& workflow);

 private:
  ConsoleServer(boost::asio::io_context& io, Workflow& workflow) : acceptor_(io), workflow_(&workflow) {}
  void accept_next();
  boost::asio::local::stream_protocol::acceptor acceptor_;
  Workflow* workflow_;
};

}  // namespace appliance
