#include "tests/support/tpm_proxy.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <span>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/result.hpp"

namespace tests {
namespace {

constexpr std::size_t kHeader = 10;   // tag, size, code
constexpr int kLookEveryMs = 50;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  base::require(path.size() < sizeof address.sun_path, "the path of a unix socket is too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

int listen_at(const std::string& path) {
  const sockaddr_un address = address_of(path);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  base::require(listener >= 0 && bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                    listen(listener, 8) == 0, "no socket at " + path);
  return listener;
}

int connect_to(const std::string& path) {
  const sockaddr_un address = address_of(path);
  const int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (server >= 0 && connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return server;
  if (server >= 0) (void)close(server);
  return -1;
}

bool send_whole(int to, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

// Waits for input, but not beyond the end of the test.
bool receive_whole(int from, std::span<std::uint8_t> into, const std::atomic<bool>& over) {
  while (!into.empty()) {
    pollfd ready{from, POLLIN, 0};
    if (over) return false;
    if (poll(&ready, 1, kLookEveryMs) <= 0) continue;
    const ssize_t count = recv(from, into.data(), into.size(), 0);
    if (count <= 0) return false;
    into = into.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

// One command or answer; empty when the other side is gone.
base::Bytes receive_message(int from, const std::atomic<bool>& over) {
  base::Bytes message(kHeader);
  if (!receive_whole(from, message, over)) return {};
  base::ByteReader in(base::ByteView(message).subspan(2));
  const std::uint32_t size = *in.u32be();
  if (size < kHeader || size > 65536) return {};
  message.resize(size);
  if (!receive_whole(from, std::span(message).subspan(kHeader), over)) return {};
  return message;
}

}  // namespace

TpmProxy::TpmProxy(Swtpm& tpm) : tpm_(tpm) {
  const std::string path = (folder_ / "tpm").string();
  data_listener_ = listen_at(path);
  control_listener_ = listen_at(path + ".ctrl");
  data_ = std::thread([this] { serve(data_listener_, false); });
  control_ = std::thread([this] { serve(control_listener_, true); });
}

TpmProxy::~TpmProxy() {
  over_ = true;
  data_.join();
  control_.join();
  (void)close(data_listener_);
  (void)close(control_listener_);
}

std::string TpmProxy::tcti() const { return "swtpm:path=" + (folder_ / "tpm").string(); }

void TpmProxy::arm(int at, Deed deed) {
  at_ = 0;
  deed_ = deed;
  struck_ = false;
  commands_ = 0;
  at_ = at;
}

void TpmProxy::serve(int listener, bool is_control) {
  while (!over_) {
    pollfd ready{listener, POLLIN, 0};
    if (poll(&ready, 1, kLookEveryMs) <= 0) continue;
    const int client = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    const std::string path = tpm_.tcti().substr(std::string_view("swtpm:path=").size());
    const int server = connect_to(is_control ? path + ".ctrl" : path);
    if (server >= 0 && is_control)
      relay(client, server);
    else if (server >= 0)
      while (!over_ && one_command(client, server)) {
      }
    if (server >= 0) (void)close(server);
    (void)close(client);
  }
}

void TpmProxy::relay(int client, int server) {
  std::array<std::uint8_t, 4096> piece{};
  while (!over_) {
    pollfd ready[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    if (poll(ready, 2, kLookEveryMs) <= 0) continue;
    for (const auto& [from, to] : {std::pair(0, 1), std::pair(1, 0)}) {
      if (ready[from].revents == 0) continue;
      const ssize_t count = recv(ready[from].fd, piece.data(), piece.size(), 0);
      if (count <= 0 || !send_whole(ready[to].fd, std::span(piece).first(static_cast<std::size_t>(count)))) return;
    }
  }
}

bool TpmProxy::one_command(int client, int server) {
  const base::Bytes command = receive_message(client, over_);
  if (command.empty()) return false;
  const int number = ++commands_;
  const bool due = at_ != 0 && number == at_;
  const Deed deed = due ? deed_.load() : Deed::pass;
  struck_ = struck_ || due;
  if (deed == Deed::kill_before) {
    tpm_.kill();
    return false;
  }
  if (!send_whole(server, command)) return false;
  const base::Bytes answer = receive_message(server, over_);
  switch (deed) {
    case Deed::kill_after:
      tpm_.kill();
      return false;
    case Deed::hang_up:
      return false;
    case Deed::delay:
      std::this_thread::sleep_for(std::chrono::milliseconds(1500));
      break;
    case Deed::truncate:
      (void)send_whole(client, std::span(answer).first(answer.size() / 2));
      return false;
    case Deed::replace: {
      constexpr std::array<std::uint8_t, kHeader> kFailure = {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x01};
      return send_whole(client, kFailure);
    }
    default:
      break;
  }
  return !answer.empty() && send_whole(client, answer);
}

}  // namespace tests
