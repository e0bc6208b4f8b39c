#include "usb/serial/link.hpp"

#include <utility>   // before Boost.Asio: its awaitable.hpp forgets std::exchange
// clang-format off
#include <boost/asio/io_context.hpp>
#include <boost/asio/serial_port.hpp>
#include <boost/asio/write.hpp>
// clang-format on
#include <fmt/format.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>

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

}  // namespace

struct Link::Device {
  Device(std::string name, Role role, std::uint32_t number, Stop asked)
      : shown(std::move(name)), port(io), session(role, number, now()), stop(std::move(asked)) {}
  ~Device() {
    // Cancelled reads and writes are handed their error now, while what they refer to is still there.
    boost::system::error_code ignored;
    port.close(ignored);
    io.restart();
    io.poll();
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  static Instant now() { return std::chrono::steady_clock::now(); }

  void start_reading() {
    if (std::exchange(reading, true)) return;
    port.async_read_some(asio::buffer(incoming), [this](boost::system::error_code error, std::size_t count) {
      reading = false;
      session.receive(ByteView(incoming).first(count), now());
      if (error) failure = error;
    });
  }

  void start_writing() {
    if (writing) return;
    outgoing = session.take_output(now());
    if (outgoing.empty()) return;
    writing = true;
    asio::async_write(port, asio::buffer(outgoing), [this](boost::system::error_code error, std::size_t) {
      writing = false;
      if (error) failure = error;
    });
  }

  // Moves bytes until one thing has happened or it is `until`.
  Result<void> pump(Instant until) {
    start_writing();
    start_reading();
    io.restart();
    io.run_one_until(std::min({until, session.next_deadline(), now() + kStopCheck}));
    session.tick(now());
    if (failure) return fail(Errc::io, fmt::format("{}: the line is gone: {}", shown, failure.message()));
    if (stop && stop()) return fail(Errc::unavailable, fmt::format("{}: told to stop", shown));
    return {};
  }

  Result<void> expect_open() const {
    if (!session.closed()) return {};
    return fail(Errc::unavailable, fmt::format("{}: the link is over: {}", shown, session.end_reason()));
  }

  std::string shown;
  asio::io_context io{1};
  asio::serial_port port;
  Session session;
  Stop stop;
  std::array<std::uint8_t, 16U << 10> incoming{};
  Bytes outgoing;
  bool reading = false;
  bool writing = false;
  boost::system::error_code failure;
};

Link::Link(std::unique_ptr<Device> device) : device_(std::move(device)) {}
Link::~Link() {
  // Whoever leaves in the middle says so, or the other end would wait for two minutes.
  if (device_->session.connected()) (void)finish(std::chrono::milliseconds(500));
}

Result<std::unique_ptr<Link>> Link::open(const std::filesystem::path& device, Role role, std::uint32_t number, Stop stop,
                                         std::uint32_t baud) {
  const std::string shown = base::printable(device.string());
  auto opened = std::make_unique<Device>(shown, role, number, std::move(stop));
  asio::serial_port& port = opened->port;
  boost::system::error_code error;
  port.open(device.string(), error);   // sets it raw: no echo, no signals, no line editing
  if (error == boost::system::errc::no_such_file_or_directory) return fail(Errc::not_found, fmt::format("{}: no such device", shown));
  if (error) return fail(Errc::io, fmt::format("{}: opening the serial device: {}", shown, error.message()));
  port.set_option(asio::serial_port::baud_rate(baud), error);
  if (!error) port.set_option(asio::serial_port::character_size(8), error);
  if (!error) port.set_option(asio::serial_port::parity(asio::serial_port::parity::none), error);
  if (!error) port.set_option(asio::serial_port::stop_bits(asio::serial_port::stop_bits::one), error);
  if (!error) port.set_option(asio::serial_port::flow_control(asio::serial_port::flow_control::none), error);
  if (error) return fail(Errc::io, fmt::format("{}: setting {} baud, 8N1: {}", shown, baud, error.message()));
  // Another program on the same device would take bytes away from us. Root may still open it.
  if (::ioctl(port.native_handle(), TIOCEXCL) != 0) return fail(Errc::io, fmt::format("{}: cannot be had for us alone", shown));
  return std::unique_ptr<Link>(new Link(std::move(opened)));
}

Result<bool> Link::connect(Duration wait) {
  const Instant until = Device::now() + wait;
  while (!device_->session.connected()) {
    TRY(device_->expect_open());
    if (Device::now() >= until) return false;
    TRY(device_->pump(until));
  }
  return true;
}

Result<void> Link::send(Bytes message) {
  while (!device_->session.can_send()) {
    TRY(device_->expect_open());
    TRY(device_->pump(Instant::max()));
  }
  device_->session.send(std::move(message));
  device_->start_writing();
  return {};
}

Result<std::optional<Bytes>> Link::receive(Duration wait) {
  const Instant until = Device::now() + wait;
  while (true) {
    while (std::optional<Event> event = device_->session.next_event())
      if (auto* message = std::get_if<Message>(&*event)) return std::optional<Bytes>(std::move(message->bytes));
    TRY(device_->expect_open());
    if (Device::now() >= until) return std::optional<Bytes>();
    TRY(device_->pump(until));
  }
}

Result<void> Link::finish(Duration wait) {
  const Instant until = Device::now() + wait;
  device_->stop = {};   // a goodbye takes no longer than `wait` in any case
  while (!device_->session.all_acknowledged() && Device::now() < until) TRY(device_->pump(until));
  device_->session.close("finished");
  // The goodbye is on its way when the write it started is done; nobody answers it.
  do {
    TRY(device_->pump(until));
  } while (device_->writing && Device::now() < until);
  return {};
}

}  // namespace serial
