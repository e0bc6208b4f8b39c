// The local socket where coldseal-admin asks how the appliance is while coldseald has the TPM. Whoever connects (this user and
// root only, checked with SO_PEERCRED) gets one check-up as JSON and the end of the stream; nothing that is sent is read.
#pragma once

#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <memory>

#include "appliance/workflow.hpp"
#include "crypto/base/result.hpp"

namespace appliance {

class StatusServer {
 public:
  // Listens on the layout's status socket, mode 0600; a socket left by an earlier run is replaced.
  static base::Result<std::unique_ptr<StatusServer>> listen(boost::asio::io_context& io, const Layout& layout, Workflow& workflow);

 private:
  StatusServer(boost::asio::io_context& io, Workflow& workflow) : acceptor_(io), workflow_(&workflow) {}
  void accept_next();
  boost::asio::local::stream_protocol::acceptor acceptor_;
  Workflow* workflow_;
};

}  // namespace appliance
