// A file of over 400 lines because every test stands on the same pair of ends with a cable in between.
#include "usb/serial/transfer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "crypto/verify_signature.hpp"
#include "tests/support/parcels.hpp"
#include "tests/support/process.hpp"
#include "tests/support/serial_cable.hpp"
#include "tests/support/software_key.hpp"
#include "tests/support/temp_dir.hpp"
#include "usb/serial/message.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::Errc;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

void fill_badly(std::span<std::uint8_t> out) {   // good enough where nobody attacks
  static std::atomic<unsigned> seed{1};
  std::mt19937 random(seed++);
  std::generate(out.begin(), out.end(), [&] { return static_cast<std::uint8_t>(random()); });
}

// The appliance's end, on a thread of its own, serving one host after the other.
class Appliance {
 public:
  Appliance(const fs::path& device, const fs::path& root) : boxes_{root / "inbox", root / "outbox"} {
    fs::create_directories(boxes_.inbox);
    fs::create_directories(boxes_.outbox);
    thread_ = std::thread([this, device] { run(device); });
  }
  ~Appliance() {
    stop_ = true;
    thread_.join();
  }
  const Boxes& boxes() const { return boxes_; }
  unsigned went_on() const { return went_on_; }

 private:
  void run(const fs::path& device) {
    while (!stop_) {
      auto link = Link::open(device, Role::appliance, 0, {}, [this] { return stop_.load(); });
      const auto connected = link ? (*link)->connect(60s) : base::Result<bool>(false);
      if (connected && *connected)
        (void)serve(**link, boxes_, fill_badly, [this](const Served& served) { went_on_ += served.what == Served::What::went_on ? 1U : 0U; });
      else std::this_thread::sleep_for(20ms);   // the cable is cut
    }
  }
  Boxes boxes_;
  std::atomic<bool> stop_{false};
  std::atomic<unsigned> went_on_{0};
  std::thread thread_;
};

const std::string kId = tests::some_id('a');

Bytes noise(std::size_t count, unsigned seed) {   // that does not shrink
  std::mt19937 random(seed);
  Bytes bytes(count);
  std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<std::uint8_t>(random()); });
  return bytes;
}

std::map<std::string, Bytes> five_megabytes() {
  return {{"driver.sys", noise(5'000'000, 1)}, {"amd64/driver.dll", tests::some_bytes(70'000, 2)},
          {"DRIVER.INF", tests::some_bytes(3000, 3)},      {"empty.txt", {}}};
}

HostLink to(const fs::path& device, Duration patience = 60s) {
  HostLink link;
  link.device = device;
  link.patience = patience;
  return link;
}

// As coldseald leaves a response: with the key id of its submitter beside it.
void make_owned_response(const fs::path& outbox, const std::string& id, const std::map<std::string, Bytes>& files,
                         const crypto::Signer& owner, const std::string& document = "{a receipt}") {
  tests::make_response(outbox, id, files, document);
  tests::write_text(outbox / id / usb::kOwnerName, crypto::PublicKey::parse(owner.public_key_der())->keyid());
}

std::map<std::string, Bytes> without_owners(std::map<std::string, Bytes> files) {
  std::erase_if(files, [](const auto& file) { return file.first.ends_with("/owner"); });
  return files;
}

TEST(SerialTransfer, CarriesARequestInAndItsResponseBack) {
  const tests::TempDir dir;
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_end(), dir.path());
  tests::make_request(dir / "out", kId, five_megabytes());

  const auto sent = send_requests(to(cable.host_end()), {dir / "out" / (kId + "/")});
  ASSERT_TRUE(sent) << sent.error().text();
  EXPECT_FALSE(sent->at(0).was_there);
  EXPECT_EQ(tests::all_files(appliance.boxes().inbox / kId), tests::all_files(dir / "out" / kId));

  const auto again = send_requests(to(cable.host_end()), {dir / "out" / kId});
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_TRUE(again->at(0).was_there);

  tests::SoftwareKey key = tests::SoftwareKey::generate_p256();
  make_owned_response(appliance.boxes().outbox, kId, five_megabytes(), key);
  make_owned_response(appliance.boxes().outbox, tests::some_id('b'), {}, key, "{refused}");
  const auto waiting = listed_requests(to(cable.host_end()), key);
  ASSERT_TRUE(waiting) << waiting.error().text();
  ASSERT_EQ(waiting->size(), 2U);
  EXPECT_EQ(waiting->at(0).id, kId);
  EXPECT_GT(waiting->at(0).bytes, 5'000'000U);
  const auto collected = collect_responses(to(cable.host_end()), {.submitter = key, .out = dir / "in", .ids = {}});
  ASSERT_TRUE(collected) << collected.error().text();
  ASSERT_EQ(collected->size(), 2U);
  EXPECT_EQ(tests::all_files(dir / "in"), without_owners(tests::all_files(appliance.boxes().outbox)));
  const auto same = collect_responses(to(cable.host_end()), {.submitter = key, .out = dir / "in", .ids = {kId}});
  ASSERT_TRUE(same) << same.error().text();
  EXPECT_TRUE(same->at(0).was_there);
  // The receipt is there, and one of its files is damaged: it is not said to have arrived until it is whole.
  const fs::path damaged = dir / "in" / kId / "files/amd64/driver.dll";
  Bytes flipped = tests::read_file(damaged);
  flipped[flipped.size() / 2] ^= 1U;
  tests::write_file(damaged, flipped);
  const auto mended = collect_responses(to(cable.host_end()), {.submitter = key, .out = dir / "in", .ids = {kId}});
  ASSERT_TRUE(mended) << mended.error().text();
  EXPECT_FALSE(mended->at(0).was_there);
  EXPECT_EQ(tests::all_files(dir / "in"), without_owners(tests::all_files(appliance.boxes().outbox)));
}

TEST(SerialTransfer, ASubmitterSeesOnlyItsOwnResponses) {
  const tests::TempDir dir;
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_end(), dir.path());
  tests::SoftwareKey key = tests::SoftwareKey::generate_p256();
  tests::SoftwareKey other = tests::SoftwareKey::generate_p256();
  make_owned_response(appliance.boxes().outbox, kId, {}, key);
  tests::make_response(appliance.boxes().outbox, tests::some_id('b'), {}, "{refused at the door: nobody's}");

  const auto none = listed_requests(to(cable.host_end()), other);
  ASSERT_TRUE(none) << none.error().text();
  EXPECT_TRUE(none->empty());
  const auto stolen = collect_responses(to(cable.host_end()), {.submitter = other, .out = dir / "in", .ids = {kId}});
  ASSERT_FALSE(stolen);
  EXPECT_EQ(stolen.error().code(), Errc::not_found) << stolen.error().text();
  EXPECT_FALSE(fs::exists(dir / "in" / kId));
  // What has no owner is for whoever knows its id, which is a digest of the whole request.
  EXPECT_TRUE(collect_responses(to(cable.host_end()), {.submitter = other, .out = dir / "in", .ids = {tests::some_id('b')}}));
  EXPECT_EQ(listed_requests(to(cable.host_end()), key)->size(), 1U);
}

// As coldseald marks a request that it has.
void mark_waiting(const fs::path& outbox, const std::string& id, const crypto::Signer& owner) {
  tests::write_text(outbox / (id + std::string(usb::kWaitingSuffix)), crypto::PublicKey::parse(owner.public_key_der())->keyid());
}

TEST(SerialTransfer, ASubmitterSeesWhatOfItsRequestsWaits) {
  const tests::TempDir dir;
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_end(), dir.path());
  const auto& [inbox, outbox] = appliance.boxes();
  tests::SoftwareKey key = tests::SoftwareKey::generate_p256();
  tests::SoftwareKey other = tests::SoftwareKey::generate_p256();
  make_owned_response(outbox, tests::some_id('1'), {}, key);
  mark_waiting(outbox, tests::some_id('1'), key);   // left there by a power cut
  mark_waiting(outbox, tests::some_id('2'), key);
  mark_waiting(outbox, tests::some_id('3'), other);
  tests::write_text(outbox / "junk.waiting", "?");
  tests::make_request(inbox, tests::some_id('4'), {});
  tests::make_request(inbox, tests::some_id('5'), {});

  using Places = std::map<char, RequestPlace>;
  const auto places = [&](crypto::Signer& who, const std::vector<std::string>& ids) {
    Places found;
    const auto listed = listed_requests(to(cable.host_end()), who, ids);
    EXPECT_TRUE(listed) << listed.error().text();
    for (const ListedRequest& one : *listed) found[one.id[0]] = one.place;
    EXPECT_EQ(found.size(), listed->size()) << "nothing twice";
    return found;
  };
  EXPECT_EQ(places(key, {}), (Places{{'1', RequestPlace::answered}, {'2', RequestPlace::taken}}));
  EXPECT_EQ(places(key, {tests::some_id('1'), tests::some_id('4'), tests::some_id('3')}),
            (Places{{'1', RequestPlace::answered}, {'2', RequestPlace::taken}, {'4', RequestPlace::arrived}}));
  EXPECT_EQ(places(other, {}), (Places{{'3', RequestPlace::taken}}));

  // What coldseald has is not sent a second time.
  tests::make_request(dir / "out", tests::some_id('2'), five_megabytes());
  const std::uint64_t before = cable.carried();
  const auto sent = send_requests(to(cable.host_end()), {dir / "out" / tests::some_id('2')});
  ASSERT_TRUE(sent) << sent.error().text();
  EXPECT_TRUE(sent->at(0).was_there);
  EXPECT_LT(cable.carried() - before, 10'000U);
}

TEST(SerialTransfer, StaysOnTheLinkForResponsesAndCollectsThemAsTheyCome) {
  const tests::TempDir dir;
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_end(), dir.path());
  const auto& [inbox, outbox] = appliance.boxes();
  tests::SoftwareKey key = tests::SoftwareKey::generate_p256();
  const std::string refused = tests::some_id('b');   // at the door: its response has no owner, and no list shows it
  tests::make_request(dir / "out", kId, five_megabytes());
  tests::make_request(dir / "out", refused, {});
  std::atomic<unsigned> links{0};
  HostLink host = to(cable.host_end());
  host.news = [&](std::string_view what) { links += what.find("connected") != std::string_view::npos ? 1U : 0U; };
  std::vector<RequestPlace> places;
  std::vector<std::string> story;
  std::atomic<unsigned> waits{0};
  const Collecting what{.submitter = key,
                        .out = dir / "in",
                        .wait = 60s,
                        .on_wait = [&](const ListedRequest& one) { if (one.id == kId) places.push_back(one.place); ++waits; },
                        .on_collected = [&](const Collected& one) { story.push_back("collected " + one.id); }};
  std::thread daemon([&] {
    tests::wait_until("the host waits", [&] { return waits >= 2; });
    tests::make_response(dir / "made", refused, {}, "{refused}");
    fs::rename(dir / "made" / refused, outbox / refused);
    mark_waiting(outbox, kId, key);
    tests::wait_until("the host sees that it was taken", [&] { return waits >= 3; });
    make_owned_response(dir / "made", kId, five_megabytes(), key);
    fs::rename(dir / "made" / kId, outbox / kId);
  });
  const auto collected = send_and_collect(host, {dir / "out" / kId, dir / "out" / refused},
                                          [&](const Sent& one) { story.push_back("sent " + one.id); }, what);
  daemon.join();
  ASSERT_TRUE(collected) << collected.error().text();
  EXPECT_EQ(story, (std::vector<std::string>{"sent " + kId, "sent " + refused, "collected " + refused, "collected " + kId}));
  EXPECT_EQ(places, (std::vector<RequestPlace>{RequestPlace::arrived, RequestPlace::taken}));
  EXPECT_EQ(links, 1U) << "all on the same link";
  EXPECT_EQ(tests::all_files(dir / "in" / kId / "files"), tests::all_files(outbox / kId / "files"));
}

TEST(SerialTransfer, WaitingGoesOnAfterTheCableWasCut) {
  const tests::TempDir dir;
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_pattern(), dir.path());
  tests::SoftwareKey key = tests::SoftwareKey::generate_p256();
  mark_waiting(appliance.boxes().outbox, kId, key);
  std::atomic<bool> waits{false};
  const Collecting what{.submitter = key, .out = dir / "in", .wait = 60s, .on_wait = [&](const ListedRequest&) { waits = true; }};
  std::thread somebody([&] {
    tests::wait_until("the host waits", [&] { return waits.load(); });
    cable.cut();
    make_owned_response(appliance.boxes().outbox, kId, {}, key);
    cable.mend();
  });
  const auto collected = collect_responses(to(cable.host_pattern()), what);   // no ids: whatever there is
  somebody.join();
  ASSERT_TRUE(collected) << collected.error().text();
  EXPECT_TRUE(fs::exists(dir / "in" / kId));
}

TEST(SerialTransfer, WaitsNoLongerThanItWasToldAndSaysWhatIsMissing) {
  const tests::TempDir dir;
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_end(), dir.path());
  tests::SoftwareKey key = tests::SoftwareKey::generate_p256();
  mark_waiting(appliance.boxes().outbox, kId, key);
  const auto began = std::chrono::steady_clock::now();
  const auto collected = collect_responses(to(cable.host_end()), {.submitter = key, .out = dir / "in", .ids = {kId, tests::some_id('9')}, .wait = 1s});
  ASSERT_FALSE(collected);
  EXPECT_EQ(collected.error().code(), Errc::not_found);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 30s);
  EXPECT_FALSE(fs::exists(dir / "in"));
  EXPECT_NE(collected.error().text().find("aaaaaaaa: no response yet: it waits for the release officers"), std::string::npos) << collected.error().text();
  EXPECT_NE(collected.error().text().find("99999999: the appliance has no request or response"), std::string::npos) << collected.error().text();
}

TEST(SerialTransfer, SurvivesADamagingCable) {
  const tests::TempDir dir;
  tests::SerialCable cable({.damage_every = 10'000});
  const Appliance appliance(cable.appliance_end(), dir.path());
  tests::make_request(dir / "out", kId, {{"a.sys", noise(600'000, 1)}});
  const auto sent = send_requests(to(cable.host_end()), {dir / "out" / kId});
  ASSERT_TRUE(sent) << sent.error().text();
  EXPECT_EQ(tests::all_files(appliance.boxes().inbox / kId), tests::all_files(dir / "out" / kId));
}

TEST(SerialTransfer, GoesOnAfterTwentyCutsWithoutSendingMoreThanAWindowAgainEachTime) {
  const tests::TempDir dir;
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_pattern(), dir.path());
  tests::make_request(dir / "out", kId, five_megabytes());
  constexpr unsigned kCuts = 20;
  unsigned cuts = 0;
  std::vector<std::string> news;
  HostLink host = to(cable.host_pattern());
  host.news = [&](std::string_view what) { news.emplace_back(what); };
  const auto sent = send_requests(host, {dir / "out" / kId}, [&](const usb::Progress& progress) {
    if (cuts < kCuts && progress.done > (cuts + 1) * 230'000) {
      ++cuts;
      cable.cut();
      cable.mend();
    }
    return base::Result<void>();
  });
  ASSERT_TRUE(sent) << sent.error().text();
  EXPECT_EQ(cuts, kCuts);
  EXPECT_GE(appliance.went_on(), kCuts - 1);   // a cut before the first byte was on disk leaves nothing to go on with
  EXPECT_GT(sent->at(0).went_on_at, 4'000'000U);
  EXPECT_EQ(tests::all_files(appliance.boxes().inbox / kId), tests::all_files(dir / "out" / kId));
  EXPECT_LE(cable.carried(), 5'073'000 * 102 / 100 + kCuts * (kStreamBytes + 10'000)) << "what was carried before stays";
  EXPECT_GE(news.size(), 2 * kCuts);
}

TEST(SerialTransfer, LeavesNothingThatCouldBeSeenWhenItIsGivenUpAndGoesOnTheNextTime) {
  const tests::TempDir dir;
  tests::make_request(dir / "out", kId, five_megabytes());
  {
    tests::SerialCable cable({.cut_after = 2'000'000});
    const Appliance appliance(cable.appliance_end(), dir.path());
    const auto sent = send_requests(to(cable.host_end(), 0s), {dir / "out" / kId});
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code(), Errc::io) << sent.error().text();
    EXPECT_GE(cable.carried(), 2'000'000U);
  }
  EXPECT_FALSE(fs::exists(dir / "inbox" / kId));
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_end(), dir.path());
  const auto sent = send_requests(to(cable.host_end()), {dir / "out" / kId});
  ASSERT_TRUE(sent) << sent.error().text();
  EXPECT_GT(sent->at(0).went_on_at, 1'700'000U);
  EXPECT_LE(cable.carried(), 3'500'000U);
  EXPECT_EQ(tests::all_files(appliance.boxes().inbox / kId), tests::all_files(dir / "out" / kId));
  EXPECT_FALSE(fs::exists(dir / "inbox" / (kId + ".part")));
}

TEST(SerialTransfer, StartsAFileAnewWhenItChangedMeanwhile) {
  const tests::TempDir dir;
  tests::make_request(dir / "out", kId, five_megabytes());
  {
    tests::SerialCable cable({.cut_after = 2'000'000});
    const Appliance appliance(cable.appliance_end(), dir.path());
    ASSERT_FALSE(send_requests(to(cable.host_end(), 0s), {dir / "out" / kId}));
  }
  tests::make_request(dir / "new", kId, {{"driver.sys", noise(5'000'000, 99)}, {"amd64/driver.dll", tests::some_bytes(70'000, 2)},
                                         {"DRIVER.INF", tests::some_bytes(3000, 3)}, {"empty.txt", {}}});
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_end(), dir.path());
  const auto sent = send_requests(to(cable.host_end()), {dir / "new" / kId});
  ASSERT_TRUE(sent) << sent.error().text();
  EXPECT_LT(sent->at(0).went_on_at, 80'000U) << "only the file before it is the same";
  EXPECT_EQ(tests::all_files(appliance.boxes().inbox / kId), tests::all_files(dir / "new" / kId));
}

TEST(SerialTransfer, OfADeviceThatDoesNotExistSaysSo) {
  const tests::TempDir dir;
  tests::make_request(dir / "out", kId, {});
  for (const char* device : {"/dev/ttyNotThere", "/dev/ttyNotThere*"}) {
    const auto sent = send_requests(to(device), {dir / "out" / kId});
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code(), Errc::not_found) << sent.error().text();
  }
}

TEST(SerialTransfer, AtASpeedThatNoLineHasIsRefused) {
  const tests::TempDir dir;
  tests::make_request(dir / "out", kId, {});
  HostLink host = to("/dev/ttyNotThere");
  for (const unsigned baud : {0U, 9599U, 4'000'001U}) {
    host.line.baud = baud;
    EXPECT_EQ(send_requests(host, {dir / "out" / kId}).error().code(), Errc::usage) << baud;
  }
}

TEST(SerialTransfer, GoesAtAnySpeedAndWithHardwareFlowControl) {
  const tests::TempDir dir;
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_end(), dir.path());
  tests::make_request(dir / "out", kId, {{"a.sys", noise(1000, 1)}});
  HostLink host = to(cable.host_end());
  for (const unsigned baud : {9600U, 12'345U, 250'000U, 921'600U, 3'000'000U, 4'000'000U}) {
    host.line.baud = baud;
    host.line.rts_cts = baud > 921'600;
    const auto sent = send_requests(host, {dir / "out" / kId});
    ASSERT_TRUE(sent) << baud << ": " << sent.error().text();
    const tests::SerialCable::Settings settings = cable.settings(0);   // they stay when the device is closed
    EXPECT_EQ(settings.baud, baud);
    EXPECT_EQ(settings.has_rts_cts, host.line.rts_cts) << baud;
    EXPECT_TRUE(settings.is_8n1 && settings.is_raw) << baud;
  }
}

TEST(SerialTransfer, ResponsesGoOnAfterTwentyCutsWithoutSendingMoreThanAWindowAgainEachTime) {
  const tests::TempDir dir;
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_pattern(), dir.path());
  tests::SoftwareKey key = tests::SoftwareKey::generate_p256();
  make_owned_response(appliance.boxes().outbox, kId, five_megabytes(), key);
  constexpr unsigned kCuts = 20;
  unsigned cuts = 0;
  const auto collected = collect_responses(to(cable.host_pattern()), {.submitter = key, .out = dir / "in", .ids = {kId}},
                                           [&](const usb::Progress& progress) {
                                             if (cuts < kCuts && progress.done > (cuts + 1) * 230'000) {
                                               ++cuts;
                                               cable.cut();
                                               cable.mend();
                                             }
                                             return base::Result<void>();
                                           });
  ASSERT_TRUE(collected) << collected.error().text();
  EXPECT_EQ(cuts, kCuts);
  EXPECT_EQ(tests::all_files(dir / "in" / kId / "files"), tests::all_files(appliance.boxes().outbox / kId / "files"));
  EXPECT_LE(cable.carried_back(), 5'073'000 * 102 / 100 + kCuts * (kStreamBytes + 10'000)) << "what was carried before stays";
}

TEST(SerialTransfer, TellsOfEachRequestThatArrivedAlsoWhenALaterOneCannotBeSent) {
  const tests::TempDir dir;
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_end(), dir.path());
  tests::make_request(dir / "out", kId, {{"a.sys", noise(1000, 1)}});
  const std::string bad = tests::some_id('c');
  tests::make_request(dir / "out", bad, {{"b.sys", noise(1000, 2)}});
  std::vector<std::string> told;
  bool gone = false;
  const auto sent = send_requests(
      to(cable.host_end(), 0s), {dir / "out" / kId, dir / "out" / bad}, {}, [&](const Sent& one) {
        told.push_back(one.id);
        gone = fs::remove(dir / "out" / bad / "files/b.sys");   // the second cannot be sent any more
      });
  EXPECT_FALSE(sent);
  EXPECT_TRUE(gone);
  EXPECT_EQ(told, std::vector<std::string>{kId});
  EXPECT_TRUE(fs::exists(appliance.boxes().inbox / kId));
}

TEST(SerialTransfer, StopsWhenTheProgressSaysSoAndLeavesNothingToSee) {
  const tests::TempDir dir;
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_end(), dir.path());
  tests::SoftwareKey key = tests::SoftwareKey::generate_p256();
  make_owned_response(appliance.boxes().outbox, kId, five_megabytes(), key);
  HostLink host = to(cable.host_end());
  bool stop = false;
  host.stop = [&] { return stop; };
  const auto collected = collect_responses(host, {.submitter = key, .out = dir / "in", .ids = {kId}}, [&](const usb::Progress& progress) {
    stop = progress.done >= 1'000'000;
    return stop ? base::Result<void>(base::fail(Errc::unavailable, "enough")) : base::Result<void>();
  });
  ASSERT_FALSE(collected);
  EXPECT_NE(collected.error().text().find("enough"), std::string::npos);
  EXPECT_FALSE(fs::exists(dir / "in" / kId));
  host.stop = {};
  ASSERT_TRUE(collect_responses(host, {.submitter = key, .out = dir / "in", .ids = {kId}}));
  EXPECT_EQ(tests::all_files(dir / "in"), without_owners(tests::all_files(appliance.boxes().outbox)));
}

}  // namespace
}  // namespace serial
