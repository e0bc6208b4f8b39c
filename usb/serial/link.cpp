#include "usb/serial/link.hpp"

#include <utility>   // before Boost.Asio: its awaitable.hpp forgets std::exchange
// clang-format off
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/serial_port.hpp>
#include <boost/asio/write.hpp>
// clang-format on
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "crypto/base/text.hpp"

namespace serial {

using base::Bytes;
using base::ByteView;
using base::Errc;
using base::fail;
using base::Result;
namespace asio = boost::asio;

namespace {

constexpr Duration kStopCheck = std::chrono::milliseconds(200);
constexpr Duration kStuck = std::chrono::minutes(20);   // an end that reads back a large file takes nothing meanwhile

}  // namespace

// The line has a thread of its own, so that it is heard and answered while this program's owner writes to a disk or digests
// a file: a UART keeps 64 bytes, and its driver a few thousand. `mutex` guards everything but the port and its buffers.
struct Link::Device {
  Device(std::string name, Role role, std::uint32_t number, std::uint32_t speed, Stop asked)
      : shown(std::move(name)), baud(speed), port(io), session(role, number, now()), stop(std::move(asked)) {}
  ~Device() {
    if (thread.joinable()) {
      {
        const std::lock_guard lock(mutex);
        ending = true;
      }
      wake();
      thread.join();
    }
    // Cancelled reads and writes are handed their error now, while what they refer to is still there.
    boost::system::error_code ignored;
    if (port.is_open()) release(port.native_handle());
    port.close(ignored);
    io.restart();
    io.poll();
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  Duration stuck = kStuck;
  static Instant now() { return std::chrono::steady_clock::now(); }
  void wake() { asio::post(io, [] {}); }

  void run() {
    while (true) {
      Instant until;
      {
        const std::lock_guard lock(mutex);
        if (ending || failure) return;
        session.tick(now());
        start_writing();
        start_reading();
        until = std::min(session.next_deadline(), now() + kStopCheck);
      }
      io.restart();
      io.run_one_until(until);
      changed.notify_all();
    }
  }

  void start_reading() {
    if (std::exchange(reading, true)) return;
    port.async_read_some(asio::buffer(incoming), [this](boost::system::error_code error, std::size_t count) {
      const std::lock_guard lock(mutex);
      reading = false;
      session.receive(ByteView(incoming).first(count), now());
      if (error) failure = error;
    });
  }

  void start_writing() {
    if (writing) return;
    outgoing = session.take_output(now());
    writing = !outgoing.empty();
    if (!writing) return;
    asio::async_write(port, asio::buffer(outgoing), [this](boost::system::error_code error, std::size_t) {
      const std::lock_guard lock(mutex);
      writing = false;
      if (error) failure = error;
    });
  }

  // Waits until `holds`, or `until`; an error when the line is gone or the owner wants to stop.
  template <class Holds>
  Result<void> wait(std::unique_lock<std::mutex>& lock, Instant until, const Holds& holds) {
    while (!holds() && now() < until) {
      if (failure) return fail(Errc::io, fmt::format("{}: the line is gone: {}", shown, failure.message()));
      if (session.closed()) return fail(Errc::unavailable, fmt::format("{}: the link is over: {}", shown, session.end_reason()));
      if (stop && stop()) return fail(Errc::unavailable, fmt::format("{}: told to stop", shown));
      changed.wait_until(lock, std::min(until, now() + kStopCheck));
    }
    return {};
  }

  std::string shown;
  std::uint32_t baud;
  std::uint64_t framing_errors_before = 0;
  asio::io_context io{1};
  asio::serial_port port;
  std::mutex mutex;
  std::condition_variable changed;
  Session session;
  Stop stop;
  std::array<std::uint8_t, 16U << 10> incoming{};
  Bytes outgoing;
  bool reading = false;
  bool writing = false;
  bool ending = false;
  boost::system::error_code failure;
  std::thread thread;
};

Link::Link(std::unique_ptr<Device> device) : device_(std::move(device)) {}
Link::~Link() {
  // Whoever leaves in the middle says so, or the other end would wait for two minutes.
  if (is_connected()) (void)finish(std::chrono::milliseconds(500));
}

Result<std::unique_ptr<Link>> Link::open(const std::filesystem::path& device, Role role, std::uint32_t number,
                                         const LineSettings& settings, Stop stop) {
  TRY(expect_usable(settings));
  const std::filesystem::path name = TRY(device_now(device));
  const std::string shown = base::printable(name.string());
  auto opened = std::make_unique<Device>(shown, role, number, settings.baud, std::move(stop));
  asio::serial_port& port = opened->port;
  boost::system::error_code error;
  port.open(name.string(), error);   // sets it raw: no echo, no signals, no line editing
  if (error == boost::system::errc::no_such_file_or_directory) return fail(Errc::not_found, fmt::format("{}: no such device", shown));
  if (error) return fail(Errc::io, fmt::format("{}: opening the serial device: {}", shown, error.message()));
  using Flow = asio::serial_port::flow_control;
  port.set_option(asio::serial_port::character_size(8), error);
  if (!error) port.set_option(asio::serial_port::parity(asio::serial_port::parity::none), error);
  if (!error) port.set_option(asio::serial_port::stop_bits(asio::serial_port::stop_bits::one), error);
  if (!error) port.set_option(Flow(settings.rts_cts ? Flow::hardware : Flow::none), error);
  if (error) return fail(Errc::io, fmt::format("{}: setting 8N1: {}", shown, error.message()));
  TRY(base::within(shown, set_speed(port.native_handle(), settings.baud)));   // last: the others would undo it
  TRY(base::within(shown, claim(port.native_handle())));
  opened->framing_errors_before = framing_errors(port.native_handle()).value_or(0);
  Device* const running = opened.get();
  running->thread = std::thread([running] { running->run(); });
  return std::unique_ptr<Link>(new Link(std::move(opened)));
}

LineQuality Link::quality() const {
  const std::lock_guard lock(device_->mutex);
  return device_->session.quality();
}

bool Link::is_connected() const {
  const std::lock_guard lock(device_->mutex);
  return device_->session.connected() && !device_->failure;
}

std::uint64_t Link::unacknowledged() const {
  const std::lock_guard lock(device_->mutex);
  return device_->session.unacknowledged();
}

const std::string& Link::name() const { return device_->shown; }

std::string Link::unreadable() const {
  const LineQuality heard = quality();
  if (!heard.is_unreadable()) return {};
  const std::uint64_t framing = framing_errors(device_->port.native_handle()).value_or(0) - device_->framing_errors_before;
  return fmt::format("{} bytes came and none of them can be read{}: the other end has another speed than {} baud, or is no Coldseal, "
                     "or the line is very noisy",
                     heard.bytes_heard, framing > 0 ? fmt::format(" ({} without a stop bit)", framing) : "", device_->baud);
}

Result<bool> Link::connect(Duration wait) {
  std::unique_lock lock(device_->mutex);
  TRY(device_->wait(lock, Device::now() + wait, [&] { return device_->session.connected(); }));
  return device_->session.connected();
}

Result<void> Link::send(Bytes message) {
  std::unique_lock lock(device_->mutex);
  // A slow line moves, however slowly. An end that answers for ever and takes nothing is as good as none.
  std::uint64_t left = device_->session.unacknowledged();
  Instant until = Device::now() + device_->stuck;
  while (!device_->session.can_send(message.size()) || device_->failure) {
    TRY(device_->wait(lock, std::min(until, Device::now() + kStopCheck), [&] { return device_->session.can_send(message.size()) && !device_->failure; }));
    if (const std::uint64_t now_left = device_->session.unacknowledged(); now_left != left) {
      left = now_left;
      until = Device::now() + device_->stuck;
    }
    if (Device::now() >= until)
      return fail(Errc::unavailable, fmt::format("{}: the other end is there but has taken nothing for {} s", device_->shown,
                                                 std::chrono::duration_cast<std::chrono::seconds>(device_->stuck).count()));
  }
  device_->session.send(message);
  device_->wake();
  return {};
}

void Link::set_patience(Duration stuck) { device_->stuck = stuck; }

Result<std::optional<Bytes>> Link::receive(Duration wait) {
  std::unique_lock lock(device_->mutex);
  std::optional<Bytes> taken;
  // What came before the line was lost is still handed out.
  TRY(device_->wait(lock, Device::now() + wait, [&] {
    while (std::optional<Event> event = device_->session.next_event())
      if (auto* message = std::get_if<Message>(&*event)) {
        taken = std::move(message->bytes);
        return true;
      }
    return false;
  }));
  if (taken) device_->wake();   // there is room again, and the other end may have to hear of it
  return taken;
}

Result<void> Link::finish(Duration wait) {
  std::unique_lock lock(device_->mutex);
  const Instant until = Device::now() + wait;
  device_->stop = {};   // a goodbye takes no longer than `wait` in any case
  TRY(device_->wait(lock, until, [&] { return device_->session.unacknowledged() == 0; }));
  device_->session.close("finished");
  device_->wake();
  // The goodbye is on its way when everything there is to say has been written; nobody answers it.
  while (!device_->failure && Device::now() < until && (device_->writing || device_->session.has_output()))
    device_->changed.wait_until(lock, until);
  return {};
}

}  // namespace serial
