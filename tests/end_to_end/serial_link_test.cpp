// The real coldseal and coldseal-courier at the ends of a serial cable that behaves badly.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "crypto/keys/submitter_key.hpp"
#include "crypto/verify_signature.hpp"
#include "tests/support/parcels.hpp"
#include "tests/support/process.hpp"
#include "tests/support/serial_cable.hpp"
#include "tests/support/temp_dir.hpp"
#include "usb/files/parcel.hpp"
#include "usb/serial/frame.hpp"
#include "usb/serial/message.hpp"
#include "usb/serial/stream.hpp"

namespace {

using base::Bytes;
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using tests::Background;
using tests::Command;
using tests::program;

const std::string kId = tests::some_id('a');
const std::string kOther = tests::some_id('b');

Bytes noise(std::size_t count, unsigned seed) {   // that does not shrink
  std::mt19937 random(seed);
  Bytes bytes(count);
  std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<std::uint8_t>(random()); });
  return bytes;
}

std::size_t anonymous_kib(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) return std::stoul(line.substr(8));
  throw std::runtime_error("nothing is known of the memory of process " + std::to_string(process));   // 0 would pass
}

class SerialLink : public testing::Test {
 protected:
  Background courier(const std::string& device, const Command& more = {}) const {
    Command command = {program("coldseal-courier"), "--root", dir_ / "root", "--serial", device};
    command.insert(command.end(), more.begin(), more.end());
    return Background(command, dir_ / "courier.log");
  }
  Command send(const std::string& device, const Command& more = {}) const {
    Command command = {program("coldseal"), "send", "--serial", device, dir_ / "out" / kId};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  // A key, and a response to its submitter as coldseald leaves it.
  fs::path make_key(const std::string& name) const {
    const keys::SubmitterKey key = keys::SubmitterKey::generate();
    tests::write_text(dir_ / (name + ".pem"), key.pem(nullptr));
    tests::write_text(dir_ / (name + ".id"), crypto::PublicKey::parse(key.public_key_der())->keyid());
    return dir_ / (name + ".pem");
  }
  void make_response(const std::string& id, const std::string& owner, const std::map<std::string, Bytes>& files) const {
    tests::make_response(dir_ / "made", id, files);
    fs::copy_file(dir_ / (owner + ".id"), dir_ / "made" / id / usb::kOwnerName);
    fs::create_directories(outbox_);
    fs::rename(dir_ / "made" / id, outbox_ / id);
  }
  bool has_arrived(const std::string& id = kId) const { return fs::exists(inbox_ / id); }
  void expect_identical(const std::string& id = kId) const {
    EXPECT_EQ(tests::all_files(inbox_ / id), tests::all_files(dir_ / "out" / id));
    EXPECT_FALSE(fs::exists(inbox_ / (id + ".part")));
  }

  const tests::TempDir dir_;
  const fs::path inbox_ = dir_ / "root/var/lib/coldseal/inbox";
  const fs::path outbox_ = dir_ / "root/var/lib/coldseal/outbox";
};

TEST_F(SerialLink, CarriesRequestsInAndResponsesOutToTheirSubmittersOnly) {
  tests::SerialCable cable;
  tests::make_request(dir_ / "out", kId, {{"a.inf", tests::some_bytes(1000, 1)}, {"x64/a.sys", tests::some_bytes(90'000, 2)}});
  tests::make_request(dir_ / "out", kOther, {{"b.inf", tests::some_bytes(1000, 1)}});
  const Background appliance = courier(cable.appliance_end());
  const std::string told = tests::run_well(send(cable.host_end(), {dir_ / "out" / kOther}));   // two in one go
  EXPECT_NE(told.find(kId + "  sent"), std::string::npos) << told;
  expect_identical(kId);
  expect_identical(kOther);
  EXPECT_NE(tests::run_well(send(cable.host_end())).find("had it already"), std::string::npos);

  const fs::path key = make_key("one");
  const fs::path stranger = make_key("two");
  make_response(kId, "one", {{"a.cat", tests::some_bytes(5000, 3)}});
  const Command collect = {program("coldseal"), "collect", "--serial", cable.host_end()};
  const auto with = [&](const Command& more) {
    Command all = collect;
    all.insert(all.end(), more.begin(), more.end());
    return tests::run(all);
  };
  EXPECT_EQ(with({"-o", dir_ / "in"}).status, 2) << "no key";
  EXPECT_NE(with({"--key", key, "--list"}).output.find(kId), std::string::npos);
  EXPECT_EQ(with({"--key", stranger, "--list"}).output.find(kId), std::string::npos);
  EXPECT_NE(with({"--key", stranger, "-o", dir_ / "stolen", kId}).status, 0);
  EXPECT_FALSE(fs::exists(dir_ / "stolen" / kId));
  const tests::Finished collected = with({"--key", key, "-o", dir_ / "in"});
  EXPECT_EQ(collected.status, 0) << collected.output;
  EXPECT_TRUE(fs::exists(dir_ / "in" / kId / "files/a.cat"));
  EXPECT_FALSE(fs::exists(dir_ / "in" / kId / usb::kOwnerName)) << "stays on the appliance";
}

TEST_F(SerialLink, TellsProgramsWhatHappensAsOneJsonObjectALine) {
  tests::SerialCable cable({.bytes_per_second = 300'000});
  tests::make_request(dir_ / "out", kId, {{"a.sys", noise(1'500'000, 1)}});
  const Background appliance = courier(cable.appliance_end());
  std::istringstream lines(tests::run_well(send(cable.host_end(), {"--json"})));
  std::map<std::string, unsigned> events;
  bool had_rate = false;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json event = nlohmann::json::parse(line);
    ++events[event.at("event")];
    if (event.at("event") == "progress") { EXPECT_EQ(event.at("id"), kId); }
    had_rate = had_rate || (event.contains("bytes_per_second") && event.contains("seconds_left"));
    if (event.at("event") == "sent") { EXPECT_EQ(event.at("went_on_at"), 0); }
  }
  EXPECT_EQ(events["link"], 1U);
  EXPECT_GE(events["progress"], 4U);
  EXPECT_EQ(events["sent"], 1U);
  EXPECT_TRUE(had_rate);
}

TEST_F(SerialLink, ShowsABarWithRateAndTimeLeftAndAfterCtrlCGoesOnWhereItWas) {
  tests::SerialCable cable({.bytes_per_second = 250'000});
  tests::make_request(dir_ / "out", kId, {{"a.sys", noise(2'000'000, 1)}});
  const Background appliance = courier(cable.appliance_end());
  {
    tests::AtTerminal screen(send(cable.host_end()));
    screen.expect("sending [");
    screen.expect(" kB/s");
    screen.expect(" left");
    screen.type("\x03");   // Ctrl-C
    screen.expect("the same command goes on");
    EXPECT_NE(screen.wait(), 0);
  }
  EXPECT_FALSE(has_arrived());
  const std::string told = tests::run_well(send(cable.host_end()));
  EXPECT_NE(told.find("bytes of it before"), std::string::npos) << told;
  expect_identical();
}

TEST_F(SerialLink, IsNotDisturbedByGarbageBeforeDuringAndAfter) {
  tests::SerialCable cable({.bytes_per_second = 1'000'000});
  tests::make_request(dir_ / "out", kId, {{"a.sys", noise(1'000'000, 1)}});
  const Background appliance = courier(cable.appliance_end());
  cable.put_noise(noise(5000, 7));
  Background sending(send(cable.host_end()), dir_ / "send.log");
  for (unsigned i = 0; sending.is_running() && i < 2000; ++i) {
    cable.put_noise(noise(50, i));
    std::this_thread::sleep_for(20ms);
  }
  ASSERT_FALSE(sending.is_running()) << sending.log();
  EXPECT_NE(sending.log().find("  sent"), std::string::npos) << sending.log();
  expect_identical();
  cable.put_noise(noise(5000, 8));
  EXPECT_NE(tests::run_well(send(cable.host_end())).find("had it already"), std::string::npos);
  EXPECT_NE(appliance.log().find("the cable: "), std::string::npos) << appliance.log();
  EXPECT_NE(appliance.log().find("damaged frames came"), std::string::npos) << appliance.log();
  EXPECT_NE(sending.log().find("the cable: "), std::string::npos) << sending.log();
}

TEST_F(SerialLink, GoesOnAfterTwentyCutsUnderOtherNames) {
  constexpr std::uint64_t kUntilNextCut = 400'000;
  tests::SerialCable cable({.cut_after = kUntilNextCut});
  tests::make_request(dir_ / "out", kId, {{"a.sys", noise(12'000'000, 1)}});
  const Background appliance = courier(cable.appliance_pattern());
  Background sending(send(cable.host_pattern()), dir_ / "send.log");
  for (unsigned cut = 1; cut <= 20; ++cut) {
    tests::wait_until("the cable is cut", [&] { return cable.is_cut() || !sending.is_running(); }, 60s);
    ASSERT_TRUE(sending.is_running()) << "cut " << cut << "\n" << sending.log() << appliance.log();
    ASSERT_FALSE(has_arrived()) << "cut " << cut;
    cable.mend(cut < 20 ? kUntilNextCut : UINT64_MAX);
  }
  tests::wait_until("the request is there", [&] { return has_arrived(); }, 120s);
  tests::wait_until("coldseal has ended", [&] { return !sending.is_running(); });
  expect_identical();
  EXPECT_NE(sending.log().find("trying again"), std::string::npos) << sending.log();
  EXPECT_NE(appliance.log().find("goes on where it stopped"), std::string::npos);
}

TEST_F(SerialLink, GoesOnAfterBothProgramsAreKilledAtRandom) {
  tests::SerialCable cable({.bytes_per_second = 2'000'000});
  tests::make_request(dir_ / "out", kId, {{"a.sys", noise(11'000'000, 1)}, {"b.sys", noise(1'000'000, 2)}});
  std::mt19937 random(42);
  Background appliance = courier(cable.appliance_end());
  Background sending(send(cable.host_end()), dir_ / "send.log");
  unsigned killed = 0;
  for (int round = 0; round < 200 && !has_arrived(); ++round) {
    const std::uint64_t before = cable.carried();
    const std::uint64_t more = random() % 900'000;
    tests::wait_until("something passes", [&] { return cable.carried() >= before + more || has_arrived() || !sending.is_running(); }, 60s);
    if (has_arrived()) break;
    if (killed < 12) {
      ++killed;
      if (random() % 2 == 0) {
        appliance.kill();
        appliance = courier(cable.appliance_end());
      } else {
        sending.kill();
      }
    }
    if (!sending.is_running()) sending = Background(send(cable.host_end()), dir_ / "send.log");
  }
  tests::wait_until("the request is there", [&] { return has_arrived(); }, 60s);
  EXPECT_EQ(killed, 12U);
  expect_identical();
  // What had come was not sent again, but for a window and what a program had in its hands each time.
  EXPECT_LE(cable.carried(), 12'000'000 * 102 / 100 + killed * (serial::kStreamBytes + 40'000));
}

TEST_F(SerialLink, ServesTwoHostsOneAfterTheOther) {
  tests::SerialCable cable({.bytes_per_second = 1'000'000});
  tests::make_request(dir_ / "out", kId, {{"a.sys", noise(4'000'000, 1)}});
  tests::make_request(dir_ / "out", kOther, {{"b.sys", noise(300'000, 2)}});
  const Background appliance = courier(cable.appliance_end());
  Background first(send(cable.host_end()), dir_ / "first.log");
  tests::wait_until("the first host is in the middle", [&] { return cable.carried() > 200'000; });
  first.kill();   // it goes without a word, and another one comes
  tests::run_well({program("coldseal"), "send", "--serial", cable.host_end(), dir_ / "out" / kOther});
  EXPECT_FALSE(has_arrived());
  expect_identical(kOther);
  EXPECT_NE(tests::run_well(send(cable.host_end())).find("bytes of it before"), std::string::npos);
  expect_identical();
}

TEST_F(SerialLink, CarriesARequestOf200MiB) {
  tests::SerialCable cable;
  const Bytes part = noise(20U << 20, 1);
  std::map<std::string, Bytes> files;
  for (int i = 0; i < 10; ++i) files[fmt::format("part{}.bin", i)] = part;
  for (std::size_t i = 0; i < part.size(); ++i) files["part0.bin"][i] = static_cast<std::uint8_t>(i / 1000);   // one that shrinks
  tests::make_request(dir_ / "out", kId, files);
  const Background appliance = courier(cable.appliance_end());
  tests::wait_until("the courier listens", [&] { return anonymous_kib(appliance.pid()) > 0; });
  const std::size_t without_link = anonymous_kib(appliance.pid());
  Background sending(send(cable.host_end()), dir_ / "send.log");
  std::size_t most = 0;
  while (sending.is_running()) {
    most = std::max(most, anonymous_kib(appliance.pid()));
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_NE(sending.log().find("  sent"), std::string::npos) << sending.log();
  EXPECT_GT(most, 0U);
  EXPECT_LE(most, without_link + 1024) << "one link has at most 1 MiB, whatever it carries";
  for (const auto& [path, bytes] : files) EXPECT_EQ(fs::file_size(inbox_ / kId / "files" / path), bytes.size());
  EXPECT_EQ(tests::all_files(inbox_ / kId / "files").at("part9.bin"), part);
}

TEST_F(SerialLink, WaitsForADeviceThatCannotBeOpenedYet) {
  const std::string device = dir_ / "ttyUSB0";
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);   // opening a socket's name is ENXIO, as with a driver without its device
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(device.begin(), device.end(), address.sun_path);
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const Background appliance = courier(device);
  tests::wait_until("it says so", [&] { return appliance.log().find("No such device or address") != std::string::npos; });
  EXPECT_EQ(tests::run(send(device)).status, 2);
  ::close(socket);
  fs::remove(device);
  tests::SerialCable cable;
  fs::create_symlink(cable.appliance_end(), device);
  tests::make_request(dir_ / "out", kId, {{"a.sys", noise(1000, 1)}});
  tests::run_well(send(cable.host_end()));
  expect_identical();
}

TEST_F(SerialLink, SaysAtBothEndsThatNothingCanBeReadAtAnotherSpeed) {
  tests::SerialCable cable;
  tests::make_request(dir_ / "out", kId, {{"a.sys", noise(1000, 1)}});
  const Background appliance = courier(cable.appliance_end());
  tests::wait_until("the courier says so", [&] {
    cable.put_noise(noise(20, 2));
    return appliance.log().find("another speed than 115200 baud") != std::string::npos;
  });
  // That courier does not answer what it cannot read: a host that hears nothing is told of the speed as well.
  tests::SerialCable dead;
  Background unheard(send(dead.host_end(), {"--baud", "9600"}), dir_ / "unheard.log");
  // A host whose other end is something else: what a UART makes of another speed, instead of an appliance.
  tests::SerialCable babble;
  Background sending(send(babble.host_end()), dir_ / "send.log");
  tests::wait_until("coldseal gives up", [&] {
    babble.put_noise(noise(20, 3));
    return !sending.is_running();
  }, 40s);
  EXPECT_NE(sending.log().find("another speed than 115200 baud"), std::string::npos) << sending.log();
  tests::wait_until("the other gives up, too", [&] { return !unheard.is_running(); }, 40s);
  EXPECT_NE(unheard.log().find("is its courier set to 9600 baud"), std::string::npos) << unheard.log();
  tests::run_well(send(cable.host_end()));   // and the right speed works at once
  expect_identical();
}

// A hostile peer on the line, frame by frame.
class Peer {
 public:
  explicit Peer(const fs::path& device) : line_(device, std::ios::binary) { line_ << std::unitbuf; }
  void say(serial::FrameType type, std::uint32_t link, std::uint32_t number, const Bytes& payload) {
    raw(serial::encode_frame({type, link, number, payload}));
  }
  void hello(std::uint32_t link) { say(serial::FrameType::hello, link, 1, {2, 2, 0, 0, 2, 0}); }
  void words(std::uint32_t link, const serial::Words& words) {
    const Bytes message = serial::encode_words(words);
    Bytes payload = {static_cast<std::uint8_t>(offset_), static_cast<std::uint8_t>(offset_ >> 8), static_cast<std::uint8_t>(offset_ >> 16), 0,
                     static_cast<std::uint8_t>(message.size()), static_cast<std::uint8_t>(message.size() >> 8)};
    base::append(payload, message);
    offset_ += static_cast<std::uint32_t>(message.size() + 2);
    say(serial::FrameType::data, link, ++number_, payload);
  }
  void begin() { offset_ = number_ = 0; }
  void raw(const Bytes& bytes) { line_.write(base::as_text(bytes).data(), static_cast<std::streamsize>(bytes.size())); }

 private:
  std::ofstream line_;
  std::uint32_t offset_ = 0;
  std::uint32_t number_ = 0;
};

TEST_F(SerialLink, AHostilePeerGetsNothingAndLeavesTheCourierAsItWas) {
  tests::SerialCable cable;
  tests::make_request(dir_ / "out", kId, {{"a.sys", noise(100'000, 1)}});
  const Background appliance = courier(cable.appliance_end());
  tests::wait_until("the courier listens", [&] { return fs::exists(inbox_); });
  const std::size_t without_link = anonymous_kib(appliance.pid());
  tests::run_well(send(cable.host_end()));
  const auto said = [&](std::string_view words) {
    const std::string log = appliance.log();
    std::size_t times = 0;
    for (std::size_t at = log.find(words); at != std::string::npos; at = log.find(words, at + 1)) ++times;
    return times;
  };
  {
    Peer peer(cable.host_end());
    const auto call = [&](std::uint32_t link) {   // until it is answered: the courier opens its device anew after each link
      const std::size_t before = said("a host has called");
      peer.begin();
      tests::wait_until("the courier answers", [&] {
        peer.hello(link);
        return said("a host has called") > before;
      });
    };
    const Bytes document(2, 'x');
    serial::Offer offer{usb::ParcelKind::request, kOther, 1ULL << 63, crypto::sha256(document)};
    for (std::uint32_t link = 1; link <= 4; ++link) {   // claims of 2^63 bytes, and what only a proven submitter may ask
      call(link);
      offer.bytes = link % 2 == 0 ? 1ULL << 63 : 10;
      peer.words(link, offer);
      peer.words(link, serial::GoOn{false});
      peer.words(link, serial::FileBegin{"files/a", 1ULL << 63, 0});
      peer.words(link, serial::ListRequests{{kId}});
      peer.words(link, serial::GetResponse{kId});
      tests::wait_until("it was refused", [&] { return said("responses are given only to a submitter who has proven a key") == link; });
      EXPECT_EQ(said("requests are listed only to a submitter who has proven a key"), link);
      EXPECT_EQ(said("9223372036854775808 bytes, at most"), link);   // of the offer, or of its file
    }
    for (std::uint32_t link = 5; link < 60; ++link) peer.hello(link);   // endless negotiation
    call(1000);
    const Bytes replayed = serial::encode_frame({serial::FrameType::data, 1000, 7, Bytes(1000, 3)});
    for (int i = 0; i < 3000; ++i) peer.raw(replayed);         // replayed frames, with a gap before them
    for (std::uint32_t i = 0; i < 3000; ++i)                   // pieces all over, beyond every window, none of them wanted
      peer.say(serial::FrameType::data, 1000, 100 + i, {static_cast<std::uint8_t>(i * 7), static_cast<std::uint8_t>(i), 1, 0, 9});
    for (int i = 0; i < 2000; ++i) peer.raw(Bytes(1000, 0x55));   // a frame without an end
    peer.raw({0});
    for (const std::uint8_t byte : serial::encode_frame({serial::FrameType::ping, 1000, 9999, {}})) {   // slow-loris
      peer.raw({byte});
      std::this_thread::sleep_for(5ms);
    }
  }
  tests::wait_until("the flood has passed", [&] { return cable.carried() > 5'000'000; }, 60s);
  EXPECT_FALSE(has_arrived(kOther));
  tests::make_request(dir_ / "out", kOther, {{"b.sys", noise(100'000, 2)}});
  tests::run_well({program("coldseal"), "send", "--serial", cable.host_end(), dir_ / "out" / kOther});
  expect_identical(kOther);
#ifndef __SANITIZE_ADDRESS__   // which keeps what was freed
  EXPECT_LE(anonymous_kib(appliance.pid()), without_link + 1024) << "one link has at most 1 MiB";
#endif
}

}  // namespace
