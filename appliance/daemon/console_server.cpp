#include "appliance/daemon/console_server.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <cerrno>

#include "appliance/console_protocol.hpp"
#include "appliance/daemon/local_socket.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/secret_bytes.hpp"

namespace appliance {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using base::Errc;
using base::fail;
using base::Result;

namespace {

constexpr int kPatienceMs = 3000;   // for a console that does not read

// All of it, or false: a console that stops reading must not stop the appliance.
bool send_all(int socket, base::ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(count));
      continue;
    }
    if (errno == EINTR) continue;
    pollfd ready{socket, POLLOUT, 0};
    if (errno != EAGAIN || poll(&ready, 1, kPatienceMs) != 1) return false;
  }
  return true;
}

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(stream_protocol::socket socket, Workflow& workflow) : socket_(std::move(socket)), workflow_(&workflow) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    if (owns_sitting()) workflow_->end_sitting("the console went away");
  }

  void read_next() {
    asio::async_read(socket_, asio::buffer(header_), [self = shared_from_this()](auto error, std::size_t) {
      if (!error) self->read_payload();
    });
  }

 private:
  // The sitting that goes on may be another console's: a PIN must never go to a request that is not on this screen.
  bool owns_sitting() const { return own_sitting_ != 0 && own_sitting_ == workflow_->sitting_number(); }

  template <class T>
  ConsoleAnswer answer_of(Result<T> result) const {
    if (!result) return Refusal{result.error().text(), !owns_sitting()};
    return ConsoleAnswer(std::move(*result));
  }

  void read_payload() {
    const Result<std::size_t> size = payload_size(header_, kQuestionBytes);
    if (!size) return;   // not our console: the connection closes
    payload_ = base::SecretBytes(*size);
    asio::async_read(socket_, asio::buffer(payload_.writable().data(), payload_.size()),
                     [self = shared_from_this()](auto error, std::size_t) {
                       if (!error) self->handle();
                     });
  }

  void handle() {
    Result<ConsoleQuestion> question = decode_question(payload_.reveal());
    payload_.wipe();
    if (!question) return;
    const ConsoleAnswer answer = std::visit([this](auto& asked) { return reply(asked); }, *question);
    base::Bytes frame = encode(answer);
    if (frame.size() > base::limits::kConsoleMessageBytes)
      frame = encode(ConsoleAnswer(Refusal{"this is too much to be shown at a console", !owns_sitting()}));
    if (send_all(socket_.native_handle(), frame)) read_next();
  }

  ConsoleAnswer reply(AskList&) { return workflow_->waiting(); }
  ConsoleAnswer reply(LookAtTpm&) { return answer_of(workflow_->look_at_tpm()); }
  ConsoleAnswer reply(AskRequest& ask) { return answer_of(workflow_->review(ask.id)); }
  ConsoleAnswer reply(BeginApproval& begin) {
    Result<Approval> begun = workflow_->begin_approval(begin.id);
    if (begun) own_sitting_ = workflow_->sitting_number();
    return answer_of(std::move(begun));
  }
  ConsoleAnswer reply(BeginRemedy& begin) {
    Result<Approval> begun = workflow_->begin_remedy(begin);
    if (begun) own_sitting_ = workflow_->sitting_number();
    return answer_of(std::move(begun));
  }
  ConsoleAnswer reply(EnterPin& enter) {
    if (!owns_sitting()) return Refusal{"no approval is going on at this console any more; begin again", true};
    return answer_of(workflow_->enter_pin(enter.officer, std::move(enter.pin), [this](std::size_t done, std::size_t total) {
          (void)send_all(socket_.native_handle(),
                         encode(ConsoleAnswer(Progress{static_cast<std::uint32_t>(done), static_cast<std::uint32_t>(total), "signing"})));
        }));
  }
  ConsoleAnswer reply(RejectRequest& reject) {
    return answer_of(workflow_->reject(reject.id, reject.officer, std::move(reject.pin), reject.reason));
  }
  ConsoleAnswer reply(CancelApproval&) {
    if (owns_sitting()) workflow_->end_sitting("cancelled at the console");
    return workflow_->waiting();
  }

  stream_protocol::socket socket_;
  Workflow* workflow_;
  std::array<std::uint8_t, kFrameHeaderBytes> header_{};
  base::SecretBytes payload_;
  std::uint64_t own_sitting_ = 0;
};

}  // namespace

Result<std::unique_ptr<ConsoleServer>> ConsoleServer::listen(asio::io_context& io, const Layout& layout,
                                                             Workflow& workflow,
                                                             const std::optional<UserIds>& console_user) {
  std::unique_ptr<ConsoleServer> server(new ConsoleServer(io, workflow, console_user));
  TRY(listen_locally(server->acceptor_, layout.console_socket(), console_user));
  server->accept_next();
  return server;
}

void ConsoleServer::accept_next() {
  acceptor_.async_accept([this](auto error, stream_protocol::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error && is_admitted(socket.native_handle(), console_user_))
      std::make_shared<Connection>(std::move(socket), *workflow_)->read_next();
    accept_next();
  });
}

}  // namespace appliance
